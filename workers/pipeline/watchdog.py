"""Renews a consumer that is alive but stuck, and ends the process where that doesn't help: started afresh is surest.

aiokafka can stay in a group without reading after a broker's restart or a rejoin. Waiting for PostgreSQL or Kafka
is not being stuck: both are asked, and while they don't answer nobody is blamed.
"""

import asyncio
import math
import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Protocol

import structlog

from workers.pipeline.ports import BrokerError, Clock, Partition

log = structlog.get_logger()
EXIT_STUCK = 70


class StuckError(Exception):
    """Records lie waiting and none was taken for too long."""


class Watched(Protocol):
    """Somebody who is to move on."""

    def positions(self) -> Mapping[Partition, int]: ...
    async def ends(self) -> Mapping[Partition, int]:
        """The end of each partition that may have something left. Raises BrokerError, or never answers."""
        ...

    def excused(self) -> bool:
        """Whether something outside is waited for."""
        ...

    def joined(self) -> bool: ...
    async def answers(self) -> bool:
        """Whether the broker tells others what it doesn't tell us."""
        ...

    def renew(self) -> bool:
        """Ask for another consumer; False where that can't be what is wrong."""
        ...


class Watchdog:
    """Watches that partitions with records waiting move on. Each pipeline has one of its own."""

    def __init__(
        self, clock: Clock, *, limit_s: float = 60.0, look_every_s: float = 5.0, renew_after_s: float | None = None
    ) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._look_every_s = look_every_s
        self._renew_after_s = limit_s / 3 if renew_after_s is None else renew_after_s
        self._renewed_at = clock.monotonic() - limit_s

    async def watch(self, watched: Watched) -> None:
        """Runs until cancelled; raises StuckError. Has the consumer renewed before, and again as long as that may help.

        What is waited for outside excuses only while nothing moves at all: a busy process waits for something whenever
        it is looked at.
        """
        since: dict[Partition | None, tuple[int, float]] = {}
        """How far each stood, and since when; None: the membership itself."""
        known: dict[Partition | None, int] = {}
        while True:
            await self._clock.sleep(self._look_every_s)
            now = self._clock.monotonic()
            behind = await self._behind(watched, since.keys())
            before, known = known, {place: offset for place, offset in watched.positions().items()}  # noqa: C416
            if behind is None or (watched.excused() and known == before):
                since = {}
                continue
            since = {
                # A partition that is to be taken over anew stands where it stood.
                place: seen if (seen := since.get(place)) and known.get(place, -1) <= seen[0] else (at, now)
                for place, end in behind.items()
                if (at := known.get(place, -1)) < end
            }
            if since:
                self._judge(watched, since, now)

    async def _behind(
        self, watched: Watched, stuck: Iterable[Partition | None]
    ) -> dict[Partition | None, float] | None:
        """Up to where each should get; None where nobody can tell because the broker doesn't answer."""
        try:
            ends = await self._clock.wait_for(watched.ends(), self._look_every_s)
        except (BrokerError, TimeoutError):
            ends = None
        if ends is not None and watched.joined():
            return {place: float(end) for place, end in ends.items()}
        try:
            answers = await self._clock.wait_for(watched.answers(), self._look_every_s)
        except TimeoutError:
            answers = False
        return dict.fromkeys((*stuck, None), math.inf) if answers else None

    def _judge(self, watched: Watched, since: Mapping[Partition | None, tuple[int, float]], now: float) -> None:
        place, (offset, start) = min(since.items(), key=lambda entry: entry[1][1])
        where = f"offset {offset} of {place.topic}/{place.partition}" if place else "joining the group"
        if now - start > self._limit_s:
            raise StuckError(f"no progress for {self._limit_s:g} s at {where}")
        if now - max(start, self._renewed_at) > self._renew_after_s and watched.renew():
            self._renewed_at = now
            log.warning("consumer.mute", at=where, for_s=round(now - start))


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
