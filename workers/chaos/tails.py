"""The last record of each key of a topic, read on as the topic grows: what a compacted topic comes to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from workers.pipeline.kafka import partition_of
from workers.settings import Settings

_AT_ONCE: Final = 5_000
_PATIENCE_S: Final = 30.0


class Tail:
    """Of every key the value that comes last in its partition, whatever it says of its own age."""

    def __init__(self, consumer: Any, places: list[TopicPartition], each: Callable[[bytes], None] | None) -> None:
        self._consumer = consumer
        self._places = places
        self._each = each
        self.last: dict[str, bytes | None] = {}
        self.astray: set[str] = set()
        """Keys that were written to another partition than their own, where no reader looks for them."""
        self.records = 0

    async def advance(self) -> None:
        """Read to where the topic ends now. Raises TimeoutError where Kafka stops giving, KafkaError where it fails."""
        ends = await self._consumer.end_offsets(self._places)
        async with asyncio.timeout(_PATIENCE_S):
            while [place for place in self._places if await self._consumer.position(place) < ends[place]]:
                found = await self._consumer.getmany(timeout_ms=200, max_records=_AT_ONCE)
                for place, records in found.items():
                    self._take(place.partition, records)

    def _take(self, partition: int, records: list[Any]) -> None:
        self.records += len(records)
        for record in records:
            key = (record.key or b"").decode()
            self.last[key] = record.value
            if partition_of(record.key, len(self._places)) != partition:
                self.astray.add(key)
            if self._each is not None and record.value is not None:
                self._each(record.value)


@asynccontextmanager
async def tail_of(settings: Settings, topic: str, each: Callable[[bytes], None] | None = None) -> AsyncIterator[Tail]:
    """A reader from the topic's beginning, of no group; `each` is given every value."""
    consumer = AIOKafkaConsumer(
        **settings.kafka().client(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1_048_576,
    )
    await consumer.start()
    try:
        await consumer._client.set_topics([topic])  # noqa: SLF001 - know the partitions first
        places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(places)
        yield Tail(consumer, places, each)
    finally:
        await consumer.stop()
