"""A database as after three months of a busy marketplace, written by sets."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from schemas.chats import ChatCommand
from schemas.topics import CHATS_COMMANDS
from workers.domain.emission import emission
from workers.pipeline.messages import outgoing, pack
from workers.store.audit import Entry, append
from workers.store.queries import names, sql

_MESSAGE: Final = "bench_ops_10_scheduled"
_AUDIT_ENTRIES: Final = 5_000


async def fill(url: str, sizes: dict[str, int], told: Callable[[str, float], None]) -> None:
    """`sizes`: orders, sellers, parked. Tells each set's name and seconds. Needs a superuser: rules are not asked."""
    connection = await asyncpg.connect(url)
    try:
        # A million rows that are consistent as they are made need no trigger to say so.
        await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        for name, size in sizes.items():
            await connection.execute("SELECT set_config($1, $2, false)", f"bench.{name}", str(size))
        for name in names("bench_ops_"):
            began = time.monotonic()
            await connection.execute(sql(name), *_arguments(name))
            told(name.removeprefix("bench_ops_"), time.monotonic() - began)
        async with connection.transaction():
            await append(connection, [_entry(number) for number in range(_AUDIT_ENTRIES)])
        began = time.monotonic()
        await connection.execute("VACUUM (ANALYZE)")
        told("vacuum", time.monotonic() - began)
    finally:
        await connection.close()


async def settle(url: str) -> None:
    """Every refund that was asked for has succeeded, and the database has come to rest."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        await connection.execute(sql("bench_settle"))
        await connection.execute("VACUUM (ANALYZE) refunds")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _arguments(name: str) -> list[Any]:
    if name != _MESSAGE:
        return []
    now = datetime.now(UTC)
    command = ChatCommand(conversation_id="cnv_1", order_id="ord_1", close_at=now, revision=3, reason=None)
    return [pack(outgoing(emission(CHATS_COMMANDS, "cnv_1", "chat.close", command, now, "cnv_1", "ord_1", "3"), None))]


def _entry(number: int) -> Entry:
    return Entry(actor=f"person{number % 7}", what="parked.redriven", subject=f"ord_{number}", detail={"count": number})
