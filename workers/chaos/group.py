"""The worker's group and its topics in Kafka: who is in it, what it has left to read, the table's changelog."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from aiokafka.errors import KafkaError

from workers.consumers import group_of
from workers.settings import Settings
from workers.topics import admin_client, group_client, places_of

WORKER: Final = "sellers"
_LOOK_EVERY_S: Final = 0.25
_GONE_WITHIN_S: Final = 30.0


async def lag(settings: Settings) -> int:
    """Outcomes that the group has not committed yet."""
    async with group_client(settings, WORKER) as consumer:
        places = await places_of(consumer, settings, WORKER)
        ends = await consumer.end_offsets(places)
        return sum([max(0, ends[place] - (await consumer.committed(place) or 0)) for place in places])


async def changelogs(settings: Settings) -> list[str]:
    """The topics that the table is restored from, by name."""
    group = group_of(WORKER, settings.topic_prefix)
    async with admin_client(settings) as admin:
        found = await admin.list_topics()
    return sorted(name for name in found if name.startswith(f"{group}-") and name.endswith("-changelog"))


async def delete_topics(settings: Settings, names: list[str]) -> None:
    """Returns once they are gone. Raises TimeoutError where they stay."""
    async with admin_client(settings) as admin, asyncio.timeout(_GONE_WITHIN_S):
        await admin.delete_topics(names)
        while set(names) & set(await admin.list_topics()):  # noqa: ASYNC110 - a broker can only be asked
            await asyncio.sleep(_LOOK_EVERY_S)


class Rebalances:
    """Counts how often the group's members were seen to be others than before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._group = group_of(WORKER, settings.topic_prefix)
        self._members: frozenset[str] = frozenset()
        self.seen = 0
        self.most_members = 0
        self._all_there = asyncio.Event()
        self._wanted = 0

    async def watch(self) -> None:
        """Until cancelled."""
        async with admin_client(self._settings) as admin:
            while True:
                with suppress(KafkaError):  # a coordinator that isn't chosen yet: the next look sees it
                    self._look(await admin.describe_consumer_groups([self._group]))
                await asyncio.sleep(_LOOK_EVERY_S)

    async def until_there(self, members: int, within_s: float) -> None:
        """Returns once so many are in the group, or the time is over."""
        self._wanted = members
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_there.wait(), within_s)

    def _look(self, answers: list[Any]) -> None:
        for group in answers[0].to_object()["groups"]:
            members = frozenset(member["member_id"] for member in group["members"])
            if members and members != self._members:
                self.seen += 1
                self._members = members
                self.most_members = max(self.most_members, len(members))
            if self._wanted and len(members) >= self._wanted:
                self._all_there.set()
