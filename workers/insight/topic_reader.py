"""Reading a topic from its beginning to where it ends now, without a group: nobody's offsets move."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError

from workers.pipeline.ports import Partition, Record
from workers.settings import Settings
from workers.topics import admin_client

_BATCH: Final = 2000
_POLL_MS: Final = 500
_PATIENCE_S: Final = 30.0
"""How long Kafka may give nothing before the reading is given up."""
_ASK_AGAIN_S: Final = 0.2


class NoTopicError(Exception):
    """There is no topic of that name."""


class TopicReader:
    """One topic, all its partitions; `ends` is where each ended when the reading began."""

    def __init__(self, consumer: Any, topic: str, ends: Mapping[int, int]) -> None:
        self._consumer = consumer
        self._topic = topic
        self.ends = ends

    async def batches(self, until: Mapping[int, int] | None = None) -> AsyncIterator[list[Record]]:
        """What lies before `until` in each partition, or before its end; what isn't there any more is skipped.

        Raises TimeoutError where Kafka stops giving.
        """
        left = {number: min(end, (until or self.ends).get(number, 0)) for number, end in self.ends.items()}
        while left := await self._unread(left):
            async with asyncio.timeout(_PATIENCE_S):
                found = await self._more(left)
            batch = [
                Record(Partition(raw.topic, raw.partition), raw.offset, raw.key, raw.value, tuple(raw.headers))
                for records in found.values()
                for raw in records
                if raw.offset < left.get(raw.partition, 0)
            ]
            if batch:
                yield batch

    async def _unread(self, left: Mapping[int, int]) -> dict[int, int]:
        unread = {number: end for number, end in left.items() if await self._position(number) < end}
        self._consumer.pause(*(TopicPartition(self._topic, number) for number in left if number not in unread))
        return unread

    async def _more(self, left: Mapping[int, int]) -> Mapping[Any, list[Any]]:
        """Wait for records, or until a position moves past what holds none, such as a transaction's marker."""
        before = {number: await self._position(number) for number in left}
        while True:
            found: Mapping[Any, list[Any]] = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
            if found or before != {number: await self._position(number) for number in left}:
                return found

    async def _position(self, number: int) -> int:
        position: int = await self._consumer.position(TopicPartition(self._topic, number))
        return position


@asynccontextmanager
async def reading(settings: Settings, topic: str) -> AsyncIterator[TopicReader]:
    """A reader of the topic with this full name. Raises NoTopicError and KafkaError."""
    if topic not in await topics_there(settings):
        raise NoTopicError(topic)
    consumer = AIOKafkaConsumer(
        topic, **settings.kafka().client(), enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        yield TopicReader(consumer, topic, {place.partition: offset for place, offset in ends.items()})
    finally:
        await consumer.stop()


async def topics_there(settings: Settings) -> set[str]:
    """The names of all topics."""
    async with admin_client(settings) as admin:
        return set(await admin.list_topics())


async def committed_offsets(settings: Settings, group: str, topic: str) -> dict[int, int]:
    """How far a group says that it is, by partition; partitions that it never committed are missing."""
    async with admin_client(settings) as admin:
        found = await _once_chosen(lambda: admin.list_consumer_group_offsets(group))
    return {place.partition: kept.offset for place, kept in found.items() if place.topic == topic and kept.offset >= 0}


async def is_at_work(settings: Settings, group: str) -> bool:
    """Whether the group has members, all with their partitions."""
    async with admin_client(settings) as admin:
        (answer,) = await _once_chosen(lambda: admin.describe_consumer_groups([group]))
    return any(one["state"] == "Stable" and one["members"] for one in answer.to_object()["groups"])


async def _once_chosen(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask about a group; whom to ask is chosen in a moment where there was no group before, or a broker has gone."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            try:
                return await ask()
            except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
                await asyncio.sleep(_ASK_AGAIN_S)
