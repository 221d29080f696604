"""Servers that speak Stripe's and PayPal's protocols and keep a book of what they did. No money moves.

In a test: ``async with SimulatedProviders(Settings(...)) as providers``; as a process of its own:
``python -m workers.providers.simulated --help``. Faults on demand: see `faults`.
"""

from workers.providers.simulated.faults import FAULTS, reference_for
from workers.providers.simulated.server import SimulatedProviders
from workers.providers.simulated.wire import Settings

__all__ = ["FAULTS", "Settings", "SimulatedProviders", "reference_for"]
