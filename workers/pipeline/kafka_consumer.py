"""Reading from Kafka as a member of a group, by aiokafka.

aiokafka can stay in a group and read nothing after a broker's restart or a rejoin, or wait for ever for an answer.
So nothing is asked of it without an end, and the whole of it can be made anew.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from workers.pipeline.kafka_settings import KafkaSettings
from workers.pipeline.ports import BrokerError, Partition, Record
from workers.pipeline.topic_ids import fetch_topic_ids

log = structlog.get_logger()
T = TypeVar("T")

_LOST = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
_ANSWER_S = 10.0
_END_S = 5.0
_CUT_OFF_S = 1.0


class OffsetLostError(Exception):
    """The offset to read from is no longer, or not yet, in the topic. Reading on would skip money in silence."""


class KafkaConsumer:
    """A member of a consumer group. Offsets move only by `seek` and `commit`."""

    def __init__(self, settings: KafkaSettings, group: str, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = [settings.topic_prefix + topic for topic in topics]
        self._group = group
        self._consumer: Any = None
        self._up = False

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
        self._up = True

    async def stop(self) -> None:
        """Leave quietly; a static member stays expected."""
        self._up = False
        if self._consumer is not None:
            await self._stop(self._consumer)

    async def renew(self) -> None:
        """Leave, and come back as a new member of aiokafka's; may be called again where it fails."""
        self._up = False
        if (stuck := self._consumer) is not None:
            self._consumer = None
            try:
                async with asyncio.timeout(_END_S):
                    ended = await self._stop(stuck)
            except TimeoutError:
                ended = False
            if not ended:
                await _cut_off(stuck)
        await self.start()

    async def _stop(self, consumer: Any) -> bool:
        try:
            await consumer.stop()
        except asyncio.CancelledError:
            # aiokafka lets the end of its own tasks escape where Kafka is away; only ours may end us.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        except KafkaError as error:
            log.warning("consumer.stop_failed", group=self._group, error=type(error).__name__)
        else:
            return True
        return False

    @property
    def _there(self) -> Any:
        if not self._up:
            raise BrokerError("there is no consumer now")
        return self._consumer

    async def _answer(self, asked: Awaitable[T]) -> T:
        """What is asked of aiokafka; it tries some things until they go through, which may be never."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await asked
        except TimeoutError as error:
            raise BrokerError(f"no answer within {_ANSWER_S:g} s") from error
        except KafkaError as error:
            raise BrokerError(str(error)) from error

    async def poll(self, max_records: int, timeout_s: float, among: frozenset[Partition]) -> list[Record]:
        """At most `max_records` records, waiting at most `timeout_s` for the first."""
        places = [TopicPartition(*place) for place in among]
        consumer = self._there
        try:
            if not places:
                # getmany without a partition would mean all of them. To aiokafka who fetches nothing for long is dead:
                # it leaves the group and comes back with the next fetch only, which a spare member would never make.
                # And it waits until somebody has heard of an error before it tries to join again.
                consumer._coordinator.check_errors()  # noqa: SLF001 - what getmany itself does
                with consumer._subscription.fetch_context():  # noqa: SLF001 - likewise
                    await asyncio.sleep(timeout_s)
                return []
            found = await consumer.getmany(*places, timeout_ms=int(timeout_s * 1000), max_records=max_records)
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
        return frozenset(Partition(place.topic, place.partition) for place in self._there.assignment())

    def joined(self) -> bool:
        """Whether the group has dealt its partitions, be it none to this member; not while it deals them anew."""
        return self._up and not self._consumer._subscription.reassignment_in_progress  # noqa: SLF001

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from `offset`."""
        self._there.seek(TopicPartition(*partition), offset)

    async def committed(self, partition: Partition) -> int | None:
        """The group's offset in Kafka."""
        found: int | None = await self._answer(self._there.committed(TopicPartition(*partition)))
        return found

    async def beginning(self, partition: Partition) -> int:
        """The first offset that is still there."""
        place = TopicPartition(*partition)
        found: dict[Any, int] = await self._answer(self._there.beginning_offsets([place]))
        return found[place]

    async def answers(self) -> bool:
        """Whether the broker tells another client who coordinates the group, and where our partitions end."""
        places = list(self._consumer.assignment()) if self._consumer else []
        other = AIOKafkaConsumer(**self._settings.client())
        try:
            async with asyncio.timeout(_ANSWER_S):
                await other.start()
                await other._client.set_topics(self._topics)  # noqa: SLF001 - know them without reading them
                await other._client.coordinator_lookup(CoordinationType.GROUP, self._group)  # noqa: SLF001
                await other.end_offsets(places)
        except (KafkaError, TimeoutError):
            return False
        else:
            return True
        finally:
            await other.stop()

    async def ends(self) -> Mapping[Partition, int]:
        """The end offset, asked of the broker, of each assigned partition that has something left to read.

        The markers of other people's transactions count as offsets and are no records.
        """
        consumer = self._there
        found: dict[Any, int] = await self._answer(consumer.end_offsets(list(consumer.assignment())))
        return {
            Partition(place.topic, place.partition): end
            for place, end in found.items()
            if not self._has_read(place, end)
        }

    def _has_read(self, place: TopicPartition, end: int) -> bool:
        consumer = self._there
        subscription = consumer._subscription.subscription  # noqa: SLF001 - `position` waits for one
        if place not in consumer.assignment():
            return False
        state = subscription.assignment.state_value(place)
        return bool(state.has_valid_position and state.position >= end)

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit; False where a partition went to another member meanwhile."""
        wanted = {TopicPartition(*place): offset for place, offset in offsets.items()}
        try:
            await self._answer(self._there.commit(wanted))
        except BrokerError as error:
            if isinstance(error.__cause__, _LOST):
                return False
            raise
        return True

    async def topic_id(self, topic: str) -> str:
        """Raises BrokerError where the topic can't be asked for or isn't there."""
        try:
            # The only way to its client.
            found = await self._answer(fetch_topic_ids(self._there._client, [topic]))  # noqa: SLF001
        except NotImplementedError as error:
            raise BrokerError(str(error)) from error
        if topic not in found:
            raise BrokerError(f"topic {topic} is not there")
        return found[topic]


async def _cut_off(stuck: Any) -> None:
    """End what did not end by itself: a static member that still tries would take the membership back."""
    log.warning("consumer.cut_off", group=stuck._group_id)  # noqa: SLF001
    holders = [
        (stuck._coordinator, ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")),  # noqa: SLF001
        (stuck._fetcher, ("_fetch_task",)),  # noqa: SLF001
    ]
    tasks = {task for holder, names in holders for name in names if (task := getattr(holder, name, None)) is not None}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_CUT_OFF_S)
    with suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(_CUT_OFF_S):
            await stuck._client.close()  # noqa: SLF001
