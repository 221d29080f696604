"""What follows when an order is cancelled (SPEC R1, R3-R6)."""

from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from schemas.base import Fault, encode
from schemas.orders import Escrow, OrderCancelled, OrderRefused, Tender
from schemas.refunds import OrderRefunded
from schemas.topics import ORDERS_REFUSED, REFUNDS_EVENTS
from workers.domain import ids, ledger
from workers.domain.chat import note_cancelled
from workers.domain.emission import Emission, Later, emission
from workers.domain.order_types import Known, Order, OrderDecision
from workers.domain.policy import Policy
from workers.domain.refund_messages import event_of, issue_of, wake_of
from workers.domain.refund_types import Refund
from workers.domain.seller import Tally

ORDER_CANCELLED: Final = "order_cancelled"
ORDER_COMPLETED: Final = "order_completed"


def decide_cancelled(event: OrderCancelled, known: Known, now: datetime, policy: Policy) -> OrderDecision:
    """The cancellation of an order, first, again, or too late."""
    order = known.order
    escrow = canonical_escrow(event.escrow)
    if order.cancelled_at is not None:
        if order.escrow == escrow:
            return OrderDecision(label="duplicate", known=known)
        fault = Fault("contradicts_recorded", "escrow", "another cancellation of this order had other money")
        return OrderDecision(label="parked", known=known, fault=fault)
    if order.completed_at is not None:
        fault = Fault(ORDER_COMPLETED, "order_id", "the order was completed and its escrow paid out")
        told = refusal(event.order_id, "order.cancelled", ORDER_COMPLETED, event.cancelled_at, now)
        held = order if order.payout_held_at else replace(order, payout_held_at=now, revision=order.revision + 1)
        return OrderDecision(label="parked", known=replace(known, order=held), emissions=(told,), fault=fault)

    refused = _refused_in_hindsight(order, event.cancelled_at, now)
    known, tally = _count(event, known)
    assert known.conversation is not None
    chat = note_cancelled(known.conversation, event.order_id, event.cancelled_at, now, policy.chats)
    refunds, transfers, later, told_refunds = _refund(event, now, policy)
    settled = None if refunds else now
    order = replace(
        known.order,
        conversation_id=event.conversation_id,
        client_id=event.client_id,
        seller_id=event.seller_id,
        client_locale=event.client_locale,
        seller_locale=event.seller_locale,
        cancelled_at=event.cancelled_at,
        cancelled_by=event.cancelled_by,
        stage=event.stage,
        currency=event.escrow.currency,
        escrow=escrow,
        refunded_at=settled,
        revision=known.order.revision + 1,
    )
    told_order = [order_refunded(order, 0, now)] if settled else []
    return OrderDecision(
        label="applied",
        known=Known(order=order, conversation=chat.conversation, seller=known.seller),
        refunds=tuple(refunds),
        transfers=tuple(transfers),
        outcomes=tuple(tally.outcomes),
        later=(*later, *chat.later),
        withdrawn=chat.withdrawn,
        emissions=(*told_refunds, *told_order, *chat.emissions, *refused),
    )


def canonical_escrow(escrow: Escrow) -> bytes:
    """Equal money gives equal bytes, whatever the order of tenders."""
    ordered = tuple(sorted(escrow.tenders, key=_tender_id))
    return encode(escrow if ordered == escrow.tenders else replace(escrow, tenders=ordered))


def _tender_id(tender: Tender) -> str:
    return tender.tender_id


def read_escrow(escrow: bytes) -> Escrow:
    """The recorded money of a cancellation."""
    return _escrow.decode(escrow)


_escrow = msgspec.json.Decoder(Escrow)


def refusal(order_id: str, attempted: str, reason: str, occurred_at: datetime, now: datetime) -> Emission:
    """`order.refused`: says who asked for what, and why it is not done (SPEC R3, R6)."""
    data = OrderRefused(order_id=order_id, attempted=attempted, reason=reason, occurred_at=occurred_at)
    return emission(ORDERS_REFUSED, order_id, "order.refused", data, now, order_id, attempted, occurred_at.isoformat())


