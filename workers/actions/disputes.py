"""Disputes, and how a person closes one whose end its provider never told, or can't tell.

While one is open nothing of its payment is refunded. To close it moves no refund: what waits in review is then retried,
redirected or settled by a person as ever.
"""

from datetime import datetime
from typing import Any

import msgspec

from workers.actions.rules import ActionError, the_name, the_reason
from workers.insight.reading import named
from workers.store.audit import Entry, append
from workers.store.queries import sql


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute about one payment."""

    provider: str
    dispute_id: str
    reference: str
    status: str
    is_open: bool
    heard_at: datetime


async def list_disputes(connection: Any, *, only_open: bool = False, limit: int = 100) -> list[dict[str, Any]]:
    """Disputes, each with the refunds of its payment."""
    rows = await connection.fetch(sql("list_disputes"), only_open, limit)
    return [dict(row) for row in rows]


async def close_dispute(connection: Any, dispute_id: str, actor: str, reason: str) -> list[Dispute]:
    """Close it, for all of its payments that it is open for; those, as they are now.

    An event of the provider's that happened later opens it again. Raises ActionError, with nothing changed.
    """
    name, why = the_name(actor), the_reason(reason)
    async with connection.transaction():
        before = [Dispute(**row) for row in await connection.fetch(sql("lock_dispute"), dispute_id)]
        if not before:
            raise ActionError("unknown_dispute", named(dispute_id))
        opened = [one for one in before if one.is_open]
        if not opened:
            raise ActionError("dispute_closed", f"dispute {dispute_id}")
        closed = [Dispute(**row) for row in await connection.fetch(sql("close_dispute"), dispute_id)]
        await append(connection, [_closed(dispute_id, opened, name, why)])
    return sorted(closed, key=lambda one: (one.provider, one.reference))


def _closed(dispute_id: str, opened: list[Dispute], actor: str, reason: str) -> Entry:
    payments = [{"provider": one.provider, "reference": one.reference, "status": one.status} for one in opened]
    return Entry(
        actor=actor, what="dispute.closed", subject=dispute_id, detail={"payments": payments, "reason": reason}
    )
