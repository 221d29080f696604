"""A run over what a test wrote, and what it found."""

import json
from typing import Any

from kit.reconciling import (
    TellingProvider,
    plan,
)
from schemas.topics import BY_NAME
from workers.pipeline.clock import SystemClock
from workers.reconcile.run import reconcile
from workers.reconcile.types import Report
from workers.store.database import Database


async def run(database: Database, *providers: TellingProvider, **changes: Any) -> Report:
    """One run over the two days before noon."""
    return await reconcile(database, SystemClock(), {one.name: one for one in providers}, plan(**changes))


def found(report: Report) -> list[tuple[str, str | None, str | None, str]]:
    """What differs and what was done about it."""
    rows = ((one.kind, one.refund_id, one.provider_refund_id, one.action) for one in report.differences)
    return sorted(rows, key=str)


def decoded(one: dict[str, Any]) -> Any:
    """The message as its consumer reads it."""
    data = {name: value for name, value in one.items() if name not in ("type", "id", "topic", "key")}
    return BY_NAME[one["topic"]].decoders()[one["type"]].decode(json.dumps(data).encode())
