"""What a given order did to a seller's rates: before and after each of its outcomes, and without the order at all."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec

from workers.domain.explained_outcomes import OutcomeExplained, Recorded, spans_with
from workers.domain.explanation import Comparison, SpanExplained, Standing, compare, counts_of, judged_of, spans_of
from workers.domain.statistics import KINDS, Totals


class SpanChange(msgspec.Struct, frozen=True, kw_only=True):
    """One span, before and after."""

    span: str
    changed: bool
    before: SpanExplained
    after: SpanExplained


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What one outcome did: all outcomes before it, then with it, both counted in the spans as they are today."""

    seq: int
    changes: list[SpanChange]


class OrderExplained(msgspec.Struct, frozen=True, kw_only=True):
    """An order's part in the rates. In `without`, before is as things are and after as if the order had never been."""

    order_id: str
    effects: list[Effect]
    without: list[SpanChange]
    comparison_without: Comparison


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to recompute a seller's rates; totals hold for all outcomes, however few are listed."""

    seller_id: str
    seq: int
    as_of: datetime
    today: date
    formulas: dict[str, str]
    spans: list[SpanExplained]
    comparison: Comparison
    outcomes: list[OutcomeExplained]
    """The newest first."""
    outcomes_in_all: int
    """Of the seller; those of the one order where one was asked for."""
    next_before_seq: int | None
    """Older ones go on before this number."""
    order: OrderExplained | None


def thresholds(outcomes: Sequence[Recorded]) -> list[int]:
    """Where a seller's outcomes are cut into parts: just before each of these outcomes, and just after it."""
    return sorted({edge for one in outcomes for edge in (one.seq, one.seq + 1)})


def explain_order(
    order_id: str,
    outcomes: Sequence[Recorded],
    cuts: Sequence[int],
    totals: Sequence[Totals],
    today: date,
    standing: Standing,
) -> OrderExplained:
    """An order's effects; `totals` are those before each of `cuts` (see `thresholds`), and the present ones at last."""
    by_cut = [counts_of(one, today.toordinal()) for one in totals]
    at = dict(zip(cuts, by_cut, strict=False))
    now = by_cut[-1]
    without = _without(now, outcomes, today)
    return OrderExplained(
        order_id=order_id,
        effects=[Effect(seq=one.seq, changes=_changes(at[one.seq], at[one.seq + 1], today)) for one in outcomes],
        without=_changes(now, without, today),
        comparison_without=compare(without, standing, judged_of(now)),
    )


def _changes(before: Mapping[str, list[int]], after: Mapping[str, list[int]], today: date) -> list[SpanChange]:
    return [
        SpanChange(span=was.span, changed=was != now, before=was, after=now)
        for was, now in zip(spans_of(before, today), spans_of(after, today), strict=True)
    ]


def _without(counts: Mapping[str, list[int]], outcomes: Sequence[Recorded], today: date) -> dict[str, list[int]]:
    left = {name: list(have) for name, have in counts.items()}
    for one in outcomes:
        for name in spans_with(one.occurred_at.date(), today):
            left[name][KINDS.index(one.outcome)] -= 1
        if one.replaces_outcome is not None and one.replaces_occurred_at is not None:
            for name in spans_with(one.replaces_occurred_at.date(), today):
                left[name][KINDS.index(one.replaces_outcome)] += 1
    return left
