"""A seller's rates explained: what is told adds up by hand to what the workers count."""

from datetime import date, timedelta
from math import sqrt

import pytest
from kit.disputed import COUNTS, OTHERS, OUTCOMES, SHARES, TODAY, folded, recorded

from workers.domain.averages import Others, wilson_lower
from workers.domain.explained_outcomes import OutcomeExplained, outcomes_of
from workers.domain.explanation import (
    FORMULAS,
    SPANS,
    Comparison,
    SpanExplained,
    Standing,
    compare,
    counts_of,
    spans_of,
    totals_by_part,
)
from workers.domain.order_effects import OrderExplained, explain_order, thresholds
from workers.domain.statistics import KINDS, DayCounts

DAY = TODAY.date()
EVERYONE = Others(SHARES)
COUNTED_AS = (4, 7)


def explained(today: date = DAY) -> list[OutcomeExplained]:
    return outcomes_of(recorded(), recorded(), today)


def by_hand(outcomes: list[OutcomeExplained]) -> dict[str, list[int]]:
    """Rows of each kind that count in each span."""
    return {
        span: [sum(one.outcome == kind and span in one.counts_in for one in outcomes) for kind in KINDS]
        for span in SPANS
    }


def row(seq: int) -> OutcomeExplained:
    return explained()[seq - 1]


def ends(seq: int) -> dict[str, tuple[str, str]]:
    return {one.span: (one.state, f"{one.leaves_on}") for one in row(seq).windows}


def compared(
    counts: dict[str, list[int]], others: Others | None = EVERYONE, counted_as: tuple[int, int] = COUNTED_AS
) -> Comparison:
    return compare(counts, Standing(others, "nobody said"), counted_as)


# ---------------------------------------------------------------- spans


def test_rows_counted_by_hand_are_the_counts_of_each_span() -> None:
    assert by_hand(explained()) == COUNTS == counts_of(folded(), DAY.toordinal())


def test_rows_counted_by_hand_stay_right_as_days_go_by() -> None:
    totals = folded()
    for passed in range(-160, 130):
        today = DAY + timedelta(days=passed)
        assert by_hand(explained(today)) == counts_of(totals, today.toordinal()), today


def test_each_rate_is_the_value_of_its_written_out_division() -> None:
    for span in spans_of(COUNTS, DAY):
        words = {
            "cancelled before acceptance": span.cancelled_before_acceptance,
            "cancelled after acceptance": span.cancelled_after_acceptance,
            "cancelled before": span.cancelled_before_acceptance,
            "completed": span.completed,
            "accepted": span.accepted,
        }
        for name, formula in FORMULAS.items():
            division = getattr(span, name)
            assert division.value == round(eval(division.numbers), 6)
            in_numbers = formula
            for word, count in words.items():
                in_numbers = in_numbers.replace(word, f"{count}")
            assert in_numbers == division.numbers


def test_a_span_in_which_nothing_counts_has_no_rates() -> None:
    (span, *_) = spans_of({name: [0, 0, 0, 0] for name in SPANS}, DAY)
    assert [getattr(span, name).value for name in FORMULAS] == [None, None, None]
    assert span.cancellation.numbers == "(0 + 0) / (0 + 0 + 0)"


def test_a_window_has_its_days_today_included_and_the_lifetime_has_all() -> None:
    assert {one.span: (one.first_day, one.last_day) for one in spans_of(COUNTS, DAY)} == {
        "lifetime": (None, None),
        "90d": (date(2026, 8, 27), DAY),
        "60d": (date(2026, 9, 26), DAY),
        "30d": (date(2026, 10, 26), DAY),
    }


# ---------------------------------------------------------------- outcomes


def test_a_reclassified_cancellation_says_what_it_took_back_and_from_where() -> None:
    first, back = row(9), row(11).takes_back
    assert (first.taken_back_by, first.counts_in, first.windows) == (11, [], [])
    assert back is not None
    assert (back.seq, back.outcome, f"{back.day}") == (9, "cancelled_before_acceptance", "2026-11-02")
    assert back.taken_from == ["lifetime", "90d", "60d", "30d"]


def test_a_corrected_day_is_taken_from_where_it_had_counted() -> None:
    back = row(8).takes_back
    assert back is not None
    assert (back.seq, f"{back.day}", back.taken_from) == (6, "2026-10-20", ["lifetime", "90d", "60d"])
    assert (row(8).counts_in, row(6).taken_back_by) == (["lifetime", "90d"], 8)


def test_days_leave_windows_to_the_day() -> None:
    assert ends(5)["60d"] == ("inside", "2026-11-25"), "the first instant of the window's first day"
    assert ends(8)["60d"] == ("left", "2026-11-24"), "the last instant of the day before it"
    assert ends(3)["90d"] == ("left", "2026-11-24")
    assert ends(14)["30d"] == ("inside", "2026-12-24")


def test_a_day_to_come_is_in_no_window_yet() -> None:
    assert row(17).counts_in == ["lifetime"]
    assert {(one.state, f"{one.from_day}") for one in row(17).windows} == {("to_come", "2026-11-25")}


def test_what_happened_on_an_earlier_day_than_the_one_before_it_is_late() -> None:
    assert [one.seq for one in explained() if one.late] == [8, 10, 12, 15, 16]


# ---------------------------------------------------------------- one order


