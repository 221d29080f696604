"""How a seller's rates come about: every count, division and outcome behind them, to be recomputed by hand (SPEC §6).

All of it is as of one day, in UTC, as the windows are. The counts are those of `Totals`: nothing is counted here again.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from math import sqrt
from typing import Final, NamedTuple

import msgspec

from schemas.sellers import Span
from workers.domain.averages import Others, Z, wilson_lower
from workers.domain.statistics import JUDGED, WINDOWS, DayCounts, Totals, is_above, span_of, totals_of

LIFETIME: Final = "lifetime"
SPANS: Final = (LIFETIME, *sorted(WINDOWS, key=lambda name: -WINDOWS[name]))
"""From the longest to the shortest."""
FORMULAS: Final = {
    "acceptance": "accepted / (accepted + cancelled before acceptance)",
    "completion": "completed / (completed + cancelled after acceptance)",
    "cancellation": "(cancelled before + cancelled after acceptance) / "
    "(completed + cancelled before + cancelled after acceptance)",
}
_PLACES: Final = 9
"""Of numbers on the way to a rate: enough for its six to come out the same by hand."""


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """A rate by its `FORMULAS`, in numbers; the value is rounded to 6 places, null where nothing is to divide by."""

    numbers: str
    value: float | None


class SpanExplained(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and rates of a span; both days are in it. The lifetime has no first and no last day."""

    span: str
    first_day: date | None
    last_day: date | None
    accepted: int
    cancelled_before_acceptance: int
    completed: int
    cancelled_after_acceptance: int
    acceptance: Division
    completion: Division
    cancellation: Division


class Wilson(msgspec.Struct, frozen=True, kw_only=True):
    """The lower bound of a rate p of n orders: (middle - spread) / divisor.

    middle = p + z^2/(2n), spread = z * sqrt(p(1-p)/n + z^2/(4n^2)), divisor = 1 + z^2/n.
    """

    z: float
    p: float
    n: int
    middle: float
    spread: float
    divisor: float
    lower_bound: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The seller's cancellation rate beside that of the others: average = sum of their rates / how many they are.

    What is null isn't known, or there is none; `why` says which.
    """

    span: str
    cancelled: int
    closed: int
    cancellation_rate: float | None
    others: int | None
    """Other sellers with at least one closed order in the span."""
    others_rates_sum: float | None
    others_average: float | None
    others_written_at: datetime | None
    """When the oldest part of the others' numbers was written; the seller's own are those of now."""
    others_caught_up: bool
    """Whether the others' numbers hold every outcome that was told; the workers count up to it first."""
    wilson: Wilson | None
    above_average: bool
    why: str


class Standing(NamedTuple):
    """The other sellers as they are known: None, with the reason, while not all are."""

    others: Others | None
    missing: str = ""
    written_at: datetime | None = None
    caught_up: bool = False


def totals_by_part(rows: Iterable[tuple[int, DayCounts]], parts: int, today: int) -> list[Totals]:
    """A seller's totals at the end of each part, all before it included, from what SQL counts in each."""
    by_part: list[list[DayCounts]] = [[] for _ in range(parts)]
    for part, counts in rows:
        by_part[part].append(counts)
    found, so_far = [], dict[date, DayCounts]()
    for added in by_part:
        for one in added:
            have = so_far.get(one.day)
            so_far[one.day] = one if have is None else _sum(have, one)
        found.append(totals_of(so_far.values(), today))
    return found


def _sum(one: DayCounts, other: DayCounts) -> DayCounts:
    counts = (mine + theirs for mine, theirs in zip(one[2:], other[2:], strict=True))
    return DayCounts(one.day, max(one.seq, other.seq), *counts)


def counts_of(totals: Totals, today: int) -> dict[str, list[int]]:
    """The counts of each span, in the order of `KINDS`."""
    return {name: totals.lifetime if name == LIFETIME else totals.window(WINDOWS[name], today) for name in SPANS}


def spans_of(counts: Mapping[str, list[int]], today: date) -> list[SpanExplained]:
    """Each span with its rates written out."""
    return [_span(name, counts[name], today) for name in SPANS]


def _span(name: str, counts: list[int], today: date) -> SpanExplained:
    accepted, before, completed, after = counts
    span: Span = span_of(counts)
    length = WINDOWS.get(name)
    return SpanExplained(
        span=name,
        first_day=today - timedelta(days=length - 1) if length else None,
        last_day=today if length else None,
        accepted=accepted,
        cancelled_before_acceptance=before,
        completed=completed,
        cancelled_after_acceptance=after,
        acceptance=Division(numbers=f"{accepted} / ({accepted} + {before})", value=span.acceptance_rate),
        completion=Division(numbers=f"{completed} / ({completed} + {after})", value=span.completion_rate),
        cancellation=Division(
            numbers=f"({before} + {after}) / ({completed} + {before} + {after})", value=span.cancellation_rate
        ),
    )


def judged_of(counts: Mapping[str, list[int]]) -> tuple[int, int]:
    """Cancelled and closed orders by which a seller is compared."""
    _, before, completed, after = counts[JUDGED]
    return before + after, completed + before + after


def compare(counts: Mapping[str, list[int]], standing: Standing, counted_as: tuple[int, int]) -> Comparison:
    """The rate of the judged window beside the others' average, and whether it is above beyond doubt.

    `counted_as` are the numbers with which the seller counts among all, and which are taken off for the others.
    """
    cancelled, closed = judged_of(counts)
    others = standing.others
    average = others.average_without(*counted_as) if others is not None else None
    above = is_above(cancelled, closed, average)
    number = rates_sum = None
    if others is not None:
        number, rates = others.sellers, others.rates
        if counted_as[1]:
            number, rates = number - 1, rates - counted_as[0] / counted_as[1]
        number = max(number, 0)
        rates_sum = round(max(rates, 0.0), _PLACES) if number else 0.0
    wilson = _wilson(cancelled, closed) if closed else None
    return Comparison(
        span=JUDGED,
        cancelled=cancelled,
        closed=closed,
        cancellation_rate=span_of(counts[JUDGED]).cancellation_rate,
        others=number,
        others_rates_sum=rates_sum,
        others_average=average,
        others_written_at=standing.written_at,
        others_caught_up=standing.caught_up,
        wilson=wilson,
        above_average=above,
        why=_why(wilson, average, standing, above=above),
    )


def _wilson(cancelled: int, closed: int) -> Wilson:
    p, square = cancelled / closed, Z * Z
    return Wilson(
        z=round(Z, _PLACES),
        p=round(p, _PLACES),
        n=closed,
        middle=round(p + square / (2 * closed), _PLACES),
        spread=round(Z * sqrt(p * (1 - p) / closed + square / (4 * closed * closed)), _PLACES),
        divisor=round(1 + square / closed, _PLACES),
        lower_bound=wilson_lower(cancelled, closed),
    )


def _why(wilson: Wilson | None, average: float | None, standing: Standing, *, above: bool) -> str:
    if standing.others is None:
        return f"not compared: {standing.missing}"
    if average is None:
        return f"not compared: no other seller has a closed order within {JUDGED}"
    if wilson is None:
        return f"not compared: the seller has no closed order within {JUDGED}"
    bound = wilson.lower_bound
    places = 6 if round(bound, 6) != average else 12
    return (
        f"the lower bound {bound:.{places}f} is {'above' if above else 'not above'} the others' average {average:.6f}"
    )
