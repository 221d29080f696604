"""What is published and what the table holds, beside what SQL says: each difference in words."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from math import sqrt
from typing import Final

import msgspec

from schemas.sellers import SellerOutcome, SellerStatistics, Span
from workers.chaos.truth import JUDGED, LONGEST, SPANS, Four, Truth, within
from workers.domain.statistics import Totals

MOST_TOLD: Final = 20
_AVERAGE_MAY_BE_OFF: Final = 0.001 + 2e-6
"""A row is sent again once the average moved by more than this; both were rounded."""
_ROUNDING: Final = 0.5e-6 + 1e-12
_NORMAL: Final = 1.959963984540054

_row = msgspec.json.Decoder(SellerStatistics)
_totals = msgspec.msgpack.Decoder(Totals)


class Difference(msgspec.Struct, frozen=True):
    """Something that is not as SQL says."""

    where: str
    """`row`: the last on the statistics topic; `table`: in the changelog; `row on the way`: an earlier row."""
    seller_id: str
    what: str
    expected: str
    found: str


def compare_rows(last: Mapping[str, bytes | None], truths: Mapping[str, Truth]) -> Iterator[Difference]:
    """The last row of every seller."""
    for seller_id in sorted(truths.keys() | last.keys()):
        truth, value = truths.get(seller_id), last.get(seller_id)
        if truth is None or value is None:
            yield _missing("row", seller_id, truth, value)
            continue
        try:
            row = _row.decode(value)
        except msgspec.DecodeError as error:
            yield Difference("row", seller_id, "value", "a row", str(error))
            continue
        for what, expected, found in _row_faults(row, truth):
            yield Difference("row", seller_id, what, str(expected), str(found))
        if row.seller_id != seller_id:
            yield Difference("row", seller_id, "seller_id", seller_id, row.seller_id)


def compare_table(last: Mapping[str, bytes | None], truths: Mapping[str, Truth], today: date) -> Iterator[Difference]:
    """The last value of every seller in the table's changelog."""
    for seller_id in sorted(truths.keys() | last.keys()):
        truth, value = truths.get(seller_id), last.get(seller_id)
        if truth is None or value is None:
            yield _missing("table", seller_id, truth, value)
            continue
        try:
            totals = _totals.decode(value)
        except msgspec.DecodeError as error:
            yield Difference("table", seller_id, "value", "totals", str(error))
            continue
        wanted = {"seq": truth.seq, **truth.spans, "days": truth.days}
        held = {"seq": totals.seq, "lifetime": tuple(totals.lifetime), "days": _needed(totals.days, today)}
        held |= {name: within(totals.days, int(name[:-1]), today) for name in SPANS[1:]}
        for what, expected in wanted.items():
            if held[what] != expected:
                yield Difference("table", seller_id, what, str(expected), str(held[what]))


def _missing(where: str, seller_id: str, truth: Truth | None, value: bytes | None) -> Difference:
    return Difference(
        where,
        seller_id,
        "value",
        "none" if truth is None else f"seq {truth.seq}",
        "none" if value is None else "one",
    )


def _row_faults(row: SellerStatistics, truth: Truth) -> Iterator[tuple[str, object, object]]:
    if row.seq != truth.seq:
        yield "seq", truth.seq, row.seq
    spans = {"lifetime": row.lifetime, **row.windows}
    if spans.keys() != set(SPANS):
        yield "spans", SPANS, tuple(spans)
        return
    for name, span in spans.items():
        if counts_of(span) != truth.spans[name]:
            yield name, truth.spans[name], counts_of(span)
        yield from _rate_faults(name, span)
    average = truth.others_average
    off = (average is None) is not (row.others_average is None)
    if off or (average is not None and abs(average - (row.others_average or 0.0)) > _AVERAGE_MAY_BE_OFF):
        yield "others_average", average, row.others_average
    above = _is_above(counts_of(row.windows[JUDGED]), row.others_average)
    if row.above_average is not above:
        yield "above_average", above, row.above_average


