"""What is known of an order, its conversation and its seller while a message of it is decided."""

from datetime import datetime
from typing import Literal

import msgspec

from schemas.base import Fault
from schemas.sellers import OutcomeKind, SellerOutcome
from workers.domain.emission import Emission, Later
from workers.domain.ledger import Transfer
from workers.domain.refund_types import Refund

Label = Literal["applied", "duplicate", "refused", "stale", "parked"]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as recorded. All but the id may be unknown: messages come in any order."""

    order_id: str
    conversation_id: str | None = None
    client_id: str | None = None
    seller_id: str | None = None
    client_locale: str | None = None
    seller_locale: str | None = None
    placed_at: datetime | None = None
    accepted_at: datetime | None = None
    delivered_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None
    stage: str | None = None
    currency: str | None = None
    escrow: bytes | None = None
    """Canonical JSON of the cancellation's money: equal money, equal bytes."""
    reactivation_at: datetime | None = None
    refunded_at: datetime | None = None
    """When `order.refunded` was decided, once an order."""
    payout_allowed_at: datetime | None = None
    """When a payout of the order was allowed: from then on nothing of it is refunded."""
    payout_held_at: datetime | None = None
    """When a cancellation came after the completion: no payout until a person has looked."""
    counted_accepted_at: datetime | None = None
    """The time under which the acceptance counts in the seller's statistics."""
    counted_close: OutcomeKind | None = None
    counted_close_at: datetime | None = None
    revision: int = 0


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A chat as recorded: its latest orders and its latest cancellation."""

    conversation_id: str
    placed_order: str | None = None
    placed_at: datetime | None = None
    other_placed_at: datetime | None = None
    """The latest placement among all orders but `placed_order`."""
    cancelled_order: str | None = None
    cancelled_at: datetime | None = None
    close_at: datetime | None = None
    """None while no close is scheduled."""
    scheduled_revision: int | None = None
    revision: int = 0


class Seller(msgspec.Struct, frozen=True, kw_only=True):
    """A seller's last outcome number."""

    seller_id: str
    seq: int = 0


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """All that is locked and loaded for one order event."""

    order: Order
    conversation: Conversation | None = None
    seller: Seller | None = None


class OrderDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What an order event changes and causes. `fault` parks the message for a person, beside the rest."""

    label: Label
    known: Known
    refunds: tuple[Refund, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    outcomes: tuple[SellerOutcome, ...] = ()
    later: tuple[Later, ...] = ()
    withdrawn: tuple[str, ...] = ()
    emissions: tuple[Emission, ...] = ()
    fault: Fault | None = None
