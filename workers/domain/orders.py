"""One decision for every order event (SPEC §1, §3)."""

from datetime import datetime
from typing import Final, assert_never

from msgspec.structs import replace

from schemas.base import Fault
from schemas.orders import (
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderEvent,
    OrderPlaced,
    OrderReactivationRequested,
)
from workers.domain.cancellation import ORDER_CANCELLED, decide_cancelled, refusal
from workers.domain.chat import note_placed
from workers.domain.order_types import Known, OrderDecision
from workers.domain.policy import Policy
from workers.domain.seller import Tally

_PARTIES: Final = ("seller_id", "client_id", "conversation_id")


def decide_order_event(event: OrderEvent, known: Known, now: datetime, policy: Policy) -> OrderDecision:
    """What an order event changes and causes, given all that is known of the order."""
    for name in _PARTIES:
        recorded, said = getattr(known.order, name), getattr(event, name, None)
        if recorded is not None and said is not None and recorded != said:
            fault = Fault("contradicts_recorded", name, "another message of this order named another one")
            return OrderDecision(label="parked", known=known, fault=fault)
    match event:
        case OrderCancelled():
            return decide_cancelled(event, known, now, policy)
        case OrderPlaced():
            return _placed(event, known, now)
        case OrderAccepted():
            return _accepted(event, known, now)
        case OrderDelivered():
            return _delivered(event, known, now)
        case OrderCompleted():
            return _completed(event, known, now)
        case OrderReactivationRequested():
            return _reactivation(event, known, now)
        case _:
            assert_never(event)


def _placed(event: OrderPlaced, known: Known, now: datetime) -> OrderDecision:
    if known.order.placed_at is not None:
        return OrderDecision(label="duplicate", known=known)
    assert known.conversation is not None
    chat = note_placed(known.conversation, event.order_id, event.placed_at, now)
    order = replace(
        known.order,
        conversation_id=event.conversation_id,
        client_id=event.client_id,
        seller_id=event.seller_id,
        placed_at=event.placed_at,
        revision=known.order.revision + 1,
    )
    return OrderDecision(
        label="applied",
        known=replace(known, order=order, conversation=chat.conversation),
        later=chat.later,
        withdrawn=chat.withdrawn,
        emissions=chat.emissions,
    )


def _accepted(event: OrderAccepted, known: Known, now: datetime) -> OrderDecision:
    order = known.order
    if order.cancelled_at is not None and event.occurred_at > order.cancelled_at:
        return _refused(event, "order.accepted", known, now)
    if order.accepted_at is not None:
        return OrderDecision(label="duplicate", known=known)
    tally = Tally(known)
    tally.order = replace(order, seller_id=event.seller_id, accepted_at=event.occurred_at, revision=order.revision + 1)
    tally.accepted(event.occurred_at, known_from_event=True)
    return _counted(tally, known)


def _delivered(event: OrderDelivered, known: Known, now: datetime) -> OrderDecision:
    order = known.order
    if order.cancelled_at is not None and event.occurred_at > order.cancelled_at:
        return _refused(event, "order.delivered", known, now)
    if order.delivered_at is not None:
        return OrderDecision(label="duplicate", known=known)
    tally = Tally(known)
    tally.order = replace(order, seller_id=event.seller_id, delivered_at=event.occurred_at, revision=order.revision + 1)
    tally.accepted(event.occurred_at, known_from_event=False)
    return _counted(tally, known)


def _completed(event: OrderCompleted, known: Known, now: datetime) -> OrderDecision:
    order = known.order
    if order.cancelled_at is not None:
        fault = None
        if event.occurred_at <= order.cancelled_at:
            # It says the seller was paid out before the client was refunded: a person must look.
            fault = Fault("completed_before_cancelled", "occurred_at", "the order was refunded since")
        return replace(_refused(event, "order.completed", known, now), fault=fault)
    if order.completed_at is not None:
        return OrderDecision(label="duplicate", known=known)
    tally = Tally(known)
    tally.order = replace(order, seller_id=event.seller_id, completed_at=event.occurred_at, revision=order.revision + 1)
    tally.accepted(event.occurred_at, known_from_event=False)
    tally.closed("completed", event.occurred_at)
    return _counted(tally, known)


def _reactivation(event: OrderReactivationRequested, known: Known, now: datetime) -> OrderDecision:
    order = known.order
    if order.cancelled_at is not None:
        return _refused(event, "order.reactivation_requested", known, now)
    if order.reactivation_at is not None and event.occurred_at <= order.reactivation_at:
        return OrderDecision(label="duplicate", known=known)
    # Nothing to refuse yet; kept in case the cancellation it followed is still on its way.
    noted = replace(order, reactivation_at=event.occurred_at, revision=order.revision + 1)
    return OrderDecision(label="applied", known=replace(known, order=noted))


def _counted(tally: Tally, known: Known) -> OrderDecision:
    cancelled_at = tally.order.cancelled_at
    if cancelled_at is not None and tally.order.counted_accepted_at is not None:
        # The order turns out to have been accepted: its cancellation moves to the completion rate.
        tally.closed("cancelled_after_acceptance", cancelled_at)
    return OrderDecision(
        label="applied",
        known=tally.known(known),
        outcomes=tuple(tally.outcomes),
    )


def _refused(
    event: OrderAccepted | OrderDelivered | OrderCompleted | OrderReactivationRequested,
    attempted: str,
    known: Known,
    now: datetime,
) -> OrderDecision:
    told = refusal(event.order_id, attempted, ORDER_CANCELLED, event.occurred_at, now)
    return OrderDecision(label="refused", known=known, emissions=(told,))
