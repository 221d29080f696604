"""A cancellation heard again, with other money, of an order with other parties, or of one that was paid out."""

import pytest
from kit.builders import (
    CONVERSATION,
    NOW,
    ORDER,
    POLICY,
    accepted,
    at,
    cancelled,
    completed,
    delivered,
    escrow,
    known,
    order,
    placed,
    tender,
)
from kit.memory import OrdersInMemory

from schemas.orders import Escrow, OrderEvent, OrderRefused
from workers.domain.order_types import OrderDecision
from workers.domain.orders import decide_order_event

SPLIT = (tender("tnd_1", captured_minor=4500), tender("tnd_2", captured_minor=500, provider="wallet"))


def after(*events: OrderEvent) -> tuple[OrdersInMemory, OrderDecision]:
    """The store after all of `events`, and the decision on the last."""
    store = OrdersInMemory()
    decisions = [store.take(event, at(minutes)) for minutes, event in enumerate(events, start=1)]
    return store, decisions[-1]


def has_no_effect(decision: OrderDecision) -> bool:
    return not (
        decision.refunds
        or decision.transfers
        or decision.outcomes
        or decision.later
        or decision.withdrawn
        or [emission for emission in decision.emissions if emission.type != "order.refused"]
    )


def test_the_same_cancellation_again_is_a_duplicate_with_no_effect() -> None:
    store, decision = after(cancelled(), cancelled())
    assert decision.label == "duplicate"
    assert decision.fault is None
    assert decision.emissions == ()
    assert has_no_effect(decision)
    assert decision.known == after(cancelled())[1].known
    assert len(store.refunds) == 1


def test_the_order_of_tenders_makes_no_other_cancellation() -> None:
    _, decision = after(cancelled(ORDER, *SPLIT), cancelled(ORDER, *reversed(SPLIT)))
    assert decision.label == "duplicate"
    assert has_no_effect(decision)


def test_words_beside_the_money_make_no_other_cancellation() -> None:
    again = cancelled(cancelled_at=at(3), cancelled_by="support", reason="another", stage="delivered")
    _, decision = after(cancelled(), again)
    assert decision.label == "duplicate"
    assert has_no_effect(decision)


@pytest.mark.parametrize(
    "money",
    [
        escrow(tender(captured_minor=4501)),
        escrow(tender(refunded_minor=1)),
        escrow(tender(refunded_minor=4500)),
        escrow(tender(provider="paypal")),
        escrow(tender(reference="pi_other")),
        escrow(tender(), currency="USD"),
        escrow(tender("tnd_9")),
        escrow(tender(), tender("tnd_2", captured_minor=1)),
        escrow(),
    ],
)
def test_other_money_is_parked_and_refunds_nothing(money: Escrow) -> None:
    store, decision = after(cancelled(), cancelled(escrow=money))
    assert decision.label == "parked"
    assert decision.fault is not None
    assert (decision.fault.reason, decision.fault.field) == ("contradicts_recorded", "escrow")
    assert decision.emissions == ()
    assert has_no_effect(decision)
    assert [refund.amount_minor for refund in store.refunds.values()] == [4500]


def test_a_cancellation_with_money_after_one_without_is_parked() -> None:
    store, decision = after(cancelled(escrow=escrow()), cancelled())
    assert decision.label == "parked"
    assert store.refunds == {}


@pytest.mark.parametrize("field", ["seller_id", "client_id", "conversation_id"])
def test_other_parties_are_parked_before_anything_else(field: str) -> None:
    _, decision = after(placed(), cancelled(**{field: "someone_else"}))
    assert decision.label == "parked"
    assert decision.fault is not None
    assert (decision.fault.reason, decision.fault.field) == ("contradicts_recorded", field)
    assert decision.emissions == ()
    assert has_no_effect(decision)


@pytest.mark.parametrize("event", [accepted, delivered, completed])
def test_an_event_of_another_seller_is_parked(event: type) -> None:
    _, decision = after(cancelled(), event(seller_id="sel_2"))
    assert decision.label == "parked"
    assert decision.fault is not None
    assert decision.fault.field == "seller_id"
    assert has_no_effect(decision)


def test_a_placed_event_of_another_client_is_parked() -> None:
    _, decision = after(cancelled(), placed(client_id="cli_2"))
    assert decision.label == "parked"
    assert decision.fault is not None
    assert decision.fault.field == "client_id"


def test_a_fault_says_nothing_of_the_content() -> None:
    _, decision = after(placed(), cancelled(client_id="somebody_private"))
    assert "somebody_private" not in str(decision.fault)


@pytest.mark.parametrize("minutes", [-30, 0, 30])
def test_a_cancellation_after_the_completion_is_refused_parked_and_refunds_nothing(minutes: float) -> None:
    store, decision = after(placed(), completed(), cancelled(cancelled_at=at(minutes)))
    assert decision.label == "parked"
    assert decision.fault is not None
    assert decision.fault.reason == "order_completed"
    assert has_no_effect(decision)
    assert [emission.data for emission in decision.emissions] == [
        OrderRefused(order_id=ORDER, attempted="order.cancelled", reason="order_completed", occurred_at=at(minutes))
    ]
    assert store.orders[ORDER].cancelled_at is None
    assert store.refunds == {}
    assert CONVERSATION not in {later.subject for later in store.waiting.values()}


def test_a_refused_cancellation_is_told_again_under_the_same_id() -> None:
    store, _ = after(completed(), cancelled(), cancelled())
    told = store.sent("order.refused")
    assert len(told) == 2
    assert len({emission.id for emission in told}) == 1


def test_what_is_parked_leaves_no_trace_so_that_its_redrive_is_no_duplicate() -> None:
    first = known(order=order(seller_id="sel_1"))
    decision = decide_order_event(cancelled(seller_id="sel_2"), first, NOW, POLICY)
    assert decision.known is first
