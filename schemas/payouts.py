"""Payout requests of finance and what is decided of them."""

from typing import Literal

from schemas.base import Currency, Id, Message, PositiveMinor, Time

PayoutReason = Literal["completed", "not_completed", "order_cancelled", "already_allowed", "held_for_review"]


class PayoutRequested(Message, frozen=True, kw_only=True):
    """Finance asks whether the seller may be paid for an order."""

    payout_id: Id
    order_id: Id
    seller_id: Id
    amount_minor: PositiveMinor
    currency: Currency
    requested_at: Time


class PayoutDecided(Message, frozen=True, kw_only=True):
    """`payout.allowed` or `payout.refused`, and why. A refused payout may be asked for again under a new id."""

    payout_id: Id
    order_id: Id
    reason: PayoutReason
    decided_at: Time
