"""The proof itself: what it makes up is as real outcomes are, and no difference from SQL's word escapes it."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from schemas.sellers import SellerOutcome, SellerStatistics, Span
from workers.chaos.acts import plan_acts
from workers.chaos.compare import OnTheWay, compare_rows, compare_table, lifetimes_of
from workers.chaos.market import make_outcomes
from workers.chaos.traffic import plan_steps
from workers.chaos.truth import Truth
from workers.domain.statistics import KINDS, Totals

NOW = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
TODAY = NOW.date()
FAR = TODAY.toordinal() - 75
NEAR = TODAY.toordinal() - 3

TRUTH = Truth(
    seq=40,
    spans={"lifetime": (18, 2, 9, 6), "30d": (8, 1, 4, 5), "60d": (8, 1, 4, 5), "90d": (9, 1, 6, 5)},
    days={FAR: (1, 0, 2, 0), NEAR: (8, 1, 4, 5)},
    others_average=0.125,
)


def span(accepted: int, before: int, completed: int, after: int) -> Span:
    closed = completed + before + after
    return Span(
        accepted=accepted,
        cancelled_before_acceptance=before,
        completed=completed,
        cancelled_after_acceptance=after,
        acceptance_rate=round(accepted / (accepted + before), 6),
        completion_rate=round(completed / (completed + after), 6),
        cancellation_rate=round((before + after) / closed, 6),
    )


ROW = SellerStatistics(
    seller_id="sel_1",
    seq=40,
    as_of=NOW,
    lifetime=span(18, 2, 9, 6),
    windows={"30d": span(8, 1, 4, 5), "60d": span(8, 1, 4, 5), "90d": span(9, 1, 6, 5)},
    others_average=0.1254,
    above_average=True,
)


def differing(row: SellerStatistics | None, truth: Truth | None = TRUTH) -> list[str]:
    last = {} if row is None else {"sel_1": msgspec.json.encode(row)}
    return [one.what for one in compare_rows(last, {} if truth is None else {"sel_1": truth})]


def held(**changes: Any) -> bytes:
    days = {FAR: [1, 0, 2, 0], NEAR: [8, 1, 4, 5], TODAY.toordinal() - 90: [3, 3, 3, 3]}
    return msgspec.msgpack.encode(Totals(**{"seq": 40, "lifetime": [18, 2, 9, 6], "days": days, **changes}))


def differing_table(value: bytes | None, today: date = TODAY) -> list[str]:
    last = {} if value is None else {"sel_1": value}
    return [one.what for one in compare_table(last, {"sel_1": TRUTH}, today)]


def test_a_row_that_is_right_differs_in_nothing() -> None:
    assert differing(ROW) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda: replace(ROW, seq=39), ["seq"]),
        (lambda: replace(ROW, lifetime=span(18, 2, 9, 5)), ["lifetime"]),
        (lambda: replace(ROW, windows={**ROW.windows, "30d": span(8, 1, 5, 5)}), ["30d"]),
        (lambda: replace(ROW, windows={**ROW.windows, "90d": span(8, 1, 4, 5)}), ["90d"]),
        (lambda: replace(ROW, windows={"30d": ROW.lifetime}), ["spans"]),
        (lambda: replace(ROW, others_average=0.12705), ["others_average"]),
        (lambda: replace(ROW, others_average=None, above_average=False), ["others_average"]),
        (lambda: replace(ROW, above_average=False), ["above_average"]),
        (lambda: replace(ROW, lifetime=replace(ROW.lifetime, completion_rate=0.600002)), ["lifetime.completion_rate"]),
        (lambda: replace(ROW, lifetime=replace(ROW.lifetime, acceptance_rate=None)), ["lifetime.acceptance_rate"]),
        (lambda: replace(ROW, seller_id="sel_2"), ["seller_id"]),
        (lambda: None, ["value"]),
    ],
)
def test_whatever_is_wrong_in_a_row_is_named(change: Callable[[], SellerStatistics | None], what: list[str]) -> None:
    assert differing(change()) == what


def test_a_row_of_a_seller_that_sql_does_not_know_is_a_difference() -> None:
    assert differing(ROW, None) == ["value"]


def test_few_orders_brand_nobody() -> None:
    few = span(2, 0, 1, 1)
    truth = replace_spans((2, 0, 1, 1))
    row = replace(ROW, lifetime=few, windows=dict.fromkeys(ROW.windows, few))
    assert differing(replace(row, above_average=False), truth) == []
    assert differing(row, truth) == ["above_average"]


def replace_spans(counts: tuple[int, int, int, int]) -> Truth:
    return Truth(40, dict.fromkeys(TRUTH.spans, counts), {NEAR: counts}, TRUTH.others_average)


def test_a_table_that_is_right_differs_in_nothing_and_one_that_is_not_in_what_is_wrong() -> None:
    assert differing_table(held()) == []
    assert differing_table(None) == ["value"]
    assert differing_table(held(seq=41)) == ["seq"]
    assert differing_table(held(lifetime=[18, 2, 8, 6])) == ["lifetime"]
    assert differing_table(held(days={FAR: [1, 0, 2, 0], NEAR - 30: [8, 1, 4, 5]})) == ["30d", "days"]


def test_a_row_that_says_what_never_was_is_found_even_if_a_right_one_follows() -> None:
    outcomes = make_outcomes(300, 5, random.Random(3), NOW)
    lifetimes = lifetimes_of(outcomes)
    looking = OnTheWay(lifetimes)
    for seq, counts in [*enumerate(lifetimes["sel_00000"])][1:]:
        looking.look(msgspec.json.encode(replace(ROW, seller_id="sel_00000", seq=seq, lifetime=counts_as_span(counts))))
    assert (looking.wrong, looking.late) == (0, 0)
    looking.look(msgspec.json.encode(replace(ROW, seller_id="sel_00000", seq=1)))
    assert (looking.wrong, looking.late) == (1, 1)
    looking.look(msgspec.json.encode(replace(ROW, seller_id="sel_00000", seq=100_000)))
    assert looking.wrong == 2


def counts_as_span(counts: tuple[int, int, int, int]) -> Span:
    rates: dict[str, None] = {"acceptance_rate": None, "completion_rate": None, "cancellation_rate": None}
    named: dict[str, int] = dict(zip(KINDS, counts, strict=True))
    return msgspec.convert({**named, **rates}, Span)


def test_outcomes_are_numbered_without_a_gap_and_correct_only_what_counts() -> None:
    outcomes = make_outcomes(6_000, 150, random.Random(1), NOW)
    assert len(outcomes) == 6_000
    seqs: dict[str, int] = {}
    counting: dict[str, list[tuple[str, datetime]]] = {}
    for one in outcomes:
        seqs[one.seller_id] = seqs.get(one.seller_id, 0) + 1
        assert one.seq == seqs[one.seller_id]
        assert NOW - timedelta(days=121) < one.occurred_at <= NOW
        if one.replaces is not None:
            counting[one.order_id].remove((one.replaces.outcome, one.replaces.occurred_at))
        counting.setdefault(one.order_id, []).append((one.outcome, one.occurred_at))
    assert len(seqs) == 150
    assert max(seqs.values()) > 20 * min(seqs.values())
    corrections = sum(one.replaces is not None for one in outcomes)
    assert 0.03 < corrections / len(outcomes) < 0.07


def test_every_outcome_is_sent_after_it_is_decided_some_twice_and_many_out_of_order() -> None:
    outcomes = make_outcomes(3_000, 50, random.Random(2), NOW)
    steps = plan_steps(outcomes, 60, random.Random(2))
    known: set[tuple[str, int]] = set()
    copies: dict[tuple[str, int], int] = {}
    backwards, last = 0, dict[str, int]()
    for step in steps:
        known |= {identity(one) for one in step.decided}
        for one in step.sent:
            assert identity(one) in known
            copies[identity(one)] = copies.get(identity(one), 0) + 1
            backwards += one.seq < last.get(one.seller_id, 0)
            last[one.seller_id] = one.seq
    assert copies.keys() == {identity(one) for one in outcomes}
    assert set(copies.values()) == {1, 2, 3}
    assert backwards > 500


def identity(one: SellerOutcome) -> tuple[str, int]:
    return one.seller_id, one.seq


def test_the_same_seed_makes_the_same_and_kills_are_as_many_as_wished() -> None:
    assert make_outcomes(500, 9, random.Random(7), NOW) == make_outcomes(500, 9, random.Random(7), NOW)
    acts = plan_acts(30, 180, 6, random.Random(7))
    assert acts == plan_acts(30, 180, 6, random.Random(7))
    assert [act.kind for act in acts].count("kill") == 30
    assert {act.kind for act in acts} == {"kill", "leave", "freeze", "replace"}
    assert {act.kind for act in acts if act.at_s > 177} == {"freeze", "replace"}
    assert plan_acts(0, 10, 6, random.Random(7)) == []
