"""Ends a process that is alive but stuck: its supervisor starts it afresh, which is the only sure cure.

aiokafka can stay in a group without reading after a broker's restart or a rejoin. Waiting for PostgreSQL or Kafka
is not being stuck: both are asked, and while they don't answer nobody is blamed.
"""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from workers.pipeline.ports import BrokerError, Clock, Partition

log = structlog.get_logger()
EXIT_STUCK = 70


class StuckError(Exception):
    """Records lie waiting and none was taken for too long."""


class Watchdog:
    """Watches that partitions with records waiting move on."""

    def __init__(self, clock: Clock, *, limit_s: float = 60.0, look_every_s: float = 5.0) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._look_every_s = look_every_s

    async def watch(
        self,
        positions: Callable[[], Mapping[Partition, int]],
        ends: Callable[[], Awaitable[Mapping[Partition, int]]],
        excused: Callable[[], bool],
    ) -> None:
        """Runs until cancelled; raises StuckError. `excused` is true while something outside is waited for.

        That excuses only while nothing moves at all: a busy process waits for something whenever it is looked at.
        """
        since: dict[Partition, tuple[int, float]] = {}
        known: dict[Partition, int] = {}
        while True:
            await self._clock.sleep(self._look_every_s)
            now = self._clock.monotonic()
            try:
                waiting = await self._clock.wait_for(ends(), self._look_every_s)
            except (BrokerError, TimeoutError):
                since = {}
                continue
            before, known = known, dict(positions())
            if excused() and known == before:
                since = {}
                continue
            since = {
                place: seen
                if (seen := since.get(place)) and seen[0] == known.get(place, -1)
                else (known.get(place, -1), now)
                for place, end in waiting.items()
                if known.get(place, -1) < end
            }
            if not since:
                continue
            place, (offset, start) = min(since.items(), key=lambda entry: entry[1][1])
            if now - start > self._limit_s:
                where = f"offset {offset} of {place.topic}/{place.partition}"
                raise StuckError(f"no progress for {self._limit_s:g} s at {where}")


def watch_loop(loop: asyncio.AbstractEventLoop, *, limit_s: float = 60.0) -> None:
    """End the process if its event loop stands still for `limit_s`: a thread looks from outside."""
    seen = [time.monotonic()]

    def tick() -> None:
        seen[0] = time.monotonic()
        loop.call_later(limit_s / 8, tick)

    def look() -> None:
        while True:
            time.sleep(limit_s / 4)
            if loop.is_closed():
                return
            if time.monotonic() - seen[0] > limit_s:
                log.critical("process.stuck", limit_s=limit_s)
                os._exit(EXIT_STUCK)

    loop.call_soon(tick)
    threading.Thread(target=look, name="loop-watchdog", daemon=True).start()
