"""The average of the other sellers, and when a rate is above it beyond doubt (SPEC §6, R9)."""

from datetime import timedelta

import pytest
from kit.builders import NOW, SELLER, outcome

from workers.domain.averages import Others, Share, wilson_lower
from workers.domain.statistics import Told, Totals, has_moved, is_above, is_due

TODAY = NOW.toordinal()


@pytest.mark.parametrize(
    ("cancelled", "closed", "lower"),
    [
        (0, 5, 0.0),
        (1, 2, 0.094531),
        (2, 2, 0.342380),
        (10, 20, 0.299298),
        (1, 10, 0.017876),
        (81, 263, 0.255289),
    ],
)
def test_the_lower_bound_of_a_rate_is_what_textbooks_give(cancelled: int, closed: int, lower: float) -> None:
    """The last is an example of Newcombe's (1998): 0.2553 to 0.3662 by Wilson's method."""
    assert wilson_lower(cancelled, closed) == pytest.approx(lower, abs=1e-6)


def test_one_cancelled_order_of_two_brands_nobody() -> None:
    assert not is_above(1, 2, 0.1)
    assert is_above(10, 20, 0.1)


def test_a_seller_is_above_only_where_there_is_something_to_be_above() -> None:
    assert not is_above(10, 10, None)
    assert not is_above(0, 0, 0.0)
    assert not is_above(0, 10, 0.0)
    assert is_above(1, 2, 0.0)


def test_the_average_is_that_of_the_rates_and_not_of_the_orders() -> None:
    """Sellers of 1 of 2, 0 of 98 and 3 of 4."""
    others = Others([[(2, 1, 1), (98, 1, 0)], [(4, 1, 3)]])
    assert others.average_without(1, 2) == 0.375
    assert others.average_without(0, 98) == 0.625
    assert others.average_without(0, 0) == 0.416667, "who has no closed order is compared with all"


def test_nobody_else_is_no_average() -> None:
    assert Others([]).average_without(0, 0) is None
    assert Others([[(3, 1, 1)]]).average_without(1, 3) is None
    assert Others([[(3, 1, 1)]]).average_without(0, 0) == 0.333333


def test_a_share_counts_sellers_without_a_closed_order_nowhere() -> None:
    share = Share()
    share.add(0, 0)
    assert share.parts() == []
    share.add(1, 3)
    share.remove(0, 0)
    share.remove(1, 3)
    assert share.parts() == []


@pytest.mark.parametrize(
    ("told", "now", "moved"),
    [
        (0.1, 0.101, False),
        (0.101, 0.1, False),
        (0.1, 0.101001, True),
        (0.3, 0.301, False),
        (None, 0.0, True),
        (0.0, None, True),
        (None, None, False),
    ],
)
def test_an_average_moves_by_more_than_a_thousandth(told: float | None, now: float | None, moved: bool) -> None:
    assert has_moved(told, now) is moved


def totals(cancelled: int, closed: int, average: float | None, *, above: bool) -> Totals:
    """A seller told of today with these numbers."""
    found = Totals()
    for seq in range(1, closed + 1):
        kind = "cancelled_before_acceptance" if seq <= cancelled else "completed"
        found.fold(outcome(seq, kind, occurred_at=NOW - timedelta(days=40)))
    found.told = Told(closed, TODAY, cancelled, closed, average, above)
    return found


def population(average: float, cancelled: int, closed: int) -> Others:
    """A thousand others with that average, and the seller."""
    return Others([[(1000, 1000, round(average * 1000 * 1000))], [(closed, 1, cancelled)]])


def test_a_row_is_told_again_where_the_others_moved_or_the_verdict_flips() -> None:
    found = totals(10, 20, 0.299, above=True)  # at least 0.2993, to be sure
    assert not is_due(found, TODAY, population(0.299, 10, 20))
    assert not is_due(found, TODAY, population(0.298, 10, 20))
    assert is_due(found, TODAY, population(0.297999, 10, 20)), "moved"
    assert is_due(found, TODAY, population(0.2994, 10, 20)), "not above any more"
    assert not is_due(found, TODAY, None), "while the others aren't known, what was told stands"


def test_a_row_is_told_again_once_there_are_others_and_once_there_are_none() -> None:
    assert is_due(totals(1, 2, None, above=False), TODAY, population(0.2, 1, 2))
    assert not is_due(totals(1, 2, None, above=False), TODAY, Others([[(2, 1, 1)]]))
    assert is_due(totals(1, 2, 0.2, above=False), TODAY, Others([[(2, 1, 1)]]))


def test_a_row_is_told_again_for_what_was_counted_since_and_for_who_was_never_told_of() -> None:
    found = totals(1, 2, 0.2, above=False)
    assert found.fold(outcome(3, seller_id=SELLER)) == "applied"
    assert is_due(found, TODAY, None)
    found.told = None
    assert is_due(found, TODAY, None)


def test_others_follow_a_seller_whose_numbers_change() -> None:
    others = Others([[(2, 1, 1), (10, 1, 0)]])
    others.change((1, 2), (2, 3))
    assert others.average_without(0, 10) == 0.666667
    assert others.average_without(2, 3) == 0.0
    others.change((0, 0), (1, 1))
    assert others.average_without(0, 10) == 0.833333
    others.change((1, 1), (0, 0))
    others.change((2, 3), (0, 0))
    assert others.average_without(0, 10) is None
