"""`annul bench ops`: every page of the dashboard over a large database, asked one after the other."""

import asyncio
import re
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from html import unescape
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import asyncpg
import msgspec
from starlette.routing import Route

from workers.bench.measuring import bench_stack
from workers.bench.ops.fill import fill
from workers.local.ports import free_port
from workers.local.stack import LocalStack
from workers.ops.security.users import line_of
from workers.settings import Settings
from workers.store.migrate import migrate
from workers.topics import prepare_topics

_READY_S: Final = 60.0
_FLUSHED_S: Final = 1.2
"""PostgreSQL counts what a session reads for all to see about once a second."""
_WARM_UP: Final = 3
_LARGE_ROWS: Final = 5_000
_NEXT: Final = re.compile(r'href="([^"]*[?&;]after=[^"]+)"')
_LEFT_OUT: Final = ("/events", "/static", "/sign-out", "/sign-in", "/oidc")
_NAME: Final = "bench"
_PASSWORD: Final = secrets.token_hex(16)
_CSRF: Final = re.compile(r'name="csrf" value="([^"]+)"')
_SELLERS_S: Final = 600.0
_ALL_TOLD: Final = """SELECT count(*) = $1 AND bool_and(caught_up) AND sum(sellers) = (SELECT count(*) FROM sellers)
                        FROM seller_shares"""
