"""How often somebody may try to sign in."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_MOST_KNOWN: Final = 10_000
_OF_ONE: Final = 64
"""Who has an IPv6 address has all that begin with as many bits of it."""


def place_of(told: str, seen: str) -> str:
    """What one who tries can't change at will: `told` by what passes their requests on, else `seen` by ourselves."""
    for text in (told.strip(), seen):
        try:
            address = ipaddress.ip_address(text.strip("[]"))
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is not None:
                return str(address.ipv4_mapped)
            return str(ipaddress.ip_network((int(address), _OF_ONE), strict=False))
        return str(address)
    return ""


class Tries:
    """Failed tries by name or address: `most` within `within_s`, then each has to wait until the first is old."""

    def __init__(self, most: int, within_s: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._within_s = within_s
        self._clock = clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, who: str) -> float:
        """How long they have to wait before the next try; 0 where they don't."""
        recent = self._recent(who)
        return recent[0] + self._within_s - self._clock() if len(recent) >= self._most else 0.0

    def note_failed(self, who: str) -> None:
        """One more that failed. Of too many different ones the oldest are forgotten."""
        self._failed[who] = [*self._recent(who), self._clock()][-self._most :]
        self._failed.move_to_end(who)
        while len(self._failed) > _MOST_KNOWN:
            self._failed.popitem(last=False)

    def take_back(self, who: str) -> None:
        """The latest one did not fail after all."""
        if recent := self._recent(who):
            self._failed[who] = recent[:-1]

    def forget(self, who: str) -> None:
        """They signed in."""
        self._failed.pop(who, None)

    def _recent(self, who: str) -> list[float]:
        since = self._clock() - self._within_s
        return [at for at in self._failed.get(who, ()) if at > since]
