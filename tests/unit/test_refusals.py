"""After a cancellation the collaboration has stopped and no order comes back to life (SPEC R3, R6)."""

import pytest
from kit.builders import CANCELLED_AT, NOW, ORDER, accepted, at, cancelled, completed, delivered, placed, reactivation
from kit.memory import OrdersInMemory

from schemas.orders import OrderEvent, OrderRefused
from workers.domain.order_types import OrderDecision


def after(*events: OrderEvent) -> tuple[OrdersInMemory, OrderDecision]:
    store = OrdersInMemory()
    decisions = [store.take(event, at(minutes)) for minutes, event in enumerate(events, start=1)]
    return store, decisions[-1]


def refused(store: OrdersInMemory) -> list[OrderRefused]:
    return [emission.data for emission in store.sent("order.refused") if isinstance(emission.data, OrderRefused)]


LATE: list[tuple[str, OrderEvent]] = [
    ("order.accepted", accepted(occurred_at=at(5))),
    ("order.delivered", delivered(occurred_at=at(5))),
    ("order.completed", completed(occurred_at=at(5))),
    ("order.reactivation_requested", reactivation(occurred_at=at(5))),
]


@pytest.mark.parametrize(("type_", "event"), LATE)
def test_what_happened_after_the_cancellation_is_refused_visibly(type_: str, event: OrderEvent) -> None:
    store, decision = after(cancelled(), event)
    assert decision.label == "refused"
    assert decision.fault is None
    assert refused(store) == [
        OrderRefused(order_id=ORDER, attempted=type_, reason="order_cancelled", occurred_at=at(5))
    ]
    emission = store.sent("order.refused")[0]
    assert (emission.topic, emission.key) == ("orders.refused.v1", ORDER)


@pytest.mark.parametrize(("type_", "event"), LATE)
def test_a_refused_event_changes_nothing(type_: str, event: OrderEvent) -> None:
    before, _ = after(cancelled())
    store, decision = after(cancelled(), event)
    assert store.orders == before.orders
    assert store.outcomes == before.outcomes
    assert store.waiting == before.waiting
    assert decision.transfers == ()


@pytest.mark.parametrize(("type_", "event"), LATE)
def test_a_refusal_is_told_again_under_the_same_id(type_: str, event: OrderEvent) -> None:
    store, _ = after(cancelled(), event, event)
    sent = store.sent("order.refused")
    assert len(sent) == 2
    assert sent[0].id == sent[1].id


def test_two_attempts_at_different_times_are_two_refusals() -> None:
    store, _ = after(cancelled(), reactivation(occurred_at=at(5)), reactivation(occurred_at=at(6)))
    assert len({emission.id for emission in store.sent("order.refused")}) == 2


@pytest.mark.parametrize(("type_", "event"), [row for row in LATE if row[0] != "order.completed"])
def test_what_was_honoured_too_soon_is_refused_once_the_cancellation_is_known(type_: str, event: OrderEvent) -> None:
    first, decision = after(event)
    assert decision.label == "applied"
    assert refused(first) == []
    store, _ = after(event, cancelled(stage="awaiting_acceptance"))
    assert [(one.attempted, one.occurred_at) for one in refused(store)] == [(type_, at(5))]


@pytest.mark.parametrize(
    "event",
    [*(event for type_, event in LATE if type_ != "order.completed"), reactivation(occurred_at=at(-5))],
)
def test_the_refusal_is_the_same_message_whichever_came_first(event: OrderEvent) -> None:
    in_time, _ = after(cancelled(), event)
    in_hindsight, _ = after(event, cancelled())
    assert [one.id for one in in_time.sent("order.refused")] == [one.id for one in in_hindsight.sent("order.refused")]


@pytest.mark.parametrize("event", [accepted(), delivered()])
def test_what_happened_before_the_cancellation_is_honoured_though_it_arrives_late(event: OrderEvent) -> None:
    store, decision = after(cancelled(stage="awaiting_acceptance"), event)
    assert decision.label == "applied"
    assert refused(store) == []


