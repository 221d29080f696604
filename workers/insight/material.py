"""What an order's story is made of: rows as they were read, and the steps that they become."""

from datetime import datetime
from typing import Any

import msgspec

from workers.domain.order_types import Conversation, Order
from workers.domain.refund_types import Refund
from workers.insight.telling import IN_ENGLISH, Telling
from workers.pipeline.messages import unpack_one


class Step(msgspec.Struct, frozen=True):
    """One step: when, what (noun.verb), under which message id where there is one, and what is to be said of it."""

    at: datetime
    what: str
    message_id: str | None
    detail: str


class Scheduled(msgspec.Struct, frozen=True, kw_only=True):
    """A message for later, opened."""

    type: str
    message_id: str
    data: bytes
    due_at: datetime
    revision: int
    state: str
    fired_at: datetime | None


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """All that is recorded of an order."""

    order: Order
    refunds: list[Refund]
    attempts: list[Any]
    observations: list[Any]
    steps: list[Any]
    facts: list[Any]
    actions: list[Any]
    disputes: list[Any]
    notices: list[Any]
    waits: list[Any]
    transfers: list[Any]
    payouts: list[Any]
    conversation: Conversation | None
    chat_schedule: list[Scheduled]
    chat_words: list[Any]
    """What people decided of the chat's close."""
    outcomes: list[Any]
    parked: list[Any]
    telling: Telling = IN_ENGLISH
    """In whose words the steps are told."""


def scheduled_message(row: Any) -> Scheduled:
    """Open a row of scheduled_messages."""
    message = unpack_one(row["message"])
    headers = {name: value.decode() for name, value in message.headers}
    return Scheduled(
        type=headers["ce_type"],
        message_id=headers["ce_id"],
        data=message.value or b"",
        due_at=row["due_at"],
        revision=row["revision"],
        state=row["state"],
        fired_at=row["fired_at"],
    )
