"""Which rate an order touches, on which day, whatever order its events arrive in (SPEC R5, §6)."""

from datetime import datetime, timedelta
from typing import Final

import pytest
from kit.builders import CANCELLED_AT, NOW, SELLER, accepted, arrivals, at, cancelled, completed, delivered, placed
from kit.memory import OrdersInMemory
from msgspec.structs import replace

from schemas.orders import OrderEvent
from schemas.sellers import Replaced, SellerOutcome
from workers.domain.seller import numbered

BEFORE: Final = "cancelled_before_acceptance"
AFTER: Final = "cancelled_after_acceptance"


def outcomes(*events: OrderEvent) -> list[SellerOutcome]:
    store = OrdersInMemory()
    for minutes, event in enumerate(events, start=1):
        store.take(event, at(minutes))
    assert [one.seq for one in store.outcomes] == list(range(1, len(store.outcomes) + 1))
    return store.outcomes


def counted(*events: OrderEvent) -> set[tuple[str, datetime]]:
    """What counts in the end: outcomes with their times, corrections taken off."""
    standing: list[tuple[str, datetime]] = []
    for one in outcomes(*events):
        if one.replaces is not None:
            standing.remove((one.replaces.outcome, one.replaces.occurred_at))
        standing.append((one.outcome, one.occurred_at))
    assert len(set(standing)) == len(standing)
    return set(standing)


def test_before_acceptance_a_cancellation_lowers_the_acceptance_rate() -> None:
    assert counted(placed(), cancelled(stage="awaiting_acceptance")) == {(BEFORE, CANCELLED_AT)}


@pytest.mark.parametrize("stage", ["in_progress", "delivered"])
def test_after_acceptance_a_cancellation_lowers_the_completion_rate(stage: str) -> None:
    events = accepted(), cancelled(stage=stage)
    assert counted(*events) == {("accepted", at(-60)), (AFTER, CANCELLED_AT)}


@pytest.mark.parametrize("who", ["client", "seller", "support", "system"])
def test_a_cancellation_counts_whoevers_fault_it_is(who: str) -> None:
    assert counted(cancelled(cancelled_by=who)) == {("accepted", CANCELLED_AT), (AFTER, CANCELLED_AT)}


@pytest.mark.parametrize("stage", ["in_progress", "delivered"])
def test_a_later_stage_implies_the_acceptance_on_the_day_of_the_cancellation(stage: str) -> None:
    assert counted(cancelled(stage=stage)) == {("accepted", CANCELLED_AT), (AFTER, CANCELLED_AT)}


def test_a_delivery_implies_the_acceptance_on_its_day() -> None:
    assert counted(delivered()) == {("accepted", at(-30))}


def test_a_completion_implies_the_acceptance_on_its_day() -> None:
    assert counted(completed()) == {("accepted", at(-10)), ("completed", at(-10))}


def test_the_day_of_the_accepted_event_takes_the_place_of_an_implied_one() -> None:
    assert outcomes(delivered(), accepted())[-1] == SellerOutcome(
        seller_id=SELLER,
        order_id="ord_1",
        seq=2,
        outcome="accepted",
        occurred_at=at(-60),
        replaces=Replaced(outcome="accepted", occurred_at=at(-30)),
    )


def test_an_accepted_event_at_the_implied_time_corrects_nothing() -> None:
    assert len(outcomes(delivered(), accepted(occurred_at=at(-30)))) == 1


def test_an_implied_time_never_takes_the_place_of_the_accepted_event() -> None:
    assert counted(accepted(), delivered(), cancelled()) == {("accepted", at(-60)), (AFTER, CANCELLED_AT)}
    assert len(outcomes(accepted(), delivered(), cancelled())) == 2


def test_a_late_accepted_event_moves_the_cancellation_to_the_completion_rate() -> None:
    late = outcomes(cancelled(stage="awaiting_acceptance"), accepted())
    assert [(one.outcome, one.occurred_at, one.replaces) for one in late] == [
        (BEFORE, CANCELLED_AT, None),
        ("accepted", at(-60), None),
        (AFTER, CANCELLED_AT, Replaced(outcome=BEFORE, occurred_at=CANCELLED_AT)),
    ]


def test_an_accepted_event_after_a_stage_that_implied_it_corrects_the_day_alone() -> None:
    late = outcomes(cancelled(stage="in_progress"), accepted())
    assert [one.outcome for one in late] == ["accepted", AFTER, "accepted"]


