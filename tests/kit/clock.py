"""Time that passes when told."""

import asyncio
import heapq
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeVar

T = TypeVar("T")


class VirtualClock:
    """Fills the pipeline's port `Clock`; who sleeps wakes when `advance` has come so far, in the order of time."""

    def __init__(self, now: datetime = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)) -> None:
        self._start = now
        self._passed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._numbers = count()

    def monotonic(self) -> float:
        return self._passed_s

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed_s)

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self._passed_s + max(seconds, 0.0), next(self._numbers), woken))
        await woken.wait()

    async def wait_for(self, awaitable: Awaitable[T], timeout_s: float) -> T:
        waited = asyncio.ensure_future(awaitable)
        alarm = asyncio.ensure_future(self.sleep(timeout_s))
        try:
            await asyncio.wait((waited, alarm), return_when=asyncio.FIRST_COMPLETED)
            if waited.done():
                return waited.result()
            raise TimeoutError
        finally:
            for task in (waited, alarm):
                task.cancel()

    async def advance(self, seconds: float) -> None:
        """Let time pass; whoever wakes on the way goes as far as it can without waiting for the world."""
        until = self._passed_s + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            at, _, woken = heapq.heappop(self._sleepers)
            self._passed_s = max(self._passed_s, at)
            woken.set()
            await settle()
        self._passed_s = until


async def settle() -> None:
    """Let every task go on that only waits for its turn."""
    for _ in range(20):
        await asyncio.sleep(0)
