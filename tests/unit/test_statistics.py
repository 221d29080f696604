"""Counts folded from numbered outcomes, the rates of each span of days, and when a row is told again (SPEC §6)."""

from datetime import datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from kit.builders import NOW, SELLER, at, outcome

from schemas.base import encode
from schemas.envelope import Envelope, decode_data
from schemas.sellers import OutcomeKind, Replaced
from schemas.topics import SELLERS_STATISTICS
from workers.domain.averages import Others
from workers.domain.statistics import KEPT_DAYS, KINDS, WINDOWS, Told, Totals, is_due, row_of, span_of

TODAY = NOW.toordinal()


def day(ago: int) -> datetime:
    """A time of so many UTC days ago."""
    return NOW - timedelta(days=ago)


def folded(*outcomes: tuple[str, datetime]) -> Totals:
    totals = Totals()
    for seq, (kind, when) in enumerate(outcomes, start=1):
        assert totals.fold(outcome(seq, kind, occurred_at=when)) == "applied"
    return totals


def replacing(seq: int, kind: str, replaced: OutcomeKind, when: datetime = NOW, before: datetime | None = None) -> Any:
    return outcome(seq, kind, occurred_at=when, replaces=Replaced(outcome=replaced, occurred_at=before or at(-60)))


def copy_of(totals: Totals) -> Totals:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(totals), type=Totals)


def test_every_outcome_that_a_message_can_name_has_its_place() -> None:
    assert set(KINDS) == set(get_args(OutcomeKind))


@pytest.mark.parametrize("kind", KINDS)
def test_an_outcome_counts_once_under_its_own_name_in_all_time_and_on_its_day(kind: str) -> None:
    totals = Totals(seq=4, lifetime=[9, 9, 9, 9], days={TODAY - 3: [1, 1, 1, 1]})
    assert totals.fold(outcome(5, kind, occurred_at=day(3))) == "applied"
    assert totals.seq == 5
    place = KINDS.index(kind)
    assert totals.lifetime == [10 if at == place else 9 for at in range(4)]
    assert totals.days == {TODAY - 3: [2 if at == place else 1 for at in range(4)]}


@pytest.mark.parametrize(("seq", "word"), [(1, "repeat"), (5, "repeat"), (7, "gap"), (8, "gap"), (1000, "gap")])
def test_a_repeat_and_one_after_a_gap_count_nothing(seq: int, word: str) -> None:
    totals = Totals(seq=5, lifetime=[0, 0, 3, 0], days={TODAY: [0, 0, 3, 0]})
    before = copy_of(totals)
    assert totals.fold(outcome(seq)) == word
    assert totals == before


def test_the_first_outcome_of_a_seller_is_number_one() -> None:
    assert Totals().fold(outcome(2)) == "gap"
    assert Totals().fold(outcome(1)) == "applied"


def test_a_correction_counts_the_new_outcome_and_takes_the_old_one_back_where_it_counted() -> None:
    totals = folded(("accepted", day(5)), ("cancelled_before_acceptance", day(3)))
    correction = replacing(3, "cancelled_after_acceptance", "cancelled_before_acceptance", day(3), day(3))
    assert totals.fold(correction) == "applied"
    assert totals.lifetime == [1, 0, 0, 1]
    assert totals.days == {TODAY - 5: [1, 0, 0, 0], TODAY - 3: [0, 0, 0, 1]}


def test_a_correction_of_the_day_alone_moves_the_count_and_leaves_all_time_as_it_is() -> None:
    totals = folded(("accepted", day(0)))
    assert totals.fold(replacing(2, "accepted", "accepted", day(9), day(0))) == "applied"
    assert (totals.lifetime, totals.days) == ([1, 0, 0, 0], {TODAY - 9: [1, 0, 0, 0]})


@pytest.mark.parametrize(("kind", "ago"), [("completed", 2), ("accepted", 2), ("accepted", 3)])
def test_a_correction_of_what_does_not_count_shows_that_something_is_missing(kind: OutcomeKind, ago: int) -> None:
    totals = folded(("accepted", day(5)), ("cancelled_after_acceptance", day(2)))
    before = copy_of(totals)
    assert totals.fold(replacing(3, "accepted", kind, day(1), day(ago))) == "gap"
    assert totals == before


def test_a_correction_reaches_a_day_that_was_let_go() -> None:
    totals = folded(("accepted", day(200)), ("accepted", day(1)))
    totals.let_go(TODAY)
    assert totals.fold(replacing(3, "cancelled_before_acceptance", "accepted", day(0), day(200))) == "applied"
    assert totals.lifetime == [1, 1, 0, 0]
    assert totals.window(90, TODAY) == [1, 1, 0, 0]


def test_a_clock_that_went_back_brings_no_day_back() -> None:
    totals = folded(("accepted", day(100)))
    totals.let_go(TODAY)
    totals.let_go(TODAY - 50)
    assert totals.fold(replacing(2, "accepted", "accepted", day(100), day(100))) == "applied"
    assert totals.days == {}


def test_what_comes_late_on_a_day_that_was_let_go_counts_in_all_time_alone() -> None:
    totals = folded(("accepted", day(200)), ("accepted", day(1)))
    totals.let_go(TODAY)
    assert totals.fold(outcome(3, "completed", occurred_at=day(200))) == "applied"
    assert totals.fold(replacing(4, "accepted", "accepted", day(2), day(200))) == "applied"
    assert (totals.lifetime, totals.days) == ([2, 0, 1, 0], {TODAY - 1: [1, 0, 0, 0], TODAY - 2: [1, 0, 0, 0]})