def test_a_late_delivery_moves_the_cancellation_too() -> None:
    events = cancelled(stage="awaiting_acceptance"), delivered()
    assert counted(*events) == {("accepted", at(-30)), (AFTER, CANCELLED_AT)}


def test_an_acceptance_at_the_moment_of_the_cancellation_came_before_it() -> None:
    expected = {("accepted", CANCELLED_AT), (AFTER, CANCELLED_AT)}
    for order in arrivals(accepted(occurred_at=CANCELLED_AT), cancelled(stage="awaiting_acceptance")):
        assert counted(*order) == expected


def test_an_acceptance_after_the_cancellation_counts_for_nothing() -> None:
    for order in arrivals(accepted(occurred_at=at(5)), cancelled(stage="awaiting_acceptance")):
        assert counted(*order) == {(BEFORE, CANCELLED_AT)}


def test_an_acceptance_counted_too_soon_is_taken_back() -> None:
    late = outcomes(accepted(occurred_at=at(5)), cancelled(stage="awaiting_acceptance"))
    assert late[-1].outcome == BEFORE
    assert late[-1].replaces == Replaced(outcome="accepted", occurred_at=at(5))


def test_a_real_acceptance_still_counts_after_one_was_taken_back() -> None:
    events = accepted(occurred_at=at(5)), cancelled(stage="awaiting_acceptance"), accepted()
    assert counted(*events) == {("accepted", at(-60)), (AFTER, CANCELLED_AT)}


@pytest.mark.parametrize(
    "events",
    [
        (accepted(), delivered(), cancelled(stage="delivered")),
        (accepted(), delivered(occurred_at=at(5)), cancelled()),
        (accepted(occurred_at=at(5)), cancelled(stage="in_progress")),
        (accepted(occurred_at=at(5)), delivered(), cancelled(stage="awaiting_acceptance")),
        (accepted(occurred_at=at(5)), delivered(occurred_at=at(6)), cancelled(stage="awaiting_acceptance")),
        (delivered(), cancelled(stage="in_progress")),
        (accepted(), delivered(), completed()),
        (delivered(), completed()),
        (delivered(occurred_at=at(-5)), completed(), accepted(occurred_at=at(-1))),
    ],
)
def test_what_counts_does_not_depend_on_the_order_of_arrival(events: tuple[OrderEvent, ...]) -> None:
    assert len({frozenset(counted(*order)) for order in arrivals(*events)}) == 1


def test_a_duplicate_of_any_event_counts_nothing() -> None:
    once = (placed(), accepted(), delivered(), completed())
    store = OrdersInMemory()
    labels = [store.take(event, NOW).label for event in (*once, *once)]
    assert labels == ["applied"] * 4 + ["duplicate"] * 4
    assert [one.outcome for one in store.outcomes] == ["accepted", "completed"]


def test_outcomes_are_numbered_without_a_gap_over_all_orders_of_a_seller() -> None:
    events = [event(f"ord_{number}") for number in range(5) for event in (delivered, accepted, cancelled)]
    assert len(outcomes(*events)) == 15


def test_sellers_are_numbered_each_for_themselves() -> None:
    store = OrdersInMemory()
    for number in range(3):
        store.take(cancelled(f"ord_{number}", seller_id=f"sel_{number}", stage="awaiting_acceptance"), NOW)
    assert [(one.seller_id, one.seq) for one in store.outcomes] == [("sel_0", 1), ("sel_1", 1), ("sel_2", 1)]


def test_outcomes_counted_within_a_batch_are_numbered_on_after_the_sellers_last() -> None:
    within = outcomes(delivered(), accepted())
    assert [numbered(one, 0).seq for one in within] == [1, 2]
    assert [numbered(one, 40).seq for one in within] == [41, 42]
    assert replace(numbered(within[1], 40), seq=2) == within[1]


def test_outcomes_are_sent_to_the_sellers_topic_as_they_are_recorded() -> None:
    store = OrdersInMemory()
    store.take(delivered(), NOW)
    store.take(accepted(), NOW + timedelta(seconds=1))
    sent = store.sent("seller.outcome")
    assert [emission.data for emission in sent] == store.outcomes
    assert {(emission.topic, emission.key) for emission in sent} == {("sellers.outcomes.v1", SELLER)}
    assert len({emission.id for emission in sent}) == 2
