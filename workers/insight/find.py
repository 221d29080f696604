"""What an id is the id of: an order, a refund, whatever hangs on one."""

import re
from typing import Any, Final, Literal

import msgspec

from workers.store.queries import sql

MOST_FOUND: Final = 20
_AN_ID: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,300}\Z")

Kind = Literal[
    "order",
    "unread_order",
    "refund",
    "provider_refund",
    "payment",
    "arn",
    "conversation",
    "payout",
    "dispute",
    "action",
    "seller",
    "parked",
]
"""`unread_order`: known from a parked message alone. `payment`: what a provider calls what was paid."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A thing of that id, and the order and refund that it belongs to."""

    kind: Kind
    id: str
    order_id: str | None
    refund_id: str | None


async def find(connection: Any, text: str) -> list[Match]:
    """At most `MOST_FOUND` things that are called that, spaces around it left out; none where it can't be an id."""
    told = text.strip()
    if not _AN_ID.match(told):
        return []
    return [Match(**row) for row in await connection.fetch(sql("find_by_id"), told, MOST_FOUND)]