def effects(order_id: str) -> OrderExplained:
    related = [one for one in recorded() if one.order_id == order_id]
    cuts = thresholds(related)
    totals = [folded(OUTCOMES[: cut - 1]) for cut in cuts]
    return explain_order(order_id, related, cuts, [*totals, folded()], DAY, Standing(EVERYONE))


def counts(span: SpanExplained) -> list[int]:
    return [getattr(span, kind) for kind in KINDS]


@pytest.mark.parametrize("order_id", sorted({one.order_id for one in OUTCOMES}))
def test_before_and_after_are_what_was_counted_up_to_then(order_id: str) -> None:
    for effect in effects(order_id).effects:
        before, after = (counts_of(folded(OUTCOMES[:seq]), DAY.toordinal()) for seq in (effect.seq - 1, effect.seq))
        assert [counts(one.before) for one in effect.changes] == [before[span] for span in SPANS]
        assert [counts(one.after) for one in effect.changes] == [after[span] for span in SPANS]
        assert [one.changed for one in effect.changes] == [before[span] != after[span] for span in SPANS]


@pytest.mark.parametrize("order_id", sorted({one.order_id for one in OUTCOMES}))
def test_without_an_order_is_what_would_be_counted_had_it_never_been(order_id: str) -> None:
    told = effects(order_id)
    never = counts_of(folded(one for one in OUTCOMES if one.order_id != order_id), DAY.toordinal())
    assert [counts(one.after) for one in told.without] == [never[span] for span in SPANS]
    assert [counts(one.before) for one in told.without] == [COUNTS[span] for span in SPANS]
    assert told.comparison_without.others_average == OTHERS[2], "the others stay who they are"


def test_an_expired_order_changes_the_lifetime_alone() -> None:
    assert [[one.span for one in effect.changes if one.changed] for effect in effects("ord_a").effects] == [
        ["lifetime"],
        ["lifetime"],
    ]


def test_parts_of_days_add_up() -> None:
    def counted(part: int, seq: int, *four: int, ago: int) -> tuple[int, DayCounts]:
        return part, DayCounts(DAY - timedelta(days=ago), seq, *four)

    rows = [counted(2, 9, 0, 0, 0, 1, ago=1), counted(0, 3, 2, 0, 1, 0, ago=1), counted(0, 2, 1, 0, 0, 0, ago=70)]
    found = totals_by_part(rows, 3, DAY.toordinal())
    assert [one.seq for one in found] == [3, 3, 9]
    assert [one.lifetime for one in found] == [[3, 0, 1, 0], [3, 0, 1, 0], [3, 0, 1, 1]]
    assert found[2].window(60, DAY.toordinal()) == [2, 0, 1, 1]
    (nothing,) = totals_by_part([], 1, DAY.toordinal())
    assert (nothing.seq, nothing.lifetime) == (0, [0, 0, 0, 0])


# ---------------------------------------------------------------- the others


def test_the_others_average_is_their_sum_by_their_number() -> None:
    told = compared(COUNTS)
    assert (told.others, told.others_rates_sum, told.others_average) == OTHERS
    assert (told.cancelled, told.closed, told.cancellation_rate) == (4, 7, 0.571429)
    assert told.above_average


@pytest.mark.parametrize("four", [[2, 3, 3, 1], [0, 0, 9, 1], [0, 0, 4, 0], [5, 1, 0, 0], [0, 400, 600, 0]])
def test_the_lower_bound_follows_from_the_numbers_told(four: list[int]) -> None:
    told = compared({"60d": four})
    assert told.wilson is not None
    p, n, z = told.wilson.p, told.wilson.n, told.wilson.z
    assert told.wilson.middle == pytest.approx(p + z**2 / (2 * n))
    assert told.wilson.spread == pytest.approx(z * sqrt(p * (1 - p) / n + z**2 / (4 * n**2)))
    assert told.wilson.divisor == pytest.approx(1 + z**2 / n)
    bound = (told.wilson.middle - told.wilson.spread) / told.wilson.divisor
    assert told.wilson.lower_bound == wilson_lower(told.cancelled, told.closed) == pytest.approx(bound, abs=1e-7)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (compared(COUNTS), "the lower bound 0.250458 is above the others' average 0.140000"),
        (compared({"60d": [0, 1, 1, 0]}), "the lower bound 0.094531 is not above the others' average 0.140000"),
        (compared(COUNTS, None), "not compared: nobody said"),
        (compared(COUNTS, Others([[(7, 1, 4)]])), "not compared: no other seller has a closed order within 60d"),
        (compared(COUNTS, Others([])), "not compared: no other seller has a closed order within 60d"),
        (compared({"60d": [3, 0, 0, 0]}, counted_as=(0, 0)), "not compared: the seller has no closed order within 60d"),
    ],
)
def test_it_is_said_why_a_seller_is_above_or_not(told: Comparison, why: str) -> None:
    assert told.why == why
    assert told.above_average is ("is above" in why)


def test_a_bound_that_is_above_by_less_than_is_shown_is_shown_closer() -> None:
    average = round(wilson_lower(4, 7), 6)
    assert wilson_lower(4, 7) > average
    exact = Others([[(1_000_000, 1, int(average * 1_000_000)), (7, 1, 4)]])
    assert (
        compared(COUNTS, exact).why
        == f"the lower bound {wilson_lower(4, 7):.12f} is above the others' average {average:.6f}"
    )