@pytest.mark.parametrize("event", [accepted, delivered])
def test_the_moment_of_the_cancellation_itself_is_still_before_it(event: type) -> None:
    store, decision = after(cancelled(), event(occurred_at=CANCELLED_AT))
    assert decision.label == "applied"
    assert refused(store) == []
    assert refused(after(event(occurred_at=CANCELLED_AT), cancelled())[0]) == []


@pytest.mark.parametrize("event", [accepted(), delivered()])
def test_an_honoured_event_stays_honoured_when_it_comes_again(event: OrderEvent) -> None:
    store, decision = after(event, cancelled(), event)
    assert decision.label == "duplicate"
    assert refused(store) == []


@pytest.mark.parametrize("event", [accepted(occurred_at=at(5)), delivered(occurred_at=at(5))])
def test_an_event_refused_in_hindsight_is_refused_when_it_comes_again(event: OrderEvent) -> None:
    store, decision = after(event, cancelled(), event)
    assert decision.label == "refused"
    assert len({emission.id for emission in store.sent("order.refused")}) == 1


def test_the_recorded_order_forgets_what_was_refused_in_hindsight() -> None:
    late = accepted(occurred_at=at(5)), delivered(occurred_at=at(6))
    store, _ = after(*late, cancelled(stage="awaiting_acceptance"))
    order = store.orders[ORDER]
    assert (order.accepted_at, order.delivered_at, order.counted_accepted_at) == (None, None, None)


@pytest.mark.parametrize("minutes", [-10, 0])
def test_a_completion_that_says_it_came_first_is_refused_and_parked(minutes: float) -> None:
    store, decision = after(cancelled(), completed(occurred_at=at(minutes)))
    assert decision.label == "refused"
    assert decision.fault is not None
    assert (decision.fault.reason, decision.fault.field) == ("completed_before_cancelled", "occurred_at")
    assert [(one.attempted, one.reason) for one in refused(store)] == [("order.completed", "order_cancelled")]
    assert store.orders[ORDER].completed_at is None
    assert "completed" not in {one.outcome for one in store.outcomes}


def test_a_completion_after_the_cancellation_is_refused_and_nobody_needs_to_look() -> None:
    _, decision = after(cancelled(), completed(occurred_at=at(0.001)))
    assert decision.label == "refused"
    assert decision.fault is None


def test_a_reactivation_of_an_order_that_lives_is_only_noted() -> None:
    store, decision = after(placed(), reactivation())
    assert decision.label == "applied"
    assert decision.emissions == ()
    assert store.orders[ORDER].cancelled_at is None
    assert store.orders[ORDER].reactivation_at == at(0.5)


def test_a_noted_reactivation_again_is_a_duplicate() -> None:
    _, decision = after(reactivation(), reactivation())
    assert decision.label == "duplicate"


def test_no_reactivation_brings_an_order_back() -> None:
    store, _ = after(reactivation(), cancelled(), reactivation(), reactivation(occurred_at=at(60 * 24 * 30)))
    order = store.orders[ORDER]
    assert order.cancelled_at == CANCELLED_AT
    assert len(store.refunds) == 1


@pytest.mark.parametrize("minutes", [-60, 0, 5])
def test_a_reactivation_asked_of_a_cancelled_order_is_refused_whenever_it_says_it_happened(minutes: float) -> None:
    store, decision = after(cancelled(), reactivation(occurred_at=at(minutes)))
    assert decision.label == "refused"
    assert [one.attempted for one in refused(store)] == ["order.reactivation_requested"]


def test_a_placed_event_after_the_cancellation_is_recorded_and_brings_nothing_back() -> None:
    store, decision = after(cancelled(), placed())
    assert decision.label == "applied"
    assert decision.emissions == ()
    assert store.orders[ORDER].placed_at == at(-120)
    assert store.orders[ORDER].cancelled_at == CANCELLED_AT


def test_each_change_of_an_order_raises_its_revision_by_one() -> None:
    store = OrdersInMemory()
    events: tuple[OrderEvent, ...] = (placed(), accepted(), delivered(), reactivation(), cancelled())
    for expected, event in enumerate(events, start=1):
        store.take(event, NOW)
        assert store.orders[ORDER].revision == expected
    store.take(cancelled(), NOW)
    store.take(completed(), NOW)
    assert store.orders[ORDER].revision == 5
