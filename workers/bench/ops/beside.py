"""Cancellations per second while people look at the dashboard, beside the same without: pairs in turn."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from html import unescape
from typing import Final
from urllib.parse import urljoin

import aiohttp
import msgspec

from workers.bench.load import send_cancellations
from workers.bench.measuring import measure
from workers.bench.ops.visit import Dashboard, get, visitor
from workers.settings import Settings

_OPENED_EVERY_S: Final = 3.0
_LIVE: Final = "/events"
_NEWS: Final = b"event: look"
_PLACE: Final = re.compile(r'data-live="([^"]+)"')
_FIRST: Final = 10_000_000
"""Numbers of orders from here on are in no filled database."""
_SETTLED_S: Final = 3.0


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Cancellations per second of a worker at its limit."""

    alone_per_s: float
    watched_per_s: float
    pages: int
    """Opened while the second was measured."""

    @property
    def cost(self) -> float:
        """The share of its speed that the worker lost."""
        return 1 - self.watched_per_s / self.alone_per_s


async def measure_pairs(
    dashboard: Dashboard,
    paths: Sequence[str],
    pairs: int,
    people: int,
    messages: int,
    settle: Callable[[], Awaitable[None]],
    told: Callable[[str], None],
) -> list[Pair]:
    """Every other pair begins with the watched half, so that a table which grows weighs on both alike.

    `settle`: what the measured worker asked for is answered, since no provider is there to do it.
    """
    measured: list[Pair] = []
    numbers = itertools.count(_FIRST, messages)
    if pairs:  # the first of all finds cold caches and plans, whoever looks
        await send_cancellations(Settings.read(), messages, next(numbers))
        await _rate(messages)
    for number in range(pairs):
        rates: dict[bool, tuple[float, int]] = {}
        for watched in (False, True) if number % 2 == 0 else (True, False):
            await settle()
            await send_cancellations(Settings.read(), messages, next(numbers))
            rates[watched] = await _half(dashboard, paths, people if watched else 0, messages)
        (alone_per_s, _), (watched_per_s, pages) = rates[False], rates[True]
        measured.append(Pair(alone_per_s=alone_per_s, watched_per_s=watched_per_s, pages=pages))
        told(f"pair {number + 1}: {alone_per_s:,.0f}/s alone, {watched_per_s:,.0f}/s watched, {pages} pages")
    return measured


async def _half(dashboard: Dashboard, paths: Sequence[str], people: int, messages: int) -> tuple[float, int]:
    """Both halves go through the same, so that what the database does behind falls on both alike; without people the
    dashboard is gone before it is measured.
    """
    await dashboard.start()
    async with _shift(dashboard, paths, people) as opened:
        await asyncio.sleep(_SETTLED_S)
        if not people:
            await dashboard.stop()
        before = len(opened)
        rate = await _rate(messages)
        pages = len(opened) - before
    if people:
        await dashboard.stop()
    return rate, pages


async def _rate(messages: int) -> float:
    work = await measure("workers.bench.child", "annul", str(messages))
    seconds: float = work["seconds"]
    return messages / seconds


@asynccontextmanager
async def _shift(dashboard: Dashboard, paths: Sequence[str], people: int) -> AsyncIterator[list[str]]:
    """People at the dashboard: each has the overview open, which is live, and opens one page after the other."""
    opened: list[str] = []
    async with visitor() as session:
        await dashboard.sign_in(session)
        tasks = [asyncio.create_task(_listen(session, dashboard.base)) for _ in range(people)]
        for number in range(people):
            own = [*paths[number * len(paths) // people :], *paths[: number * len(paths) // people]]
            delay_s = _OPENED_EVERY_S * number / people
            tasks.append(asyncio.create_task(_open(session, dashboard.base, own, delay_s, opened)))
        try:
            yield opened
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(session: aiohttp.ClientSession, base: str) -> None:
    """As the page's script does: at each news it asks for what is live on the overview."""
    _, page = await get(session, base + "/")
    places = [unescape(place) for place in _PLACE.findall(page)]
    async with session.get(base + _LIVE, timeout=aiohttp.ClientTimeout(total=None)) as answer:
        answer.raise_for_status()
        async for line in answer.content:
            if line.startswith(_NEWS):
                for place in places:
                    await get(session, urljoin(base, place))


async def _open(
    session: aiohttp.ClientSession, base: str, paths: Sequence[str], delay_s: float, opened: list[str]
) -> None:
    await asyncio.sleep(delay_s)
    for path in itertools.cycle(paths):
        await get(session, base + path)
        opened.append(path)
        await asyncio.sleep(_OPENED_EVERY_S)
