"""Everything that the rules take, with defaults that make sense together; keywords override single fields.

All defaults are about one order of 45.00 EUR, paid by card, that was cancelled a minute before `NOW`.
"""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

from msgspec.structs import replace

from schemas.orders import (
    Escrow,
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderEvent,
    OrderPlaced,
    OrderReactivationRequested,
    Tender,
)
from schemas.refunds import RefundDue, RefundResult
from schemas.sellers import SellerOutcome
from workers.domain import ids
from workers.domain.cancellation import canonical_escrow
from workers.domain.order_types import Conversation, Known, Order, Seller
from workers.domain.policy import ChatPolicy, Policy, RefundPolicy
from workers.domain.refund import Observation, decide_refund
from workers.domain.refund_course import RefundDecision, Situation
from workers.domain.refund_types import Action, Claim, Fact, Refund

CANCELLED_AT = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
"""A Monday."""
NOW = CANCELLED_AT + timedelta(minutes=1)
ORDER = "ord_1"
CONVERSATION = "cnv_1"
CLIENT = "cli_1"
SELLER = "sel_1"
TENDER = "tnd_1"
REFUND = ids.refund_id(ORDER, TENDER)
SUCCESSOR = ids.successor_id(REFUND, 6)
POLICY = Policy()


def at(minutes: float = 0, **more: float) -> datetime:
    """A moment that many minutes (hours, days) after the cancellation; before it where negative."""
    return CANCELLED_AT + timedelta(minutes=minutes, **more)


def chat_policy(**changes: Any) -> Policy:
    """The default policy but for chats."""
    return Policy(chats=ChatPolicy(**changes))


def tender(tender_id: str = TENDER, **changes: Any) -> Tender:
    """One part of a payment: 45.00 by card, nothing refunded before."""
    fields = {"provider": "card", "reference": "pi_3Nx", "captured_minor": 4500, "refunded_minor": 0}
    return Tender(tender_id=tender_id, **{**fields, **changes})


def escrow(*tenders: Tender, currency: str = "EUR") -> Escrow:
    """The money held for an order; no tender means that nothing was paid."""
    return Escrow(currency=currency, tenders=tenders)


def placed(order_id: str = ORDER, **changes: Any) -> OrderPlaced:
    """`order.placed`, two hours before the cancellation."""
    fields = {"conversation_id": CONVERSATION, "client_id": CLIENT, "seller_id": SELLER, "placed_at": at(-120)}
    return OrderPlaced(order_id=order_id, **{**fields, **changes})


def accepted(order_id: str = ORDER, **changes: Any) -> OrderAccepted:
    """`order.accepted`, an hour before the cancellation."""
    return OrderAccepted(order_id=order_id, **{"seller_id": SELLER, "occurred_at": at(-60), **changes})


def delivered(order_id: str = ORDER, **changes: Any) -> OrderDelivered:
    """`order.delivered`, half an hour before the cancellation."""
    return OrderDelivered(order_id=order_id, **{"seller_id": SELLER, "occurred_at": at(-30), **changes})


def completed(order_id: str = ORDER, **changes: Any) -> OrderCompleted:
    """`order.completed`, ten minutes before the cancellation."""
    return OrderCompleted(order_id=order_id, **{"seller_id": SELLER, "occurred_at": at(-10), **changes})


def reactivation(order_id: str = ORDER, **changes: Any) -> OrderReactivationRequested:
    """`order.reactivation_requested`, half a minute after the cancellation."""
    fields = {"requested_by": CLIENT, "occurred_at": at(0.5)}
    return OrderReactivationRequested(order_id=order_id, **{**fields, **changes})


