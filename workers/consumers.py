"""Which consumer group reads which topics."""

from typing import Final

from schemas.topics import (
    ORDERS_EVENTS,
    PAYOUTS_REQUESTED,
    REFUNDS_COMMANDS,
    REFUNDS_DUE,
    REFUNDS_RESULTS,
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
}


def group_of(worker: str, prefix: str = "") -> str:
    """The consumer group of a worker."""
    return f"{prefix}annul.{worker}"
