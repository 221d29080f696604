"""A seller's counts, folded from numbered outcomes, and the rates of each span of days (SPEC §6).

What is kept of a seller: the counts of all time, and those of each UTC day that a window can still need. A day is that
of the outcome's own time, so a late outcome counts where it belongs, and a correction is taken off where it counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

from schemas.sellers import OutcomeKind, SellerOutcome, SellerStatistics, Span
from workers.domain.averages import Others, wilson_lower

KINDS: Final[tuple[OutcomeKind, ...]] = (
    "accepted",
    "cancelled_before_acceptance",
    "completed",
    "cancelled_after_acceptance",
)
WINDOWS: Final[Mapping[str, int]] = {"30d": 30, "60d": 60, "90d": 90}
"""Windows by name, and how many UTC days each has, the present one included; the shortest first."""
JUDGED: Final = "60d"
"""The window by whose cancellation rate sellers are compared."""
KEPT_DAYS: Final = max(WINDOWS.values()) + 2
"""Days that are kept: the clocks of two processes may stand on either side of midnight."""
MOVED: Final = 0.001
"""A row is told again once the others' average moved by more than this."""

_PLACES: Final = {kind: place for place, kind in enumerate(KINDS)}
_NOTHING: Final = [0, 0, 0, 0]
_LONGEST_FIRST: Final = tuple(sorted(WINDOWS.values(), reverse=True))
_HALF_A_PLACE: Final = 5e-7
"""Averages have 6 places; between two of them lies a whole number of steps, and floats tell it a little off."""
Folded = Literal["applied", "repeat", "gap"]


class DayCounts(NamedTuple):
    """What SQL counts of one seller's day; of the first of the days that were asked for, all before it as well."""

    day: date
    seq: int
    accepted: int
    cancelled_before_acceptance: int
    completed: int
    cancelled_after_acceptance: int


class Told(msgspec.Struct, array_like=True, frozen=True):
    """What the last row of a seller said."""

    seq: int
    day: int
    """Its day, as an ordinal."""
    cancelled: int
    closed: int
    """Of the window that sellers are compared by: what the seller adds to the others' average."""
    average: float | None
    above: bool


class Totals(msgspec.Struct, array_like=True):
    """A seller's counts up to outcome `seq`, and what was last told of them: the value in the table.

    Counts are lists in the order of `KINDS`; days are ordinals, and only those are there on which something counts.
    """

    seq: int = 0
    lifetime: list[int] = msgspec.field(default_factory=lambda: [0, 0, 0, 0])
    days: dict[int, list[int]] = msgspec.field(default_factory=dict)
    told: Told | None = None
    first: int = 0
    """Days before it are let go: nothing is counted on them any more, but in all time."""

    def fold(self, outcome: SellerOutcome) -> Folded:
        """Count one more outcome: a repeat changes nothing, and so does one after a gap.

        A correction of something that doesn't count is a gap as well: what is here isn't what was decided.
        """
        if outcome.seq <= self.seq:
            return "repeat"
        if outcome.seq != self.seq + 1:
            return "gap"
        replaced = outcome.replaces
        if replaced is not None and not self._take_back(_PLACES[replaced.outcome], replaced.occurred_at.toordinal()):
            return "gap"
        place, day = _PLACES[outcome.outcome], outcome.occurred_at.toordinal()
        self.lifetime[place] += 1
        if day >= self.first:
            counts = self.days.get(day)
            if counts is None:
                counts = self.days[day] = [0, 0, 0, 0]
            counts[place] += 1
        self.seq = outcome.seq
        return "applied"

    def _take_back(self, place: int, day: int) -> bool:
        """Take off what was counted; False where it wasn't."""
        if not self.lifetime[place]:
            return False
        if day >= self.first:
            counts = self.days.get(day)
            if counts is None or not counts[place]:
                return False
            counts[place] -= 1
            if counts == _NOTHING:
                del self.days[day]
        self.lifetime[place] -= 1
        return True

    def let_go(self, today: int) -> None:
        """Forget the days that no window needs any more, neither one of today nor one of the row that was last told."""
        first = (today if self.told is None else min(today, self.told.day)) - KEPT_DAYS
        if first > self.first:
            self.first = first
            for day in [day for day in self.days if day < first]:
                del self.days[day]

    def window(self, length: int, today: int) -> list[int]:
        """Counts of the last `length` days, today included."""
        first = today - length
        return _sum_of([counts for day, counts in self.days.items() if first < day <= today])

    def windows(self, today: int) -> dict[int, list[int]]:
        """Counts of each of `WINDOWS`, by its length: quicker than one after the other."""
        found = {}
        inside = [one for one in self.days.items() if one[0] <= today]
        for length in _LONGEST_FIRST:
            first = today - length
            inside = [one for one in inside if one[0] > first]
            found[length] = _sum_of([counts for _, counts in inside])
        return found

    def judged(self, today: int) -> tuple[int, int]:
        """Cancelled and closed orders in the window that sellers are compared by."""
        return _judged(self.window(WINDOWS[JUDGED], today))

    def same_counts(self, other: "Totals", today: int) -> bool:
        """Whether both count the same, in all time and on each day that a window needs on or after `today`."""
        return self.lifetime == other.lifetime and _needed(self.days, today) == _needed(other.days, today)