def cancelled(order_id: str = ORDER, *tenders: Tender, **changes: Any) -> OrderCancelled:
    """`order.cancelled` in progress by the client, of `tenders` or one card tender."""
    fields = {
        "conversation_id": CONVERSATION,
        "client_id": CLIENT,
        "seller_id": SELLER,
        "cancelled_at": CANCELLED_AT,
        "cancelled_by": "client",
        "reason": "changed my mind",
        "stage": "in_progress",
        "escrow": escrow(*tenders) if tenders else escrow(tender()),
        "client_locale": "fr-FR",
        "seller_locale": "fr-FR",
    }
    return OrderCancelled(order_id=order_id, **{**fields, **changes})


def arrivals(*events: OrderEvent) -> list[tuple[OrderEvent, ...]]:
    """Every order in which events may arrive."""
    return list(permutations(events))


def cancelled_json(**changes: Any) -> dict[str, Any]:
    """The contract's own example of `order.cancelled`, as JSON holds it."""
    tenders = [
        {"tender_id": "tnd_1", "provider": "card", "reference": "pi_3Nx", "captured_minor": 4500, "refunded_minor": 0},
        {
            "tender_id": "tnd_2",
            "provider": "wallet",
            "reference": "wal_cli_4",
            "captured_minor": 500,
            "refunded_minor": 0,
        },
    ]
    fields: dict[str, Any] = {
        "order_id": "ord_7f3",
        "conversation_id": "cnv_19",
        "client_id": "cli_4",
        "seller_id": "sel_8",
        "cancelled_at": "2026-11-23T09:15:00Z",
        "cancelled_by": "client",
        "reason": "free text",
        "stage": "in_progress",
        "escrow": {"currency": "EUR", "tenders": tenders},
        "client_locale": "fr-FR",
        "seller_locale": "fr-FR",
    }
    return {**fields, **changes}


def order(**changes: Any) -> Order:
    """An order of which nothing is known but what `changes` say."""
    return Order(**{"order_id": ORDER, **changes})


def cancelled_order(**changes: Any) -> Order:
    """An order as it is recorded once `cancelled()` was applied."""
    fields = {
        "conversation_id": CONVERSATION,
        "client_id": CLIENT,
        "seller_id": SELLER,
        "client_locale": "fr-FR",
        "seller_locale": "fr-FR",
        "cancelled_at": CANCELLED_AT,
        "cancelled_by": "client",
        "stage": "in_progress",
        "currency": "EUR",
        "escrow": canonical_escrow(escrow(tender())),
        "counted_accepted_at": CANCELLED_AT,
        "counted_close": "cancelled_after_acceptance",
        "counted_close_at": CANCELLED_AT,
        "revision": 1,
    }
    return order(**{**fields, **changes})


def conversation(**changes: Any) -> Conversation:
    """A chat in which nothing happened but what `changes` say."""
    return Conversation(**{"conversation_id": CONVERSATION, **changes})


def seller(**changes: Any) -> Seller:
    """A seller for whom nothing was counted yet."""
    return Seller(**{"seller_id": SELLER, **changes})


def known(**changes: Any) -> Known:
    """What is locked and loaded for one event: nothing seen before."""
    return Known(**{"order": order(), "conversation": conversation(), "seller": seller(), **changes})


def outcome(seq: int, kind: str = "completed", **changes: Any) -> SellerOutcome:
    """One thing that counts for the seller."""
    fields: dict[str, Any] = {"seller_id": SELLER, "order_id": ORDER, "outcome": kind, "occurred_at": CANCELLED_AT}
    return SellerOutcome(seq=seq, **{**fields, **changes})


def refund(**changes: Any) -> Refund:
    """A card refund of 45.00 EUR that was just requested, at `NOW`."""
    fields = {
        "refund_id": REFUND,
        "order_id": ORDER,
        "tender_id": TENDER,
        "client_id": CLIENT,
        "provider": "card",
        "reference": "pi_3Nx",
        "amount_minor": 4500,
        "currency": "EUR",
        "idempotency_key": ids.idempotency_key(REFUND),
        "state": "requested",
        "attempt": 1,
        "look_up_no": 1,
        "first_issued_at": NOW,
        "issued_at": NOW,
        "state_since": NOW,
        "give_up_at": NOW + timedelta(days=5),
    }
    return Refund(**{**fields, **changes})


