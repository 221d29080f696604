"""`annul bench`: cancellations per second end to end, beside a bare loop over the same messages."""

import statistics
from typing import Any

import asyncpg
import msgspec

from schemas.topics import ORDERS_EVENTS
from workers.bench.child import BARE_GROUP
from workers.bench.load import send_cancellations
from workers.bench.measuring import bench_stack, measure, rewind
from workers.consumers import group_of
from workers.settings import Settings
from workers.store.migrate import migrate
from workers.topics import prepare_topics


class Round(msgspec.Struct, frozen=True):
    """Messages per second of one pair, measured one after the other."""

    annul_per_s: float
    bare_per_s: float
    records_per_batch: float


class Report(msgspec.Struct, frozen=True):
    """All rounds and the median of their ratios."""

    messages: int
    rounds: list[Round]
    annul_per_s: float
    bare_per_s: float
    ratio: float


async def bench_cancellations(messages: int, rounds: int) -> Report:
    """Measure `rounds` pairs over `messages` cancellations on a stack of its own."""
    async with bench_stack() as stack:
        assert stack.postgres is not None
        await prepare_topics(Settings.read())
        await send_cancellations(Settings.read(), messages)
        measured = []
        for number in range(rounds):
            url = await stack.postgres.create_database(f"round{number}")
            await migrate(url)
            await rewind(stack.bootstrap, ORDERS_EVENTS.name, BARE_GROUP, group_of("cancellations"))
            bare = await _measure("bare", messages, url)
            annul = await _measure("annul", messages, url)
            await _check(url, messages)
            measured.append(Round(messages / annul["seconds"], messages / bare["seconds"], messages / annul["batches"]))
            await stack.postgres.drop_database(f"round{number}")
    return Report(
        messages,
        measured,
        statistics.median(one.annul_per_s for one in measured),
        statistics.median(one.bare_per_s for one in measured),
        statistics.median(one.annul_per_s / one.bare_per_s for one in measured),
    )


async def _measure(kind: str, messages: int, url: str) -> dict[str, Any]:
    return await measure("workers.bench.child", kind, str(messages), environment={"ANNUL_DATABASE_URL": url})


async def _check(url: str, messages: int) -> None:
    """What was measured was done: a run that skips work would be fast."""
    connection = await asyncpg.connect(url)
    try:
        for table, expected in (("orders", messages), ("refunds", messages), ("bare", messages)):
            found = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - three names of ours
            if found != expected:
                raise RuntimeError(f"{table} has {found} rows, not {expected}")
    finally:
        await connection.close()