def _needed(days: Mapping[int, list[int]], today: int) -> dict[int, list[int]]:
    first = today - max(WINDOWS.values())
    return {day: counts for day, counts in days.items() if day > first}


def _sum_of(counts: Sequence[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*counts, strict=True)] if counts else [0, 0, 0, 0]


def _judged(counts: list[int]) -> tuple[int, int]:
    _, before, completed, after = counts
    return before + after, completed + before + after


def totals_of(rows: Iterable[DayCounts], today: int) -> Totals:
    """The same from SQL's counts of each day, those of the first day with all before it."""
    totals = Totals()
    for row in rows:
        counts = list(row[2:])
        totals.seq = max(totals.seq, row.seq)
        totals.lifetime = [have + more for have, more in zip(totals.lifetime, counts, strict=True)]
        if any(counts):
            totals.days[row.day.toordinal()] = counts
    totals.let_go(today)
    return totals


def first_day(today: int) -> date:
    """The first day to ask SQL for; it gathers all before it as well, and is let go of by `totals_of`."""
    return date.fromordinal(today - KEPT_DAYS - 1)


def row_of(seller_id: str, totals: Totals, as_of: datetime, others: Others | None) -> tuple[SellerStatistics, Told]:
    """The row that is published of a seller, and what is kept of it; `others` is None while not all are known.

    In `others` the seller counts with the numbers that were last told of them, if any were.
    """
    today = as_of.toordinal()
    windows = totals.windows(today)
    cancelled, closed = _judged(windows[WINDOWS[JUDGED]])
    counted = (totals.told.cancelled, totals.told.closed) if totals.told is not None else (0, 0)
    average = others.average_without(*counted) if others is not None else None
    above = is_above(cancelled, closed, average)
    row = SellerStatistics(
        seller_id=seller_id,
        seq=totals.seq,
        as_of=as_of,
        lifetime=span_of(totals.lifetime),
        windows={name: span_of(windows[length]) for name, length in WINDOWS.items()},
        others_average=average,
        above_average=above,
    )
    return row, Told(totals.seq, today, cancelled, closed, average, above)


def is_above(cancelled: int, closed: int, average: float | None) -> bool:
    """Whether the rate is above the others' average beyond doubt: its Wilson interval's lower bound is as well."""
    return average is not None and closed > 0 and wilson_lower(cancelled, closed) > average


def is_due(totals: Totals, today: int, others: Others | None) -> bool:
    """Whether the row that was last told isn't right any more: its counts, its windows, its average, its verdict.

    In `others` the seller counts with the numbers that were last told of them.
    """
    told = totals.told
    if told is None or told.seq != totals.seq or _has_rolled(totals, told.day, today):
        return True
    if others is None:
        return False
    average = others.average_without(told.cancelled, told.closed)
    return average != told.average and (
        has_moved(told.average, average) or is_above(told.cancelled, told.closed, average) is not told.above
    )


def has_moved(told: float | None, average: float | None) -> bool:
    """Whether the others' average is so far from what was told that it is told again."""
    if told is None or average is None:
        return told is not average
    return abs(average - told) > MOVED + _HALF_A_PLACE


def _has_rolled(totals: Totals, told: int, today: int) -> bool:
    """Whether a window's content is another one than on the day `told`."""
    if told == today or totals.days.keys().isdisjoint(_crossed(told, today)):
        return False
    # Days only leave, but for those that lay ahead; and one that comes may make up for one that leaves.
    return max(totals.days) <= told or totals.windows(told) != totals.windows(today)


@lru_cache(maxsize=256)
def _crossed(told: int, today: int) -> frozenset[int]:
    """The days that come into a window, or leave one, from the day `told` to `today`."""
    return frozenset(day - before for day in range(told + 1, today + 1) for before in (0, *WINDOWS.values()))


def span_of(counts: list[int]) -> Span:
    """Counts, in the order of `KINDS`, with their rates."""
    accepted, before, completed, after = counts
    return Span(
        accepted=accepted,
        cancelled_before_acceptance=before,
        completed=completed,
        cancelled_after_acceptance=after,
        acceptance_rate=_rate(accepted, accepted + before),
        completion_rate=_rate(completed, completed + after),
        cancellation_rate=_rate(before + after, completed + before + after),
    )


@lru_cache(maxsize=1 << 14)  # rounding is slow, and the same few numbers come again and again
def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