_ANSWERED: Final = (HTTPStatus.OK, HTTPStatus.SEE_OTHER)
"""An id that is found leads on to its order."""
_EXAMPLES: Final[Mapping[str, str]] = {
    "order_id": "SELECT order_id FROM refunds WHERE state = 'needs_review' ORDER BY refund_id LIMIT 1",
    "refund_id": "SELECT refund_id FROM refunds WHERE state = 'needs_review' ORDER BY refund_id LIMIT 1",
    "action_id": "SELECT action_id FROM manual_actions WHERE outcome IS NULL ORDER BY action_id LIMIT 1",
    "parked_id": "SELECT parked_id FROM parked_messages WHERE status = 'parked' ORDER BY parked_id LIMIT 1",
    "seller_id": "SELECT seller_id FROM sellers ORDER BY seller_id LIMIT 1",
    "conversation_id": "SELECT conversation_id FROM conversations WHERE close_at > now() ORDER BY 1 LIMIT 1",
    "schedule_id": "SELECT schedule_id FROM scheduled_messages WHERE state = 'waiting' ORDER BY 1 LIMIT 1",
    "worker": "SELECT 'cancellations'",
    "provider": "SELECT 'card'",
    "action": "SELECT 'release'",
}
"""By the name of a part of a path: what to put there."""
_ASKED: Final[Mapping[str, tuple[str, ...]]] = {
    "/refunds": (
        "state=needs_review",
        "state=succeeded",
        "provider=card&age=1h",
        "code=timeout",
        "currency=EUR&from=5000&to=6000",
    ),
    "/parked": ("reason=malformed_json", "reason=internal_error&age=1d"),
    "/parked-act": ("action=redriven&reason=internal_error", "action=discarded"),
    "/sellers": ("id=sel_12", "sort=closed"),
    "/find": ("q=ord_500000", "q=re_500000", "q=cnv_500000", "q=nothing_like_this"),
    "/audit": ("actor=person3", "subject=ord_7"),
}
"""Beside the bare page: what people ask of it."""
_NEVER_BARE: Final = ("/parked-act",)


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


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All pages, the slowest first."""

    sizes: dict[str, int]
    requests: int
    filled_s: float
    pages: list[Page]
    left_out: dict[str, str]
    """Pages that could not be asked, and why."""


async def bench_ops(sizes: dict[str, int], requests: int, told: Callable[[str], None]) -> Report:
    """Fill a database of a stack of its own, start the dashboard beside it and ask for everything."""
    async with bench_stack() as stack:
        await migrate(stack.dsn)
        await prepare_topics(Settings.read())
        began = time.monotonic()
        await fill(stack.dsn, sizes, lambda name, seconds: told(f"{name}: {seconds:.1f} s"))
        filled_s = time.monotonic() - began
        base = await _start(stack)
        connection = await asyncpg.connect(stack.dsn)
        cookies = aiohttp.CookieJar(unsafe=True)  # an address is no name that cookies are kept for otherwise
        try:
            await _told_of_sellers(stack, connection, told)
            paths, left_out = await _paths(connection)
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), cookie_jar=cookies) as session:
                await _sign_in(session, base)
                pages = await _measure(session, connection, base, paths, requests, told)
        finally:
            await connection.close()
    left_out |= {page.path: f"answered {page.status}" for page in pages if page.status not in _ANSWERED}
    pages = sorted((page for page in pages if page.status in _ANSWERED), key=lambda page: -page.median_ms)
    return Report(sizes=sizes, requests=requests, filled_s=round(filled_s, 1), pages=pages, left_out=left_out)


async def _start(stack: LocalStack) -> str:
    port = free_port()
    users = stack.folder.path / "users"
    users.write_text(line_of(_NAME, "approver", _PASSWORD) + "\n")
    environment = {
        "ANNUL_OPS_USERS_FILE": str(users),
        "ANNUL_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap,
        "ANNUL_DATABASE_URL": stack.dsn,
        "ANNUL_OPS_PORT": str(port),
        "ANNUL_TOPIC_REPLICATION_FACTOR": "1",
    }
    await stack.supervisor.add("ops", [sys.executable, "-m", "workers", "worker", "ops"], environment)
    return f"http://127.0.0.1:{port}"


async def _told_of_sellers(stack: LocalStack, connection: Any, told: Callable[[str], None]) -> None:
    """The worker `sellers` takes them all from PostgreSQL and tells their rows, which the dashboard follows."""
    began = time.monotonic()
    environment = {
        "ANNUL_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap,
        "ANNUL_DATABASE_URL": stack.dsn,
        "ANNUL_TOPIC_REPLICATION_FACTOR": "1",
    }
    await stack.supervisor.add("sellers", [sys.executable, "-m", "workers", "worker", "sellers"], environment)
    async with asyncio.timeout(_SELLERS_S):
        while not await connection.fetchval(_ALL_TOLD, Settings.read().topic_partitions):  # noqa: ASYNC110 - a table's
            await asyncio.sleep(0.5)
    told(f"sellers told: {time.monotonic() - began:.1f} s")


async def _sign_in(session: aiohttp.ClientSession, base: str) -> None:
    until = time.monotonic() + _READY_S
    while True:
        try:
            _, form = await _get(session, f"{base}/sign-in")
            break
        except aiohttp.ClientError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)
    found = _CSRF.search(form)
    assert found is not None, "the form to sign in has a token"
    fields = {"csrf": found[1], "next": "/", "name": _NAME, "password": _PASSWORD}
    async with session.post(f"{base}/sign-in", data=fields, allow_redirects=False) as answer:
        if answer.status != HTTPStatus.SEE_OTHER:
            raise RuntimeError(f"signing in was answered with {answer.status}")


async def _paths(connection: Any) -> tuple[list[str], dict[str, str]]:
    """What to ask for: every page there is that is read with GET, with what people ask of it."""
    from workers.ops.assembly import routes  # noqa: PLC0415 - a web server and templates; only here

    examples = {name: await connection.fetchval(query) for name, query in _EXAMPLES.items()}
    found: list[str] = []
    left_out: dict[str, str] = {}
    for route in routes():
        if not isinstance(route, Route) or "GET" not in (route.methods or ()) or route.path.startswith(_LEFT_OUT):
            continue
        names = re.findall(r"{(\w+)(?::\w+)?}", route.path)
        if missing := [name for name in names if not examples.get(name)]:
            left_out[route.path] = f"no example of {', '.join(missing)}"
            continue
        path = re.sub(r"{(\w+)(?::\w+)?}", lambda match: str(examples[match[1]]), route.path)
        found += [
            *([] if path in _NEVER_BARE else [path]),
            *(f"{path}?{asked}" for asked in _ASKED.get(route.path, ())),
        ]
    return list(dict.fromkeys(found)), left_out


async def _measure(
    session: aiohttp.ClientSession,
    connection: Any,
    base: str,
    paths: list[str],
    requests: int,
    told: Callable[[str], None],
) -> list[Page]:
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
        await _get(session, base + path)
    await asyncio.sleep(_FLUSHED_S)
    before = await _counted(connection)
    took: list[float] = []
    status, text = 0, ""
    for _ in range(requests):
        began = time.perf_counter()
        status, text = await _get(session, base + path)
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


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with session.get(url, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def _counted(connection: Any) -> dict[str, tuple[int, int, int]]:
    """By table: its rows, and how many were read so far without an index and through one."""
    rows = await connection.fetch(
        "SELECT relname, n_live_tup, seq_tup_read, COALESCE(idx_tup_fetch, 0) AS fetched FROM pg_stat_user_tables"
    )
    return {row["relname"]: (row["n_live_tup"], row["seq_tup_read"], row["fetched"]) for row in rows}
