"""Refunds by their state, the ones that wait longest first."""

from typing import Any, Final

from schemas.refunds import RefundState
from workers.store.queries import sql

IN_REVIEW: Final[RefundState] = "needs_review"


async def list_refunds(
    connection: Any, *, state: RefundState = IN_REVIEW, code: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """At most so many that are in a state, of one code where it is given; `since` is when they came into it."""
    rows = await connection.fetch(sql("list_refunds"), state, code, limit)
    return [dict(row) for row in rows]
