"""Where every consumer group stands, asked of Kafka without joining any: members, offsets, what waits and since when.

How long something has waited is told by the oldest record that is not committed yet: now minus its time. One record is
read for that in each partition that lags, and not again while the group's offset stands still.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from workers.consumers import CONSUMERS, group_of
from workers.insight.groups import Group, Look, Member, Place
from workers.settings import Settings

LOOK_S: Final = 10.0
"""A look that takes longer is given up: Kafka is away."""
_CLOSE_S: Final = 2.0
_READ_S: Final = 3.0
_POLL_MS: Final = 200
_MOST_READ: Final = 200
"""Partitions whose oldest record is read in one look, at most; of the others it is not known how long they wait."""
_FETCH_BYTES: Final = 16_384
_CHOOSING = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


class KafkaAwayError(Exception):
    """Kafka doesn't answer, or not in time: nothing is known."""


class GroupsReader:
    """Two clients of Kafka, made when needed and made anew after a fault. One look at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: Any = None
        self._consumer: Any = None
        self._coordinators: dict[str, int] = {}
        self._seen: dict[Any, tuple[int, datetime]] = {}
        """By partition: a committed offset, and when the record there was written."""
        self._empty: dict[Any, tuple[int, int]] = {}
        """By partition: from where to where there is no message."""
        self._topics = [settings.topic_prefix + topic.name for topics in CONSUMERS.values() for topic in topics]

    async def look(self) -> Look:
        """Ask for everything. Raises KafkaAwayError."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._connect()
                return await self._look()
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise KafkaAwayError(type(error).__name__) from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect."""
        clients = [stop for stop in (self._admin and self._admin.close, self._consumer and self._consumer.stop) if stop]
        self._admin = self._consumer = None
        self._coordinators.clear()
        for stop in clients:
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await stop()

    async def _connect(self) -> None:
        client = self._settings.kafka().client()
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(**client, request_timeout_ms=int(LOOK_S * 1000))
            await self._admin.start()
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(
                **client,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",  # what the workers see
                max_partition_fetch_bytes=_FETCH_BYTES,
                fetch_max_wait_ms=_POLL_MS,
                request_timeout_ms=int(LOOK_S * 1000),
            )
            await self._consumer.start()

    async def _look(self) -> Look:
        there = await self._places()
        places = [place for of_topic in there.values() for place in of_topic]
        ends: Mapping[Any, int] = await self._consumer.end_offsets(places)
        groups = {}
        for worker in CONSUMERS:
            try:
                groups[worker] = await self._group(worker, there, ends)
            except _CHOOSING:  # in a moment Kafka knows again who answers for it
                self._coordinators.pop(worker, None)
        found = await self._oldest(place for group in groups.values() for place in group.places if place.lag)
        return Look(
            at=datetime.now(UTC),
            groups={worker: _with_times(group, found, self._empty) for worker, group in groups.items()},
        )

    async def _places(self) -> dict[str, list[Any]]:
        """Every partition by its topic."""
        await self._consumer._client.set_topics(self._topics)  # noqa: SLF001 - know them without reading them
        found = {}
        for topic in self._topics:
            numbers = self._consumer.partitions_for_topic(topic)
            found[topic] = [TopicPartition(topic, number) for number in sorted(numbers or ())]
        return found

    async def _group(self, worker: str, there: Mapping[str, Sequence[Any]], ends: Mapping[Any, int]) -> Group:
        name = group_of(worker, self._settings.topic_prefix)
        if worker not in self._coordinators:
            self._coordinators[worker] = await self._admin.find_coordinator(name)
        asked = self._coordinators[worker]
        topics = [self._settings.topic_prefix + topic.name for topic in CONSUMERS[worker]]
        places = [place for topic in topics for place in there[topic]]
        kept = await self._admin.list_consumer_group_offsets(name, group_coordinator_id=asked)
        committed = {place: kept[place].offset for place in places if place in kept and kept[place].offset >= 0}
        if fresh := [place for place in places if place not in committed]:
            committed |= await self._consumer.beginning_offsets(fresh)
        members, owners = await self._members(name, asked)
        return Group(
            worker=worker,
            name=name,
            members=members,
            places=tuple(
                Place(
                    topic=place.topic,
                    partition=place.partition,
                    committed=committed[place],
                    end=ends[place],
                    owner=owners.get(place),
                )
                for place in places
            ),
            missing=tuple(topic for topic in topics if not there[topic]),
        )

    async def _members(self, name: str, asked: int) -> tuple[tuple[Member, ...], dict[Any, str]]:
        (answer,) = await self._admin.describe_consumer_groups([name], group_coordinator_id=asked)
        (group,) = answer.to_object()["groups"]
        if group["error_code"]:
            raise GroupCoordinatorNotAvailableError(name)
        members: list[Member] = []
        owners: dict[Any, str] = {}
        for one in group["members"]:
            theirs = _assigned(one["member_assignment"])
            owners |= dict.fromkeys(theirs, one["member_id"])
            members.append(
                Member(
                    member_id=one["member_id"],
                    client_id=one["client_id"],
                    host=one["client_host"].lstrip("/"),
                    partitions=len(theirs),
                )
            )
        return tuple(sorted(members, key=lambda member: member.member_id)), owners

    async def _oldest(self, lagging: Iterable[Place]) -> dict[Any, datetime]:
        """When the first message was written that each of these places has not committed."""
        found: dict[Any, datetime] = {}
        wanted: dict[Any, Place] = {}
        for one in lagging:
            place = TopicPartition(one.topic, one.partition)
            committed, written_at = self._seen.get(place, (-1, None))
            if committed == one.committed and written_at is not None:
                found[place] = written_at
            elif len(wanted) < _MOST_READ and self._empty.get(place) != (one.committed, one.end):
                wanted[place] = one
        if wanted:
            read = await self._read(wanted)
            self._seen |= {place: (wanted[place].committed, written_at) for place, written_at in read.items()}
            found |= read
        return found

    async def _read(self, wanted: Mapping[Any, Place]) -> dict[Any, datetime]:
        consumer, left = self._consumer, set(wanted)
        consumer.assign(list(wanted))
        for place, one in wanted.items():
            consumer.seek(place, one.committed)
        found: dict[Any, datetime] = {}
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_READ_S):
                    while left:
                        batches = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=1)
                        for place, records in batches.items():
                            left.discard(place)
                            if records[0].offset < wanted[place].end and records[0].timestamp >= 0:
                                found[place] = datetime.fromtimestamp(records[0].timestamp / 1000, UTC)
                        for place in [] if batches else list(left):
                            if await consumer.position(place) >= wanted[place].end:
                                left.discard(place)
                                self._empty[place] = (wanted[place].committed, wanted[place].end)
        finally:
            consumer.assign([])
        return found


def _assigned(raw: bytes) -> list[Any]:
    """A member's partitions; none where it has none yet, or says so in a way of its own."""
    if not raw:
        return []
    try:
        found: list[Any] = ConsumerProtocol.ASSIGNMENT.decode(raw).partitions()
    except (ValueError, TypeError, IndexError):
        return []
    return found


def _with_times(group: Group, found: Mapping[Any, datetime], empty: Mapping[Any, tuple[int, int]]) -> Group:
    places = []
    for one in group.places:
        where = TopicPartition(one.topic, one.partition)
        nothing = empty.get(where) == (one.committed, one.end)
        places.append(msgspec.structs.replace(one, empty=nothing, oldest_at=found.get(where)))
    return msgspec.structs.replace(group, places=tuple(places))
