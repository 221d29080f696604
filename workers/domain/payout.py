"""Whether a seller may be paid for an order: decided under the same lock as its cancellation (SPEC R7).

Money never goes both ways: an order that was cancelled is not paid, and one that was paid is not refunded.
"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from schemas.base import Fault
from schemas.payouts import PayoutDecided, PayoutReason, PayoutRequested
from schemas.topics import PAYOUTS_DECIDED
from workers.domain.emission import Emission, emission
from workers.domain.order_types import Label, Order


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """A payout as it was asked for, and what was decided of it."""

    payout_id: str
    order_id: str
    seller_id: str
    amount_minor: int
    currency: str
    requested_at: datetime
    allowed: bool
    reason: PayoutReason
    decided_at: datetime


class PayoutDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What a request changes and causes; `payout` is None where a person must look."""

    label: Label
    order: Order
    payout: Payout | None = None
    emissions: tuple[Emission, ...] = ()
    fault: Fault | None = None


def decide_payout(request: PayoutRequested, order: Order, decided: Payout | None, now: datetime) -> PayoutDecision:
    """Allowed once, only where the order was completed and not cancelled; `decided` is the same id's decision."""
    if decided is not None:
        if _asked(decided) == _asked(request):
            return PayoutDecision(label="duplicate", order=order, emissions=(_told(decided),))
        fault = Fault("contradicts_recorded", "payout_id", "a payout of this id was asked for with other content")
        return PayoutDecision(label="parked", order=order, fault=fault)
    if order.seller_id is not None and order.seller_id != request.seller_id:
        fault = Fault("contradicts_recorded", "seller_id", "the order is another seller's")
        return PayoutDecision(label="parked", order=order, fault=fault)
    reason = _reason(order)
    allowed = reason == "completed"
    payout = Payout(
        payout_id=request.payout_id,
        order_id=request.order_id,
        seller_id=request.seller_id,
        amount_minor=request.amount_minor,
        currency=request.currency,
        requested_at=request.requested_at,
        allowed=allowed,
        reason=reason,
        decided_at=now,
    )
    if allowed:
        order = replace(order, payout_allowed_at=now, revision=order.revision + 1)
    return PayoutDecision(
        label="applied" if allowed else "refused", order=order, payout=payout, emissions=(_told(payout),)
    )


def _reason(order: Order) -> PayoutReason:
    if order.cancelled_at is not None:
        return "order_cancelled"
    if order.completed_at is None:
        return "not_completed"
    if order.payout_held_at is not None:
        return "held_for_review"
    if order.payout_allowed_at is not None:
        return "already_allowed"
    return "completed"


def _asked(payout: Payout | PayoutRequested) -> tuple[object, ...]:
    return (payout.order_id, payout.seller_id, payout.amount_minor, payout.currency)


def _told(payout: Payout) -> Emission:
    data = PayoutDecided(
        payout_id=payout.payout_id, order_id=payout.order_id, reason=payout.reason, decided_at=payout.decided_at
    )
    type_ = "payout.allowed" if payout.allowed else "payout.refused"
    return emission(PAYOUTS_DECIDED, payout.order_id, type_, data, payout.decided_at, payout.payout_id)
