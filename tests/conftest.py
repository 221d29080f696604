"""What all tests share: the fixtures of `kit`, and how many examples property tests try.

That is a quick set, or with HYPOTHESIS_PROFILE=long a long one.
"""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["kit.database", "kit.kafka", "kit.population", "kit.parked"]

_SLOW_MACHINES = [HealthCheck.too_slow]

settings.register_profile("quick", max_examples=100, deadline=None, suppress_health_check=_SLOW_MACHINES)
settings.register_profile("long", max_examples=3000, deadline=None, suppress_health_check=_SLOW_MACHINES)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
