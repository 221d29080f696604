"""How long a fresh `sellers` process takes to restore its table from the changelog."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import psutil

from workers.consumers import group_of
from workers.domain.statistics import Told, Totals
from workers.insight.topic_reader import topics_there
from workers.pipeline.kafka import KafkaProducer
from workers.pipeline.ports import Outgoing
from workers.sellers.shard import pack
from workers.settings import Settings

_PATTERNS: Final = 1_000
_DAYS: Final = 12
_WITHIN_DAYS: Final = 90
_SEND: Final = 10_000
_LONGEST_S: Final = 600.0
_LEAVE_S: Final = 15.0
_MEGABYTE: Final = 1_048_576


class Restored(msgspec.Struct, frozen=True):
    """Seconds from the start of a process until it is ready, and how large it is then."""

    sellers: int
    value_bytes: float
    seconds: float
    empty_s: float
    """The same with an empty table."""
    resident_mb: float


class NotRestoredError(Exception):
    """The process is ready with another number of sellers, or not at all."""


async def restore(settings: Settings, environment: Mapping[str, str], sellers: int) -> Restored:
    """Fill the changelog that the worker makes for itself, and start the worker again."""
    empty_s, _ = await _start(environment, 0)
    group = group_of("sellers", settings.topic_prefix)
    found = [
        name for name in await topics_there(settings) if name.startswith(f"{group}-") and name.endswith("-changelog")
    ]
    if len(found) != 1:
        raise NotRestoredError(f"one changelog was to be there, not {found}")
    size = await _fill(settings, found[0].removeprefix(settings.topic_prefix), sellers)
    seconds, resident = await _start(environment, sellers)
    return Restored(sellers, size, seconds, empty_s, resident / _MEGABYTE)


async def _start(environment: Mapping[str, str], sellers: int) -> tuple[float, int]:
    """Seconds until ready, and bytes of memory; the process leaves then."""
    began = time.monotonic()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers", "worker", "sellers"),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(_LONGEST_S):
            async for line in child.stdout:
                event = _event_in(line)
                if event.get("event") == "statistics.taken_over":
                    if event["sellers"] != sellers:
                        raise NotRestoredError(f"ready with {event['sellers']} sellers, not {sellers}")
                    return time.monotonic() - began, psutil.Process(child.pid).memory_info().rss
        raise NotRestoredError("the process ended before it was ready")
    finally:
        await _leave(child)


async def _leave(child: asyncio.subprocess.Process) -> None:
    """It leaves its group, so that the next one doesn't have to wait for its session to end."""
    with suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(_LEAVE_S):
            await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()


def _event_in(line: bytes) -> dict[str, Any]:
    found = json.loads(line) if line.startswith(b"{") else {}
    return found if isinstance(found, dict) else {}


async def _fill(settings: Settings, changelog: str, sellers: int) -> float:
    """Gives the average size of a value in bytes."""
    values = [_value(number) for number in range(_PATTERNS)]
    producer = KafkaProducer(settings.kafka())
    await producer.start()
    try:
        for start in range(0, sellers, _SEND):
            numbers = range(start, min(start + _SEND, sellers))
            await producer.send_all(
                [Outgoing(changelog, b"sel_%08d" % number, values[number % _PATTERNS], []) for number in numbers]
            )
    finally:
        await producer.stop()
    return sum(map(len, values)) / len(values)


def _value(number: int) -> bytes:
    """A seller with an order on each of some days of the last three months, as the row of today tells them."""
    today = datetime.now(UTC).toordinal()
    days = {today - (number + 7 * one) % _WITHIN_DAYS: [1, 0, int(one > 0), int(one == 0)] for one in range(_DAYS)}
    totals = Totals(seq=2 * len(days), days=days)
    totals.lifetime = [sum(column) for column in zip(*days.values(), strict=True)]
    totals.told = Told(totals.seq, today, *totals.judged(today), None, above=False)
    return pack(totals)
