"""Faults on demand: asked for by a reference, or drawn at random.

Grammar: a reference (`pi_…`, `ch_…`, a capture id) may hold any number of

    x.<fault>[.<times>]

each at its start or after one of `_ . : -`, and followed by its end or one of them. `<fault>` is a name from
`FAULTS` (the longest that fits); `<times>` is how many calls meet it, all where it is missing. Examples:
`pi_x.http_500_after.1_7f3`, `pi_x.charge_disputed`, `x.timeout_before.2-x.look_up_http_503.1-A8`.
`reference_for` builds them. A name with `look_up_` in front strikes GET requests, the others POST. Lists name no
reference: `Faults.plan` has the next calls meet a fault whatever they are about.

Where a fault strikes (`stage`):
- `door`: before the request is looked at; nothing happens, nothing is stored under the key.
- `work`: the provider refuses. Stripe stores the refusal under the key and replays it; PayPal doesn't.
- `answer`: the refund is made (or its stored response found), then the answer goes wrong.
- `life`: the refund is made and has another life than `succeeded`.
"""

import random
import re
from collections import Counter
from typing import Final, Literal

from workers.providers.simulated.fault_table import FAULTS, PASSING, Fault

__all__ = ["FAULTS", "Fault", "Faults", "Provider", "reference_for"]

Provider = Literal["stripe", "paypal"]

_MARK: Final = re.compile(r"(?:^|[_.:-])x\.")
_TIMES: Final = re.compile(r"\.(\d{1,6})(?![A-Za-z0-9])")
_BY_LENGTH: Final = sorted(FAULTS, key=len, reverse=True)


class Faults:
    """Decides which fault a call meets. Counts the calls of each reference."""

    def __init__(self, rng: random.Random, rate: float, names: tuple[str, ...] = ()) -> None:
        """Raises ValueError for a name that is not in `FAULTS`."""
        if unknown := [name for name in names if name not in FAULTS]:
            raise ValueError(f"no such fault: {', '.join(unknown)}")
        self._rng = rng
        self._rate = rate
        self._names = names or PASSING
        self._met: Counter[tuple[Provider, str, str]] = Counter()
        self._planned: Counter[tuple[Provider, str]] = Counter()

    def plan(self, provider: Provider, name: str, times: int) -> None:
        """Have a provider's next calls that the fault fits meet it, before all others. Raises KeyError."""
        self._planned[provider, FAULTS[name].name] = times

    def draw(self, provider: Provider, reference: str, *, look_up: bool) -> Fault | None:
        """The fault that this call meets; a fault that the reference asks for goes before a random one."""
        for (planned_for, name), left in self._planned.items():
            if left and planned_for == provider and FAULTS[name].look_up == look_up:
                self._planned[planned_for, name] -= 1
                return FAULTS[name]
        for fault, times in asked_for(reference):
            if provider not in fault.providers or fault.look_up != look_up:
                continue
            key = (provider, reference, fault.name)
            if times is None or self._met[key] < times:
                self._met[key] += 1
                return fault
        if self._rate and self._rng.random() < self._rate:
            fitting = [
                name for name in self._names if FAULTS[name].look_up == look_up and provider in FAULTS[name].providers
            ]
            return FAULTS[self._rng.choice(fitting)] if fitting else None
        return None


def asked_for(reference: str) -> list[tuple[Fault, int | None]]:
    """The faults that a reference asks for, with the number of calls that meet each (None: all)."""
    found = []
    for mark in _MARK.finditer(reference):
        rest = reference[mark.end() :]
        name = next((name for name in _BY_LENGTH if _starts(rest, name)), None)
        if name is not None:
            times = _TIMES.match(rest, len(name))
            found.append((FAULTS[name], int(times.group(1)) if times else None))
    return found


def _starts(rest: str, name: str) -> bool:
    return rest.startswith(name) and not rest[len(name) : len(name) + 1].isalnum()


def reference_for(fault: str, tag: str, times: int | None = None, prefix: str = "pi_") -> str:
    """A reference that meets a fault; `tag` tells it from others. At most 64 characters."""
    assert fault in FAULTS, fault
    count = "" if times is None else f".{times}"
    reference = f"{prefix}x.{fault}{count}-{tag}"
    assert len(reference) <= 64, reference  # noqa: PLR2004 - the length of an id
    return reference
