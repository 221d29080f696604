"""Who is advised, when, and from which numbers (SPEC R9)."""

from datetime import timedelta

import pytest
from kit.advising import advice, judged, numbers
from kit.builders import NOW, SELLER

from schemas.sellers import SellerAdvice
from workers.domain.advice import Standing, advice_of, decide_standing
from workers.domain.notices.advice import texts_of
from workers.domain.notices.rules import decide_advice

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def crossed(since: int = 0, *, advised: bool = True, advised_day: int | None = 0) -> Standing:
    """Above since a day, counted from NOW."""
    at = None if advised_day is None else NOW + advised_day * DAY
    return Standing(SELLER, above=True, since=NOW + since * DAY, advised=advised, advised_at=at)


def test_who_comes_to_be_above_is_advised_at_once() -> None:
    assert decide_standing(None, judged(), NOW) == (crossed(), True)


def test_of_who_is_below_nothing_is_kept() -> None:
    assert decide_standing(None, judged(above=False), NOW) == (None, False)


def test_who_stays_above_is_advised_once_however_long_it_lasts() -> None:
    for days in (0, 1, 29, 30, 31, 365):
        assert decide_standing(crossed(), judged(cancelled=days + 7), NOW + days * DAY) == (crossed(), False)


def test_a_crossing_too_soon_after_an_advice_waits_until_the_30_days_are_over() -> None:
    below, _ = decide_standing(crossed(), judged(above=False), NOW + 5 * DAY)
    assert below == Standing(SELLER, above=False, since=NOW + 5 * DAY, advised=False, advised_at=NOW)
    waiting, advise = decide_standing(below, judged(), NOW + 10 * DAY)
    assert (waiting, advise) == (crossed(10, advised=False), False)
    assert decide_standing(waiting, judged(), NOW + 30 * DAY - MOMENT) == (waiting, False)
    assert decide_standing(waiting, judged(), NOW + 30 * DAY) == (crossed(10, advised_day=30), True)


def test_who_fell_below_before_the_30_days_are_over_is_not_advised() -> None:
    below, advise = decide_standing(crossed(10, advised=False), judged(above=False), NOW + 20 * DAY)
    assert not advise
    assert decide_standing(below, judged(above=False), NOW + 40 * DAY) == (below, False)


def test_a_new_crossing_after_30_days_is_advised_at_once() -> None:
    below, _ = decide_standing(crossed(), judged(above=False), NOW + 5 * DAY)
    assert decide_standing(below, judged(), NOW + 31 * DAY) == (crossed(31, advised_day=31), True)


@pytest.mark.parametrize("known", [None, crossed(), crossed(3, advised=False)])
@pytest.mark.parametrize("above", [True, False])
def test_where_the_others_are_not_known_nobody_crosses_either_way(known: Standing | None, *, above: bool) -> None:
    assert decide_standing(known, judged(above=above, others_average=None), NOW + 60 * DAY) == (known, False)


def test_a_clock_that_stands_behind_names_no_two_crossings_alike() -> None:
    below, _ = decide_standing(crossed(), judged(above=False), NOW - DAY)
    again, advise = decide_standing(below, judged(), NOW - DAY)
    assert again is not None
    assert again.since > NOW
    assert not advise


def test_an_advice_says_from_which_numbers_it_follows_and_is_named_by_its_crossing() -> None:
    told = numbers(cancelled=7, closed=20, others_average=0.1240004)
    later = advice_of(crossed(10, advised_day=30), told, texts_of(told, None), NOW + 30 * DAY)
    sent = later.emission
    assert (sent.topic, sent.type, sent.key) == ("sellers.advice.v1", "seller.advice", SELLER)
    assert later.due_at == NOW + 30 * DAY, "at once"
    assert isinstance(sent.data, SellerAdvice)
    assert sent.data.issued_at == NOW + 30 * DAY
    found = sent.data.numbers
    assert (found.as_of, found.window_days, found.cancelled, found.closed) == (NOW.date(), 60, 7, 20)
    assert (found.cancellation_rate, found.lower_bound, found.others_average) == (0.35, 0.181192, 0.124)
    again = advice_of(crossed(10, advised_day=31), numbers(cancelled=8), texts_of(told, None), NOW + 31 * DAY)
    assert (again.schedule_id, again.emission.id) == (later.schedule_id, sent.id), "the same crossing"
    other = advice_of(crossed(11), told, texts_of(told, None), NOW + 30 * DAY)
    assert {other.schedule_id, other.emission.id}.isdisjoint({later.schedule_id, sent.id})


def test_the_seller_is_told_once_an_advice() -> None:
    said = decide_advice(advice(), "fr-FR", (), None)
    (one,) = said.notices
    assert (said.label, one.kind, one.recipient_id, one.about) == ("applied", "seller", SELLER, "advice")
    assert (one.order_id, one.locale) == (None, "fr-FR")
    assert one.facts == {
        "fact": "seller.advice",
        "kind": "above_average",
        "as_of": NOW.date().isoformat(),
        "window_days": 60,
        "cancelled": 7,
        "closed": 20,
        "cancellation_rate": "0.350000",
        "lower_bound": "0.181192",
        "others_average": "0.124000",
    }
    again = decide_advice(advice(), "fr-FR", {one.notification_id}, None)
    assert (again.label, again.notices) == ("duplicate", ())
    (another,) = decide_advice(advice(issued_at=NOW + 40 * DAY), None, {one.notification_id}, None).notices
    assert (another.notification_id != one.notification_id, another.locale) == (True, "en")