@pytest.mark.parametrize("length", WINDOWS.values())
def test_a_window_has_so_many_days_with_the_present_one(length: int) -> None:
    for ago, inside in ((-1, 0), (0, 1), (length - 1, 1), (length, 0)):
        assert folded(("completed", day(ago))).window(length, TODAY) == [0, 0, inside, 0], ago
    last = datetime.fromisoformat("2026-11-23T23:59:59.999999+00:00")
    totals = folded(("completed", last), ("accepted", last + timedelta(microseconds=1)))
    assert totals.window(length, last.toordinal()) == [0, 0, 1, 0]
    assert totals.window(length, last.toordinal() + length) == [1, 0, 0, 0]


def test_days_are_let_go_only_once_neither_today_nor_the_last_row_needs_them() -> None:
    totals = folded(("completed", day(KEPT_DAYS + 1)), ("completed", day(89)))
    totals.told = Told(2, TODAY - 5, 0, 0, None, above=False)
    totals.let_go(TODAY)
    assert len(totals.days) == 2, "the row of five days ago counted it"
    totals.told = Told(2, TODAY, 0, 0, None, above=False)
    totals.let_go(TODAY)
    assert list(totals.days) == [TODAY - 89]


def test_a_day_that_left_a_window_while_nobody_looked_is_still_told() -> None:
    totals = folded(("completed", day(80)))
    _, totals.told = row_of(SELLER, totals, NOW, None)
    totals.let_go(TODAY + 30)
    assert is_due(totals, TODAY + 30, None)


def test_a_day_that_comes_may_make_up_for_those_that_leave() -> None:
    totals = folded(*[("completed", day(ago)) for ago in (-1, 29, 59, 89)])
    _, totals.told = row_of(SELLER, totals, NOW, None)
    assert totals.windows(TODAY) == totals.windows(TODAY + 1)
    assert not is_due(totals, TODAY + 1, None)
    assert is_due(totals, TODAY + 2, None) is is_due(totals, TODAY + 29, None) is False
    assert is_due(totals, TODAY + 31, None), "the day that lay ahead leaves"


def test_a_day_that_came_and_left_while_nobody_looked_is_not_told() -> None:
    totals = folded(("completed", day(-1)))
    _, totals.told = row_of(SELLER, totals, NOW, None)
    assert is_due(totals, TODAY + 90, None)
    assert not is_due(totals, TODAY + 91, None)


@pytest.mark.parametrize(
    ("counts", "acceptance", "completion", "cancellation"),
    [
        ([0, 0, 0, 0], None, None, None),
        ([3, 0, 0, 0], 1.0, None, None),
        ([0, 1, 0, 0], 0.0, None, 1.0),
        ([0, 0, 0, 1], None, 0.0, 1.0),
        ([0, 0, 2, 0], None, 1.0, 0.0),
        ([2, 1, 0, 0], 0.666667, None, 1.0),
        ([3, 0, 1, 2], 1.0, 0.333333, 0.666667),
        ([7, 1, 5, 1], 0.875, 0.833333, 0.285714),
    ],
)
def test_rates_are_rounded_to_six_places_or_null(
    counts: list[int], acceptance: float | None, completion: float | None, cancellation: float | None
) -> None:
    span = span_of(counts)
    assert [getattr(span, kind) for kind in KINDS] == counts
    rates = (span.acceptance_rate, span.completion_rate, span.cancellation_rate)
    assert rates == (acceptance, completion, cancellation)


def test_a_large_count_keeps_its_rate() -> None:
    assert span_of([0, 0, 10**9 - 1, 1]).completion_rate == 1.0
    assert span_of([0, 0, 2 * 10**6, 1]).cancellation_rate == 0.0


def test_the_row_says_how_far_it_has_counted_and_each_span_on_its_own() -> None:
    totals = folded(("accepted", day(89)), ("completed", day(59)), ("cancelled_before_acceptance", day(29)))
    row, told = row_of(SELLER, totals, NOW, None)
    assert (row.seller_id, row.seq, row.as_of) == (SELLER, 3, NOW)
    assert row.lifetime == row.windows["90d"] == span_of([1, 1, 1, 0])
    assert row.windows == {"30d": span_of([0, 1, 0, 0]), "60d": span_of([0, 1, 1, 0]), "90d": span_of([1, 1, 1, 0])}
    assert told == Told(3, TODAY, cancelled=1, closed=2, average=None, above=False)


def test_a_row_is_compared_with_all_but_itself_as_it_was_counted_last() -> None:
    """The others are 0 of 10 and 5 of 10; this seller was told with 1 of 2, and has 2 of 3 now."""
    totals = folded(*[("cancelled_before_acceptance", day(1))] * 2, ("completed", day(1)))
    totals.told = Told(2, TODAY, cancelled=1, closed=2, average=None, above=False)
    row, _ = row_of(SELLER, totals, NOW, Others([[(10, 2, 5), (2, 1, 1)]]))
    assert row.others_average == 0.25
    totals.told = None
    row, _ = row_of(SELLER, totals, NOW, Others([[(10, 2, 5)]]))
    assert row.others_average == 0.25, "one never told of isn't counted in"


def test_the_row_can_be_read_by_its_topics_own_schema() -> None:
    row, _ = row_of(SELLER, folded(("cancelled_before_acceptance", day(0))), NOW, None)
    envelope = Envelope("msg_1", "/annul", "seller.statistics", None, None)
    assert decode_data(SELLERS_STATISTICS.decoders(), envelope, encode(row)) == row
    assert msgspec.json.decode(encode(row))["lifetime"]["completion_rate"] is None