def _rate_faults(name: str, span: Span) -> Iterator[tuple[str, object, object]]:
    """Its rates beside its own counts."""
    accepted, before, completed, after = counts_of(span)
    for what, found, part, whole in (
        ("acceptance_rate", span.acceptance_rate, accepted, accepted + before),
        ("completion_rate", span.completion_rate, completed, completed + after),
        ("cancellation_rate", span.cancellation_rate, before + after, completed + before + after),
    ):
        wanted = part / whole if whole else None
        if wanted is None or found is None:
            right = wanted is found
        else:
            right = abs(wanted - found) <= _ROUNDING and round(found, 6) == found
        if not right:
            yield f"{name}.{what}", wanted, found


def counts_of(span: Span) -> Four:
    """In the order of `Four`."""
    return (span.accepted, span.cancelled_before_acceptance, span.completed, span.cancelled_after_acceptance)


def _is_above(counts: Four, average: float | None) -> bool:
    """Wilson's lower bound as the root of its own quadratic: the smallest rate that the numbers don't contradict."""
    _, before, completed, after = counts
    cancelled, closed = before + after, completed + before + after
    if average is None or not cancelled:
        return False
    share = cancelled / closed
    # The average lies below the interval where it is below the share, and further off than chance explains.
    return average < share and share - average > _NORMAL * sqrt(average * (1 - average) / closed)


def _needed(days: Mapping[int, list[int]], today: date) -> dict[int, Four]:
    """The days that SQL was asked for, those without counts left out."""
    last = today.toordinal()
    return {
        day: (counts[0], counts[1], counts[2], counts[3])
        for day, counts in days.items()
        if last - LONGEST < day <= last and any(counts)
    }


class OnTheWay:
    """Every row that is ever published, held against the counts that its seller had at its `seq`."""

    def __init__(self, lifetimes: Mapping[str, list[Four]]) -> None:
        self._lifetimes = lifetimes
        self._highest: dict[str, int] = {}
        self.faults: list[Difference] = []
        self.wrong = 0
        self.late = 0
        """Rows that came after one with a higher `seq`: of one who was thought dead, or the same again."""

    def look(self, value: bytes) -> None:
        """Take one row."""
        try:
            row = _row.decode(value)
        except msgspec.DecodeError as error:
            self._add("", "value", "a row", str(error))
            return
        known = self._lifetimes.get(row.seller_id, [])
        if row.seq >= len(known):
            self._add(row.seller_id, "seq", f"at most {len(known) - 1}", str(row.seq))
            return
        if counts_of(row.lifetime) != known[row.seq]:
            self._add(row.seller_id, f"lifetime at seq {row.seq}", str(known[row.seq]), str(counts_of(row.lifetime)))
        highest = self._highest.setdefault(row.seller_id, 0)
        self.late += row.seq < highest
        self._highest[row.seller_id] = max(highest, row.seq)

    def _add(self, seller_id: str, what: str, expected: str, found: str) -> None:
        self.wrong += 1
        if len(self.faults) < MOST_TOLD:
            self.faults.append(Difference("row on the way", seller_id, what, expected, found))


def lifetimes_of(outcomes: Iterable[SellerOutcome]) -> dict[str, list[Four]]:
    """What each seller's counts of all time are after each of the outcomes, in their order; first, after none."""
    kinds = ("accepted", "cancelled_before_acceptance", "completed", "cancelled_after_acceptance")
    found: dict[str, list[Four]] = {}
    for outcome in outcomes:
        known = found.setdefault(outcome.seller_id, [(0, 0, 0, 0)])
        counts = list(known[-1])
        counts[kinds.index(outcome.outcome)] += 1
        if outcome.replaces is not None:
            counts[kinds.index(outcome.replaces.outcome)] -= 1
        known.append((counts[0], counts[1], counts[2], counts[3]))
    return found
