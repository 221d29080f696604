"""Payout requests of finance and what is decided of them."""

from schemas.base import Currency, Id, Message, PositiveMinor, Time


class PayoutRequested(Message, frozen=True, kw_only=True):
    """Finance asks whether the seller may be paid for an order."""

    payout_id: Id
    order_id: Id
    seller_id: Id
    amount_minor: PositiveMinor
    currency: Currency
    requested_at: Time
