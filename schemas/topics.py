"""The catalogue of topics: what each carries, how it is keyed and how long it is kept."""

from typing import Any, Final, Literal

import msgspec

from schemas.base import Message
from schemas.chats import ChatCommand
from schemas.envelope import decoders
from schemas.notifications import NotificationRequested
from schemas.orders import (
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderPlaced,
    OrderReactivationRequested,
    OrderRefused,
)
from schemas.payouts import PayoutDecided, PayoutRequested
from schemas.refunds import (
    OrderRefunded,
    RefundAction,
    RefundDue,
    RefundEvent,
    RefundFlagged,
    RefundIssue,
    RefundLookUp,
    RefundResult,
)
from schemas.sellers import SellerAdvice, SellerOutcome, SellerStatistics
from schemas.webhooks import ProviderWebhook

_DAY_MS: Final = 24 * 3600 * 1000
_KEPT_MS: Final = 30 * _DAY_MS


class Topic(msgspec.Struct, frozen=True):
    """A topic: `key` names the field that records are keyed by; `types` maps a message type to its shape."""

    name: str
    direction: Literal["in", "inside", "out"]
    key: str
    types: dict[str, type[Message]]
    compacted: bool = False
    retention_ms: int = _KEPT_MS
    max_message_bytes: int = 1_048_588

    def decoders(self) -> dict[str, msgspec.json.Decoder[Any]]:
        """A decoder for each type that the topic carries."""
        return decoders(self.types)

    def settings(self) -> dict[str, str]:
        """The topic's settings as Kafka names them."""
        kept = (
            {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
            if self.compacted
            else {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}
        )
        return {**kept, "max.message.bytes": str(self.max_message_bytes)}


_COMMANDS: Final[dict[str, type[Message]]] = {"refund.issue": RefundIssue, "refund.look_up": RefundLookUp}

ORDERS_EVENTS: Final = Topic(
    "orders.events.v1",
    "in",
    "order_id",
    {
        "order.placed": OrderPlaced,
        "order.accepted": OrderAccepted,
        "order.delivered": OrderDelivered,
        "order.completed": OrderCompleted,
        "order.cancelled": OrderCancelled,
        "order.reactivation_requested": OrderReactivationRequested,
    },
)
PAYOUTS_REQUESTED: Final = Topic("payouts.requested.v1", "in", "order_id", {"payout.requested": PayoutRequested})
REFUNDS_COMMANDS: Final[dict[str, Topic]] = {
    provider: Topic(f"refunds.commands.{provider}.v1", "inside", "order_id", _COMMANDS)
    for provider in ("wallet", "paypal", "card")
}
REFUNDS_RESULTS: Final = Topic("refunds.results.v1", "inside", "order_id", {"refund.result": RefundResult})
REFUNDS_DUE: Final = Topic(
    "refunds.due.v1",
    "inside",
    "order_id",
    {"refund.due": RefundDue, "refund.flagged": RefundFlagged, "refund.action": RefundAction},
)
PROVIDERS_WEBHOOKS: Final = Topic("providers.webhooks.v1", "inside", "id", {"provider.webhook": ProviderWebhook})
SELLERS_OUTCOMES: Final = Topic("sellers.outcomes.v1", "inside", "seller_id", {"seller.outcome": SellerOutcome})
REFUNDS_EVENTS: Final = Topic(
    "refunds.events.v1",
    "out",
    "order_id",
    {
        **dict.fromkeys(
            (
                "refund.requested",
                "refund.pending",
                "refund.succeeded",
                "refund.failed",
                "refund.bounced",
                "refund.redirected",
                "refund.needs_review",
            ),
            RefundEvent,
        ),
        "order.refunded": OrderRefunded,
    },
)
CHATS_COMMANDS: Final = Topic(
    "chats.commands.v1",
    "out",
    "conversation_id",
    dict.fromkeys(("chat.close_scheduled", "chat.closing_soon", "chat.close", "chat.close_withdrawn"), ChatCommand),
)
SELLERS_STATISTICS: Final = Topic(
    "sellers.statistics.v1", "out", "seller_id", {"seller.statistics": SellerStatistics}, compacted=True
)
SELLERS_ADVICE: Final = Topic("sellers.advice.v1", "out", "seller_id", {"seller.advice": SellerAdvice})
ORDERS_REFUSED: Final = Topic("orders.refused.v1", "out", "order_id", {"order.refused": OrderRefused})
PAYOUTS_DECIDED: Final = Topic(
    "payouts.decided.v1",
    "out",
    "order_id",
    {"payout.allowed": PayoutDecided, "payout.refused": PayoutDecided},
)
NOTIFICATIONS_REQUESTED: Final = Topic(
    "notifications.requested.v1", "out", "recipient.id", {"notification.requested": NotificationRequested}
)
PARKED: Final = Topic("annul.parked.v1", "out", "the original key", {}, max_message_bytes=4 * 1_048_576)

CATALOGUE: Final[tuple[Topic, ...]] = (
    ORDERS_EVENTS,
    PAYOUTS_REQUESTED,
    *REFUNDS_COMMANDS.values(),
    REFUNDS_RESULTS,
    REFUNDS_DUE,
    PROVIDERS_WEBHOOKS,
    SELLERS_OUTCOMES,
    REFUNDS_EVENTS,
    CHATS_COMMANDS,
    SELLERS_STATISTICS,
    SELLERS_ADVICE,
    ORDERS_REFUSED,
    PAYOUTS_DECIDED,
    NOTIFICATIONS_REQUESTED,
    PARKED,
)
BY_NAME: Final[dict[str, Topic]] = {topic.name: topic for topic in CATALOGUE}