def order_refunded(order: Order, amount_minor: int, now: datetime) -> Emission:
    """`order.refunded`: every tender is settled; once an order."""
    assert order.currency is not None
    data = OrderRefunded(
        order_id=order.order_id,
        currency=order.currency,
        amount_minor=amount_minor,
        settled_at=now,
        revision=order.revision,
    )
    return emission(REFUNDS_EVENTS, order.order_id, "order.refunded", data, now, order.order_id)


def _refund(
    event: OrderCancelled, now: datetime, policy: Policy
) -> tuple[list[Refund], list[ledger.Transfer], list[Later], list[Emission]]:
    refunds, transfers, later, told = [], [], [], []
    currency = event.escrow.currency
    for tender in event.escrow.tenders:
        transfers += ledger.opened(
            event.order_id,
            tender.tender_id,
            tender.provider,
            currency,
            tender.captured_minor,
            tender.refunded_minor,
            now,
        )
        due = tender.captured_minor - tender.refunded_minor
        if not due:
            continue
        refund_id = ids.refund_id(event.order_id, tender.tender_id)
        refund = Refund(
            refund_id=refund_id,
            order_id=event.order_id,
            tender_id=tender.tender_id,
            client_id=event.client_id,
            provider=tender.provider,
            reference=tender.reference,
            amount_minor=due,
            currency=currency,
            idempotency_key=ids.idempotency_key(refund_id),
            state="requested",
            attempt=1,
            look_up_no=1,
            first_issued_at=now,
            issued_at=now,
            state_since=now,
            give_up_at=now + policy.refunds.give_up_after,
        )
        refunds.append(refund)
        transfers.append(ledger.requested(refund, now))
        later.append(wake_of(refund, now, policy.refunds.command_again_s))
        told += [
            issue_of(refund, now, policy.refunds),
            event_of(refund, "refund.requested", now),
        ]
    return refunds, transfers, later, told


def _count(event: OrderCancelled, known: Known) -> tuple[Known, Tally]:
    """Which rate the cancellation lowers, whoever's fault it is (SPEC R5)."""
    tally = Tally(known)
    order = tally.order = _honoured(known.order, event.cancelled_at)
    accepted_at = order.accepted_at or order.delivered_at
    if accepted_at is None and event.stage != "awaiting_acceptance":
        accepted_at = event.cancelled_at
    if accepted_at is not None:
        tally.accepted(accepted_at, known_from_event=True)  # takes the place of a time that counts no more
        tally.closed("cancelled_after_acceptance", event.cancelled_at)
    elif order.counted_accepted_at is None:
        tally.closed("cancelled_before_acceptance", event.cancelled_at)
    else:
        tally.never_accepted(event.cancelled_at)
    return tally.known(known), tally


def _honoured(order: Order, cancelled_at: datetime) -> Order:
    """The order without what happened after its cancellation, as if that had been known in time."""
    for name in ("accepted_at", "delivered_at"):
        at = getattr(order, name)
        if at is not None and at > cancelled_at:
            order = replace(order, **{name: None})
    return order


def _refused_in_hindsight(order: Order, cancelled_at: datetime, now: datetime) -> list[Emission]:
    """What was honoured before the cancellation was known, though it happened after it.

    A reactivation is refused whenever it says it happened, as it is once the cancellation is known.
    """
    happened = (
        ("order.accepted", order.accepted_at),
        ("order.delivered", order.delivered_at),
        ("order.reactivation_requested", order.reactivation_at),
    )
    return [
        refusal(order.order_id, attempted, ORDER_CANCELLED, at, now)
        for attempted, at in happened
        if at is not None and (at > cancelled_at or attempted == "order.reactivation_requested")
    ]
