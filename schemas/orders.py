"""What the order service says of an order, and what Annul refuses."""

from typing import Annotated, Literal

import msgspec

from schemas.base import (
    MAX_MINOR,
    Currency,
    Id,
    Locale,
    Message,
    Minor,
    ProviderName,
    ShortText,
    Time,
    check_currency,
)

Stage = Literal["awaiting_acceptance", "in_progress", "delivered"]
CancelledBy = Literal["client", "seller", "support", "system"]
MAX_TENDERS = 32


class OrderPlaced(Message, frozen=True, kw_only=True):
    """A client placed an order in a conversation."""

    order_id: Id
    conversation_id: Id
    client_id: Id
    seller_id: Id
    placed_at: Time


class OrderAccepted(Message, frozen=True, kw_only=True):
    """The seller accepted the order."""

    order_id: Id
    seller_id: Id
    occurred_at: Time


class OrderDelivered(Message, frozen=True, kw_only=True):
    """The seller delivered the work."""

    order_id: Id
    seller_id: Id
    occurred_at: Time


class OrderCompleted(Message, frozen=True, kw_only=True):
    """The client took the work; the escrow was paid out."""

    order_id: Id
    seller_id: Id
    occurred_at: Time


class Tender(Message, frozen=True, kw_only=True):
    """One part of a payment: what was captured at a provider and what of it was refunded before."""

    tender_id: Id
    provider: ProviderName
    reference: Id
    captured_minor: Minor
    refunded_minor: Minor

    def __post_init__(self) -> None:
        if self.refunded_minor > self.captured_minor:
            raise ValueError("`refunded_minor` is more than captured_minor")


class Escrow(Message, frozen=True, kw_only=True):
    """The money held for an order: one currency, any number of tenders, none for an order paid nothing."""

    currency: Currency
    tenders: Annotated[tuple[Tender, ...], msgspec.Meta(max_length=MAX_TENDERS)]

    def __post_init__(self) -> None:
        check_currency(self.currency)
        if len({tender.tender_id for tender in self.tenders}) != len(self.tenders):
            raise ValueError("`tenders` holds two with one tender_id")
        if sum([tender.captured_minor for tender in self.tenders]) > MAX_MINOR:
            raise ValueError("`tenders` hold more together than an amount may be")


class OrderCancelled(Message, frozen=True, kw_only=True):
    """The order was cancelled; self-sufficient, so it works when nothing of the order was seen before."""

    order_id: Id
    conversation_id: Id
    client_id: Id
    seller_id: Id
    cancelled_at: Time
    cancelled_by: CancelledBy
    reason: ShortText
    stage: Stage
    escrow: Escrow
    client_locale: Locale
    seller_locale: Locale


class OrderReactivationRequested(Message, frozen=True, kw_only=True):
    """Somebody asked for a cancelled order to live again, which never happens (SPEC R6)."""

    order_id: Id
    requested_by: Id
    occurred_at: Time


class OrderRefused(Message, frozen=True, kw_only=True):
    """What broke R3 or R6: `attempted` is the refused message's type."""

    order_id: Id
    attempted: str
    reason: str
    occurred_at: Time


OrderEvent = OrderPlaced | OrderAccepted | OrderDelivered | OrderCompleted | OrderCancelled | OrderReactivationRequested
