"""A database with messages that were parked, for the commands that work on them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kit.builders import tender
from kit.feed import Feed, rows_of
from kit.population import POLICY, cancellation, script, settings_for
from schemas.topics import ORDERS_EVENTS
from workers.insight.parked import Which, discard, redrive

EVERYTHING = Which()
IN = ORDERS_EVENTS.name


class ParkingLot:
    """A database with messages that were parked: `other` is a cancellation with other money, `junk` no message."""

    def __init__(self, url: str, feed: Feed) -> None:
        self.settings = settings_for(url)
        self.url = url
        self.feed = feed
        self.other = f"{IN}:0:1"
        self.junk = f"{IN}:0:2"

    async def statuses(self) -> dict[str, str]:
        rows = await rows_of(self.url, "SELECT parked_id, status FROM parked_messages")
        return {row["parked_id"]: row["status"] for row in rows}

    async def scheduled(self) -> list[Any]:
        query = "SELECT * FROM scheduled_messages WHERE schedule_id LIKE 'redrive:%' ORDER BY due_at"
        return await rows_of(self.url, query)


@pytest.fixture
async def lot(database_url: str) -> AsyncIterator[ParkingLot]:
    async with Feed(database_url, script, policy=POLICY) as feed:
        await feed.take(cancellation("one", tender(reference="pi_good")))
        await feed.take(cancellation("one", tender(reference="pi_good", captured_minor=9900)))
        await feed.put(IN, b"\xffjunk", key=b"ord_two", headers=[("ce_id", b"evt_junk")])
        await feed.work()
        yield ParkingLot(database_url, feed)


async def back(lot: ParkingLot, which: Which = EVERYTHING, **changes: Any) -> Any:
    """Redrive."""
    return await redrive(lot.settings, which, **{"limit": 1000, "dry_run": False, **changes})


async def gone(lot: ParkingLot, which: Which = EVERYTHING, **changes: Any) -> Any:
    """Discard."""
    return await discard(lot.settings, which, **{"why": "tried twice", "limit": 1000, "dry_run": False, **changes})
