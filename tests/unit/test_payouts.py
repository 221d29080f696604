"""Whether a seller may be paid for an order (SPEC R7): money never goes both ways."""

import pytest
from kit.builders import NOW, ORDER, SELLER, at, cancelled, completed
from kit.memory import OrdersInMemory
from msgspec.structs import replace

from schemas.payouts import PayoutRequested
from workers.domain.order_types import Order
from workers.domain.payout import Payout, decide_payout


def asked(**changes: object) -> PayoutRequested:
    return replace(
        PayoutRequested(
            payout_id="pay_1",
            order_id=ORDER,
            seller_id=SELLER,
            amount_minor=4_500,
            currency="EUR",
            requested_at=NOW,
        ),
        **changes,
    )


def order_after(*events: object) -> Order:
    store = OrdersInMemory()
    for event in events:
        store.take(event, NOW)  # type: ignore[arg-type]  # order events
    return store.orders.get(ORDER) or Order(order_id=ORDER)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        pytest.param((), "not_completed", id="nothing is known of the order"),
        pytest.param((completed(),), "completed", id="completed"),
        pytest.param((cancelled(),), "order_cancelled", id="cancelled"),
        pytest.param((cancelled(), completed()), "order_cancelled", id="completed after its cancellation"),
        pytest.param((completed(), cancelled()), "held_for_review", id="cancelled after its completion"),
    ],
)
def test_only_a_completed_order_that_was_not_cancelled_is_paid(events: tuple[object, ...], reason: str) -> None:
    decision = decide_payout(asked(), order_after(*events), None, NOW)
    assert decision.payout is not None
    assert decision.payout.reason == reason
    (told,) = decision.emissions
    assert told.type == ("payout.allowed" if reason == "completed" else "payout.refused")
    assert (told.topic, told.key) == ("payouts.decided.v1", ORDER)


def test_an_order_is_paid_once() -> None:
    first = decide_payout(asked(), order_after(completed()), None, NOW)
    second = decide_payout(asked(payout_id="pay_2"), first.order, None, NOW)
    assert second.payout is not None
    assert (second.payout.allowed, second.payout.reason) == (False, "already_allowed")


def test_the_same_request_again_is_answered_as_before_and_changes_nothing() -> None:
    first = decide_payout(asked(), order_after(completed()), None, NOW)
    again = decide_payout(asked(requested_at=at(9)), first.order, first.payout, at(10))
    assert again.label == "duplicate"
    assert again.emissions == first.emissions
    assert again.payout is None
    assert again.order is first.order


@pytest.mark.parametrize("changes", [{"amount_minor": 4_501}, {"currency": "JPY"}, {"order_id": "ord_other"}])
def test_one_id_for_two_payouts_needs_a_person(changes: dict[str, object]) -> None:
    first = decide_payout(asked(), order_after(completed()), None, NOW)
    decision = decide_payout(asked(**changes), first.order, first.payout, NOW)
    assert decision.fault is not None
    assert (decision.fault.reason, decision.fault.field) == ("contradicts_recorded", "payout_id")
    assert not decision.emissions


def test_another_sellers_payout_needs_a_person() -> None:
    decision = decide_payout(asked(seller_id="sel_other"), order_after(completed()), None, NOW)
    assert decision.fault is not None
    assert decision.fault.field == "seller_id"


def test_a_cancellation_after_an_allowed_payout_refunds_nothing() -> None:
    store = OrdersInMemory()
    store.take(completed(), NOW)
    store.orders[ORDER] = decide_payout(asked(), store.orders[ORDER], None, NOW).order
    decision = store.take(cancelled(), NOW)
    assert decision.fault is not None
    assert not decision.refunds
    assert not store.sent("refund.issue")


def test_a_recorded_payout_tells_what_was_decided() -> None:
    decision = decide_payout(asked(), order_after(completed()), None, NOW)
    assert decision.payout == Payout(
        payout_id="pay_1",
        order_id=ORDER,
        seller_id=SELLER,
        amount_minor=4_500,
        currency="EUR",
        requested_at=NOW,
        allowed=True,
        reason="completed",
        decided_at=NOW,
    )
