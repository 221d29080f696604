"""How many examples property tests try: a quick set, or HYPOTHESIS_PROFILE=long."""

import os

from hypothesis import HealthCheck, settings

_SLOW_MACHINES = [HealthCheck.too_slow]

settings.register_profile("quick", max_examples=100, deadline=None, suppress_health_check=_SLOW_MACHINES)
settings.register_profile("long", max_examples=3000, deadline=None, suppress_health_check=_SLOW_MACHINES)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
