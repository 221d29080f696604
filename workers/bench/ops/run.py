"""`annul bench ops`: the dashboard over a large database, and what it costs the workers that share it."""

import asyncio
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import asyncpg
import msgspec

from workers.bench.measuring import bench_stack
from workers.bench.ops.beside import Pair, measure_pairs
from workers.bench.ops.fill import fill, settle
from workers.bench.ops.pages import Page, measure_pages
from workers.bench.ops.visit import Dashboard, paths_of, visitor
from workers.local.stack import LocalStack
from workers.settings import Settings
from workers.store.migrate import migrate
from workers.topics import prepare_topics

_SELLERS_S: Final = 600.0
_ALL_TOLD: Final = """SELECT count(*) = $1 AND bool_and(caught_up) AND sum(sellers) = (SELECT count(*) FROM sellers)
                        FROM seller_shares"""
_ANSWERED: Final = (HTTPStatus.OK, HTTPStatus.SEE_OTHER)
"""An id that is found leads on to its order."""


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure, over how much."""

    sizes: dict[str, int]
    """Orders, sellers, parked."""
    requests: int
    """Of each page."""
    pairs: int
    """Rounds of the workers with and without people at the dashboard; 0 for none."""
    people: int
    messages: int
    """Cancellations of one round."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All pages, the slowest first; and the workers with and without people at the dashboard."""

    sizes: dict[str, int]
    requests: int
    filled_s: float
    pages: list[Page]
    left_out: dict[str, str]
    """Pages that could not be asked, and why."""
    pairs: list[Pair]


async def bench_ops(wishes: Wishes, told: Callable[[str], None]) -> Report:
    """Fill a database of a stack of its own, start the dashboard beside it and ask for everything."""
    async with bench_stack() as stack:
        await migrate(stack.dsn)
        await prepare_topics(Settings.read())
        began = time.monotonic()
        await fill(stack.dsn, wishes.sizes, lambda name, seconds: told(f"{name}: {seconds:.1f} s"))
        filled_s = time.monotonic() - began
        connection = await asyncpg.connect(stack.dsn)
        dashboard = Dashboard(stack)
        try:
            await dashboard.start()
            await _told_of_sellers(stack, connection, told)
            paths, left_out = await paths_of(connection)
            async with visitor() as session:
                await dashboard.sign_in(session)
                pages = await measure_pages(session, connection, dashboard.base, paths, wishes.requests, told)
            await dashboard.stop()
            asked = [page.path for page in pages if page.status in _ANSWERED]
            pairs = await measure_pairs(
                dashboard, asked, wishes.pairs, wishes.people, wishes.messages, lambda: settle(stack.dsn), told
            )
        finally:
            await connection.close()
    left_out |= {page.path: f"answered {page.status}" for page in pages if page.status not in _ANSWERED}
    pages = sorted((page for page in pages if page.status in _ANSWERED), key=lambda page: -page.median_ms)
    return Report(
        sizes=wishes.sizes,
        requests=wishes.requests,
        filled_s=round(filled_s, 1),
        pages=pages,
        left_out=left_out,
        pairs=pairs,
    )


async def _told_of_sellers(stack: LocalStack, connection: Any, told: Callable[[str], None]) -> None:
    """The worker `sellers` takes them all from PostgreSQL and tells their rows, which the dashboard follows."""
    began = time.monotonic()
    await stack.supervisor.add("sellers", [sys.executable, "-m", "workers", "worker", "sellers"])
    async with asyncio.timeout(_SELLERS_S):
        while not await connection.fetchval(_ALL_TOLD, Settings.read().topic_partitions):  # noqa: ASYNC110 - a table's
            await asyncio.sleep(0.5)
    await stack.supervisor.stop_one("sellers")
    told(f"sellers told: {time.monotonic() - began:.1f} s")
