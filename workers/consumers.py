"""Which consumer group reads which topics."""

from typing import Final

from schemas.topics import (
    CHATS_COMMANDS,
    ORDERS_EVENTS,
    ORDERS_REFUSED,
    PAYOUTS_DECIDED,
    PAYOUTS_REQUESTED,
    PROVIDERS_WEBHOOKS,
    REFUNDS_COMMANDS,
    REFUNDS_DUE,
    REFUNDS_EVENTS,
    REFUNDS_RESULTS,
    SELLERS_ADVICE,
    SELLERS_OUTCOMES,
    Topic,
)

CONSUMERS: Final[dict[str, tuple[Topic, ...]]] = {
    "cancellations": (ORDERS_EVENTS,),
    "refunds": (REFUNDS_RESULTS, REFUNDS_DUE),
    "wallet": (REFUNDS_COMMANDS["wallet"],),
    "paypal": (REFUNDS_COMMANDS["paypal"],),
    "card": (REFUNDS_COMMANDS["card"],),
    "payouts": (PAYOUTS_REQUESTED,),
    "sellers": (SELLERS_OUTCOMES,),
    "notifications": (REFUNDS_EVENTS, CHATS_COMMANDS, ORDERS_REFUSED, PAYOUTS_DECIDED, SELLERS_ADVICE),
    "webhooks": (PROVIDERS_WEBHOOKS,),
}

STATISTICS_TABLE: Final = "statistics"
"""The table of the worker `sellers`."""


def group_of(worker: str, prefix: str = "") -> str:
    """The consumer group of a worker."""
    return f"{prefix}annul.{worker}"


def changelog_of(group: str, table: str) -> str:
    """The topic that a table of a group is restored from, as faust names it."""
    return f"{group}-{table}-changelog"
