"""Watching until everything that was sent has come to its end."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from workers.consumers import CONSUMERS
from workers.settings import Settings
from workers.store.database import Database, is_passing
from workers.topics import group_client, places_of

_LOOK_EVERY_S = 0.5
_QUIET_LOOKS = 3


class UnsettledError(Exception):
    """Something did not come to its end in time; says what."""


async def lag(settings: Settings) -> dict[str, int]:
    """Records that each group has not committed yet."""
    found = {}
    for worker in CONSUMERS:
        async with group_client(settings, worker) as consumer:
            places = await places_of(consumer, settings, worker)
            ends = await consumer.end_offsets(places)
            found[worker] = sum([ends[place] - (await consumer.committed(place) or 0) for place in places])
    return found


async def until_settled(
    database: Database, settings: Settings, within_s: float, tell: Callable[[Any], None], *, chats: bool
) -> None:
    """Until no refund moves, every chat is closed and nothing lies unread. Raises UnsettledError."""
    until = time.monotonic() + within_s
    quiet = 0
    left: Any = None
    while quiet < _QUIET_LOOKS:
        if time.monotonic() > until:
            raise UnsettledError(f"not settled within {within_s:g} s: {left}")
        await asyncio.sleep(_LOOK_EVERY_S)
        try:
            row = (await database.fetch("demo_progress"))[0]
        except Exception as error:
            if not is_passing(error):
                raise
            continue
        tell(row)
        waiting = row["moving"] + (row["chats_waiting"] if chats else 0)
        if waiting:
            quiet, left = 0, dict(row)
            continue
        unread = {worker: count for worker, count in (await lag(settings)).items() if count}
        quiet, left = (quiet + 1, None) if not unread else (0, unread)
