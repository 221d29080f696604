"""Every page of the dashboard, asked one after the other: how long it takes and how much it reads."""

import asyncio
import re
import statistics
import time
from collections.abc import Callable
from html import unescape
from typing import Any, Final

import aiohttp
import msgspec

from workers.bench.ops.visit import get

_FLUSHED_S: Final = 1.2
"""PostgreSQL counts what a session reads for all to see about once a second."""
_WARM_UP: Final = 3
_LARGE_ROWS: Final = 5_000
_NEXT: Final = re.compile(r'href="([^"]*[?&;]after=[^"]+)"')


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page's answers. Milliseconds from request to last byte."""

    path: str
    status: int
    median_ms: float
    p95_ms: float
    size_bytes: int
    rows_read: int
    """Rows that PostgreSQL fetched for one request, by indexes and without."""
    scanned: dict[str, int]
    """Tables of size that were read from end to end, and how many rows of each for one request."""


async def measure_pages(
    session: aiohttp.ClientSession,
    connection: Any,
    base: str,
    paths: list[str],
    requests: int,
    told: Callable[[str], None],
) -> list[Page]:
    """All paths and the second page of each long list, `requests` times each."""
    pages, asked = [], list(paths)
    for path in asked:
        page, following = await _ask(session, connection, base, path, requests)
        told(f"{page.path}: {page.status}, {page.median_ms:.0f} ms")
        pages.append(page)
        if following is not None and "after=" not in path:
            asked.append(following)
    return pages


async def _ask(
    session: aiohttp.ClientSession, connection: Any, base: str, path: str, requests: int
) -> tuple[Page, str | None]:
    """A page many times, and the address of the one that follows it."""
    for _ in range(_WARM_UP):
        await get(session, base + path)
    await asyncio.sleep(_FLUSHED_S)
    before = await _counted(connection)
    took: list[float] = []
    status, text = 0, ""
    for _ in range(requests):
        began = time.perf_counter()
        status, text = await get(session, base + path)
        took.append((time.perf_counter() - began) * 1000)
    await asyncio.sleep(_FLUSHED_S)
    after = await _counted(connection)
    scanned = {
        table: rows // requests
        for table, (size, scans, _) in after.items()
        if size >= _LARGE_ROWS and (rows := scans - before.get(table, (0, 0, 0))[1]) // requests >= size // 2
    }
    read = sum(sum(counts[1:]) - sum(before.get(table, (0, 0, 0))[1:]) for table, counts in after.items())
    link = _NEXT.search(text)
    following = unescape(link[1]) if link else None
    if following is not None and following.startswith("?"):
        following = path.partition("?")[0] + following
    page = Page(
        path=path,
        status=status,
        median_ms=round(statistics.median(took), 1),
        p95_ms=round(sorted(took)[min(int(len(took) * 0.95), len(took) - 1)], 1),
        size_bytes=len(text.encode()),
        rows_read=max(read, 0) // requests,
        scanned=scanned,
    )
    return page, following


async def _counted(connection: Any) -> dict[str, tuple[int, int, int]]:
    """By table: its rows, and how many were read so far without an index and through one."""
    rows = await connection.fetch(
        "SELECT relname, n_live_tup, seq_tup_read, COALESCE(idx_tup_fetch, 0) AS fetched FROM pg_stat_user_tables"
    )
    return {row["relname"]: (row["n_live_tup"], row["seq_tup_read"], row["fetched"]) for row in rows}