def refund_in(state: str, **changes: Any) -> Refund:
    """`refund()` as it is on its third attempt in any state, with what the provider has said by then."""
    fields: dict[str, Any] = {"state": state, "attempt": 3, "look_up_no": 2, "revision": 7}
    if state in ("pending", "succeeded", "bounced", "redirected", "needs_review"):
        fields["provider_refund_id"] = "re_1"
    if state == "succeeded":
        fields["settled_at"] = NOW
    if state == "redirected":
        fields["redirected_to"] = SUCCESSOR
    return refund(**{**fields, **changes})


def successor(state: str = "requested", **changes: Any) -> Refund:
    """The wallet's refund that took the place of `refund_in("redirected")`."""
    fields = {
        "refund_id": SUCCESSOR,
        "idempotency_key": ids.idempotency_key(SUCCESSOR),
        "provider": "wallet",
        "reference": ids.wallet_of(CLIENT),
        "redirected_from": REFUND,
        "state": state,
        "settled_at": NOW if state == "succeeded" else None,
    }
    return refund(**{**fields, **changes})


def fact(provider_refund_id: str = "re_1", standing: str = "succeeded", **changes: Any) -> Fact:
    """What is known of one of the provider's refunds."""
    fields = {"refund_id": REFUND, "code": None, "heard_at": NOW}
    return Fact(provider_refund_id=provider_refund_id, standing=standing, **{**fields, **changes})  # type: ignore[arg-type]


def facts_of(refund: Refund) -> tuple[Fact, ...]:
    """What was heard by the time that a refund is in its state, by the id that it names."""
    standing = _STANDINGS.get(refund.state)
    if refund.provider_refund_id is None or standing is None:
        return ()
    return (fact(refund.provider_refund_id, standing, refund_id=refund.refund_id),)


_STANDINGS = {"pending": "pending", "succeeded": "succeeded", "declined": "failed", "bounced": "failed"}


def decide(refund: Refund, observation: Observation, at: Situation | None = None) -> RefundDecision:
    """Decide, with the facts that go with the refund's state where the situation names none."""
    at = at or situation()
    if not at.facts:
        at = replace(at, facts=facts_of(refund))
    if refund.state == "redirected" and at.successor is None:
        at = replace(at, successor=successor())
    return decide_refund(refund, observation, at)


def action(kind: str, refund: Refund, **changes: Any) -> Action:
    """What a person asks for, on the refund as it is."""
    fields = {"action_id": "act_1", "refund_id": refund.refund_id, "revision": refund.revision}
    return Action(kind=kind, **{**fields, **changes})  # type: ignore[arg-type]  # one of the kinds


def result(outcome: str = "succeeded", **changes: Any) -> RefundResult:
    """A provider's answer to the first attempt of `refund()`, a second after it was asked."""
    fields: dict[str, Any] = {
        "refund_id": REFUND,
        "order_id": ORDER,
        "provider": "card",
        "attempt": 1,
        "outcome": outcome,
        "observed_at": NOW + timedelta(seconds=1),
        "via": "call",
    }
    return RefundResult(**{**fields, **changes})


def due(refund: Refund, **changes: Any) -> RefundDue:
    """The due row of a refund as it is now."""
    fields = {"refund_id": refund.refund_id, "order_id": refund.order_id, "revision": refund.revision}
    return RefundDue(**{**fields, **changes})


def claim(**changes: Any) -> Claim:
    """An adapter took the first attempt; its lease of 30 s begins at `NOW`."""
    return Claim(**{"attempt": 1, "claimed_at": NOW, "lease_until": NOW + timedelta(seconds=30), **changes})


def situation(**changes: Any) -> Situation:
    """A second after `NOW`, with default policy and the jitter in the middle."""
    fields = {"now": NOW + timedelta(seconds=1), "policy": RefundPolicy(), "jitter": 0.5, "client_locale": "fr-FR"}
    return Situation(**{**fields, **changes})
