"""The audit chain as people read it."""

from typing import Any

import msgspec

from workers.insight.reading import snapshot
from workers.settings import Settings
from workers.store.queries import sql


async def list_audit(settings: Settings, *, subject: str | None, actor: str | None, limit: int) -> dict[str, Any]:
    """The newest entries, and the chain's head: who keeps its number and hash elsewhere can prove changes later.

    Raises what PostgreSQL raises.
    """
    async with snapshot(settings) as connection:
        rows = await connection.fetch(sql("list_audit"), subject, actor, limit)
        head = await connection.fetchrow(sql("read_audit_head"))
    entries = [{**row, "detail": _detail(row["detail"])} for row in rows]
    return {"head": {"seq": head["seq"], "hash": head["hash"].hex()} if head else None, "entries": entries}


def _detail(text: str) -> Any:
    """What was said; the text itself where somebody made it something else than JSON."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
