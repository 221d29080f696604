"""Kafka behind the broker's ports, by aiokafka."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.partitioner import murmur2

from workers.pipeline.kafka_settings import KafkaSettings
from workers.pipeline.ports import BrokerError, Outgoing, Partition, Record
from workers.pipeline.topic_ids import fetch_topic_ids

log = structlog.get_logger()

_LOST = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
_SEND_BATCH_BYTES = 256 * 1024
_REQUEST_BYTES = 4 * 1_048_576
_GIVE_UP_S = 5.0


class OffsetLostError(Exception):
    """The offset to read from is no longer, or not yet, in the topic. Reading on would skip money in silence."""


class KafkaConsumer:
    """A member of a consumer group. Offsets move only by `seek` and `commit`."""

    def __init__(self, settings: KafkaSettings, group: str, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = [settings.topic_prefix + topic for topic in topics]
        self._group = group
        self._consumer: Any = None

    async def start(self) -> None:
        """Join the group; keeps trying while Kafka can't be reached."""
        instance = self._settings.instance_id
        self._consumer = AIOKafkaConsumer(
            *self._topics,
            **self._settings.client(),
            group_id=self._group,
            group_instance_id=f"{self._group}.{instance}" if instance else None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",  # what a transaction took back never happened
            session_timeout_ms=int(self._settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(self._settings.session_timeout_s * 1000 / 4),
            max_poll_interval_ms=600_000,
            max_partition_fetch_bytes=4 * 1_048_576,
            fetch_max_wait_ms=100,
            metadata_max_age_ms=30_000,
        )
        try:
            await self._consumer.start()
            # aiokafka asks for a missing topic without pause and answers nothing else meanwhile.
            known = await fetch_topic_ids(self._consumer._client, self._topics)  # noqa: SLF001
        except KafkaError as error:
            await self._consumer.stop()
            raise BrokerError(str(error)) from error
        if missing := set(self._topics) - known.keys():
            await self._consumer.stop()
            raise BrokerError(f"no topic {', '.join(sorted(missing))}; `annul topics` makes it")

    async def stop(self) -> None:
        """Leave quietly; a static member stays expected."""
        if self._consumer is None:
            return
        try:
            await self._consumer.stop()
        except asyncio.CancelledError:
            # aiokafka lets the end of its own tasks escape where Kafka is away; only ours may end us.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        except KafkaError as error:
            log.warning("consumer.stop_failed", group=self._group, error=type(error).__name__)

    async def poll(self, max_records: int, timeout_s: float, among: frozenset[Partition]) -> list[Record]:
        """At most `max_records` records, waiting at most `timeout_s` for the first."""
        places = [TopicPartition(*place) for place in among]
        if not places:
            # getmany without a partition would mean all of them. To aiokafka who fetches nothing for long is dead: it
            # leaves the group and comes back with the next fetch only, which a spare member would never make.
            with self._consumer._subscription.fetch_context():  # noqa: SLF001 - what getmany itself does
                await asyncio.sleep(timeout_s)
            return []
        try:
            found = await self._consumer.getmany(*places, timeout_ms=int(timeout_s * 1000), max_records=max_records)
        except NoOffsetForPartitionError:
            # Said of a partition as it was assigned; it has an offset and a position since it was taken over.
            return []
        except OffsetOutOfRangeError as error:
            raise OffsetLostError(str(error)) from error
        except KafkaError as error:
            raise BrokerError(str(error)) from error
        records = []
        for place, batch in found.items():
            source = Partition(place.topic, place.partition)
            records += [Record(source, raw.offset, raw.key, raw.value, tuple(raw.headers)) for raw in batch]
        return records

    def assignment(self) -> frozenset[Partition]:
        """The partitions that this member has now."""
        return frozenset(Partition(place.topic, place.partition) for place in self._consumer.assignment())

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from `offset`."""
        self._consumer.seek(TopicPartition(*partition), offset)

    async def committed(self, partition: Partition) -> int | None:
        """The group's offset in Kafka."""
        try:
            found: int | None = await self._consumer.committed(TopicPartition(*partition))
        except KafkaError as error:
            raise BrokerError(str(error)) from error
        return found

    async def beginning(self, partition: Partition) -> int:
        """The first offset that is still there."""
        place = TopicPartition(*partition)
        try:
            found: dict[Any, int] = await self._consumer.beginning_offsets([place])
        except KafkaError as error:
            raise BrokerError(str(error)) from error
        return found[place]

    async def ends(self) -> Mapping[Partition, int]:
        """The end offset, asked of the broker, of each assigned partition that has something left to read.

        The markers of other people's transactions count as offsets and are no records.
        """
        try:
            found = await self._consumer.end_offsets(list(self._consumer.assignment()))
        except KafkaError as error:
            raise BrokerError(str(error)) from error
        return {
            Partition(place.topic, place.partition): end
            for place, end in found.items()
            if not self._has_read(place, end)
        }

    def _has_read(self, place: TopicPartition, end: int) -> bool:
        subscription = self._consumer._subscription.subscription  # noqa: SLF001 - `position` waits for one
        if place not in self._consumer.assignment():
            return False
        state = subscription.assignment.state_value(place)
        return bool(state.has_valid_position and state.position >= end)

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit; False where a partition went to another member meanwhile."""
        try:
            await self._consumer.commit({TopicPartition(*place): offset for place, offset in offsets.items()})
        except _LOST:
            return False
        except KafkaError as error:
            raise BrokerError(str(error)) from error
        return True

    async def topic_id(self, topic: str) -> str:
        """Raises BrokerError where the topic can't be asked for or isn't there."""
        try:
            found = await fetch_topic_ids(self._consumer._client, [topic])  # noqa: SLF001 - the only way to its client
        except (KafkaError, NotImplementedError) as error:
            raise BrokerError(str(error)) from error
        if topic not in found:
            raise BrokerError(f"topic {topic} is not there")
        return found[topic]


class KafkaProducer:
    """An idempotent producer that fills whole batches a partition and is made anew when it got stuck."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: Any = None
        self._connecting = asyncio.Lock()

    async def start(self) -> None:
        """Connect."""
        await self._ready()

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        """Send and wait for every acknowledgement. Many may send at a time; those of one call stay in order."""
        producer = await self._ready()
        try:
            pending = await self._send(producer, records)
            ends = await asyncio.gather(*pending, return_exceptions=True)
        except KafkaError as error:
            ends = [error]
        failed = [end for end in ends if isinstance(end, BaseException)]
        if failed:
            # A producer whose sequence is out of step stays so: a new one starts a new sequence.
            await self._give_up(producer)
            raise BrokerError(f"{type(failed[0]).__name__}: {failed[0]}")

    async def _ready(self) -> Any:
        async with self._connecting:
            if self._producer is None:
                made = AIOKafkaProducer(
                    **self._settings.client(),
                    enable_idempotence=True,
                    acks="all",
                    max_batch_size=_SEND_BATCH_BYTES,
                    max_request_size=_REQUEST_BYTES,
                    request_timeout_ms=20_000,
                )
                try:
                    await made.start()
                except KafkaError as error:
                    await made.stop()
                    raise BrokerError(str(error)) from error
                self._producer = made
            return self._producer

    async def _send(self, producer: Any, records: Sequence[Outgoing]) -> list[asyncio.Future[Any]]:
        prefix = self._settings.topic_prefix
        pending = []
        counts = {name: await _partitions(producer, prefix + name) for name in {record.topic for record in records}}
        open_batches: dict[tuple[str, int], Any] = {}
        for record in records:
            topic = prefix + record.topic
            partition = partition_of(record.key, counts[record.topic])
            place = (topic, partition)
            batch = open_batches.get(place) or producer.create_batch()
            if not self._append(batch, record):
                pending.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                if not self._append(batch, record):
                    raise ValueError(f"a record for {topic} is too large to send")
            open_batches[place] = batch
        pending += [
            await producer.send_batch(batch, topic, partition=partition)
            for (topic, partition), batch in open_batches.items()
        ]
        return pending

    @staticmethod
    def _append(batch: Any, record: Outgoing) -> bool:
        return batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers) is not None

    async def _give_up(self, stuck: Any) -> None:
        if self._producer is not stuck:
            return  # another sender was here before
        self._producer = None
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                await stuck.stop()
        except Exception as error:  # noqa: BLE001 - a producer out of step ends in any way
            log.warning("producer.stop_failed", error=type(error).__name__)
            await self._cut_off(stuck)

    @staticmethod
    async def _cut_off(stuck: Any) -> None:
        """It waits for what it can't send, and would go on trying; who else waits for it must be told."""
        with suppress(Exception):
            await stuck.client.close()
        with suppress(Exception):
            stuck._message_accumulator.fail_all(KafkaConnectionError("the producer was given up"))  # noqa: SLF001
        with suppress(Exception):
            await stuck._sender.close()  # noqa: SLF001


async def _partitions(producer: Any, topic: str) -> int:
    known = producer.client.cluster.partitions_for_topic(topic)
    if known is None:
        known = await producer.partitions_for(topic)
    return len(known)


@lru_cache(maxsize=65_536)
def partition_of(key: bytes | None, partitions: int) -> int:
    """The partition that Java's default partitioner gives a key; the first for none."""
    if key is None:
        return 0
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions
