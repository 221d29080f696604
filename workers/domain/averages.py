"""The average of the other sellers' cancellation rates, and when a rate is above it beyond doubt (SPEC §6, R9).

Sellers with equally many closed orders are kept as one: how many they are, and how many orders they had cancelled. Such
counts are whole numbers, so they don't drift, they add up over partitions, and there are few of them even for a million
sellers. The average without one seller follows from all of them and that seller's own rate.
"""

from collections.abc import Iterable
from math import fsum, sqrt
from typing import Final

Z: Final = 1.959963984540054
"""The normal quantile of a two-sided interval of 95 %."""


class Share:
    """What some sellers add to the average: by number of closed orders, how many sellers and cancelled orders."""

    def __init__(self, parts: Iterable[tuple[int, int, int]] = ()) -> None:
        self._by_closed: dict[int, list[int]] = {
            closed: [sellers, cancelled] for closed, sellers, cancelled in parts if sellers
        }

    def add(self, cancelled: int, closed: int, sellers: int = 1) -> None:
        """Count a seller in; one without a closed order has no rate and doesn't count."""
        if not closed:
            return
        part = self._by_closed.setdefault(closed, [0, 0])
        part[0] += sellers
        part[1] += cancelled * sellers
        if not part[0]:
            del self._by_closed[closed]

    def remove(self, cancelled: int, closed: int) -> None:
        """Count a seller out who was counted in with these numbers."""
        self.add(cancelled, closed, -1)

    def parts(self) -> list[tuple[int, int, int]]:
        """Closed orders, sellers with so many, and their cancelled orders; in order, so that equal shares are equal."""
        return [(closed, sellers, cancelled) for closed, (sellers, cancelled) in sorted(self._by_closed.items())]


class Others:
    """All sellers together, to be asked for the average without one of them.

    Whoever asks for a seller says with which numbers that seller is counted in here; those change by `change`.
    """

    def __init__(self, shares: Iterable[Iterable[tuple[int, int, int]]]) -> None:
        parts = [part for share in shares for part in share]
        self.sellers = sum(sellers for _, sellers, _ in parts)
        self.rates = fsum(cancelled / closed for closed, _, cancelled in parts)
        """The sum of all their rates."""

    def change(self, before: tuple[int, int], after: tuple[int, int]) -> None:
        """Count a seller in with other numbers than before: cancelled and closed orders, (0, 0) of one not counted.

        Each change may put the sum off by its last place: made anew from the shares now and then, it is right again.
        """
        for (cancelled, closed), by in ((before, -1), (after, 1)):
            if closed:
                self.sellers += by
                self.rates += by * cancelled / closed

    def average_without(self, cancelled: int, closed: int) -> float | None:
        """The mean rate of the others, to 6 places, for a seller counted in like this; None where there are none."""
        sellers, rates = self.sellers, self.rates
        if closed:
            sellers, rates = sellers - 1, rates - cancelled / closed
        if sellers <= 0:
            return None
        return round(max(rates, 0.0) / sellers, 6)


def wilson_lower(cancelled: int, closed: int) -> float:
    """The lower bound of the 95 % Wilson interval of a rate; `closed` is not 0."""
    if not cancelled:
        return 0.0  # exactly: what is left of the sums below may be above nought
    share, square = cancelled / closed, Z * Z
    middle = share + square / (2 * closed)
    spread = Z * sqrt(share * (1 - share) / closed + square / (4 * closed * closed))
    return (middle - spread) / (1 + square / closed)
