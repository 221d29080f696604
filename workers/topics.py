"""Bringing the topics to this version, and the groups' first offsets. Safe to repeat."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CommitFailedError, IllegalGenerationError, UnknownMemberIdError, for_code

from schemas.topics import CATALOGUE, Topic
from workers.consumers import CONSUMERS, STATISTICS_TABLE, changelog_of, group_of
from workers.settings import Settings

_HAS_MEMBERS = (CommitFailedError, IllegalGenerationError, UnknownMemberIdError)


class TopicsError(Exception):
    """The topics can't be brought to this version; says which and why."""


async def prepare_topics(settings: Settings) -> list[str]:
    """Make what is missing, add partitions, set what is kept how long; gives a line for each change."""
    prefix = settings.topic_prefix
    changes = []
    async with admin_client(settings) as admin:
        there = {one["topic"]: one for one in await admin.describe_topics() if not one["error_code"]}
        missing = [topic for topic in CATALOGUE if prefix + topic.name not in there]
        if missing:
            made = await admin.create_topics([_new(topic, settings) for topic in missing])
            for name, code, *rest in made.topic_errors:
                if code and for_code(code).__name__ != "TopicAlreadyExistsError":
                    raise TopicsError(f"{name}: {for_code(code).__name__} {rest[0] if rest else ''}".strip())
                changes.append(f"made {name}")
        for topic in CATALOGUE:
            found = there.get(prefix + topic.name)
            if found is None:
                continue
            name = prefix + topic.name
            if len(found["partitions"]) < settings.topic_partitions:
                await admin.create_partitions({name: NewPartitions(settings.topic_partitions)})
                changes.append(f"added partitions to {name}")
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name, configs=_configs(topic, settings))]
            )
        # faust makes it by itself; it must be partitioned as what the table is made from.
        table = changelog_of(group_of("sellers", prefix), STATISTICS_TABLE)
        if table in there:
            if len(there[table]["partitions"]) < settings.topic_partitions:
                await admin.create_partitions({table: NewPartitions(settings.topic_partitions)})
                changes.append(f"added partitions to {table}")
            configs = {"cleanup.policy": "compact", **settings.kafka().no_late_records()}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, table, configs=configs)])
    changes += await _commit_beginnings(settings)
    return changes


async def _commit_beginnings(settings: Settings) -> list[str]:
    changes = []
    for worker in CONSUMERS:
        async with group_client(settings, worker) as consumer:
            places = await places_of(consumer, settings, worker)
            beginnings = await consumer.beginning_offsets(places)
            fresh = {place: beginnings[place] for place in places if await consumer.committed(place) is None}
            if not fresh:
                continue
            try:
                await consumer.commit(fresh)
            except _HAS_MEMBERS:
                continue  # they begin by themselves where a partition has no offset
            changes.append(f"{group_of(worker)} begins on {len(fresh)} partitions")
    return changes


async def rewind_to_database(settings: Settings) -> list[str]:
    """Set every group's offset in Kafka to where the database is; what lies between is read again.

    Where the database knows nothing of a partition that is its beginning. Raises TopicsError while workers run.
    """
    rows = await _query(settings, "SELECT consumer_group, topic, partition, next_offset FROM consumer_offsets")
    decided = {(row["consumer_group"], row["topic"], row["partition"]): row["next_offset"] for row in rows}
    changes = []
    for worker in CONSUMERS:
        if worker == "sellers":
            continue  # faust keeps its own offsets; the table heals by the numbers of the outcomes
        group = group_of(worker, settings.topic_prefix)
        async with group_client(settings, worker) as consumer:
            places = await places_of(consumer, settings, worker)
            beginnings = await consumer.beginning_offsets(places)
            wanted = {place: decided.get((group, *place), beginnings[place]) for place in places}
            moved = {place: to for place, to in wanted.items() if await consumer.committed(place) != to}
            if moved:
                await _commit_alone(consumer, group, moved)
                changes.append(f"{group} set to the database on {len(moved)} partitions")
    return changes


async def accept_new_topic(settings: Settings, topic: str) -> list[str]:
    """Forget how far a topic was read that was made anew since; its groups start at its beginning.

    Raises TopicsError while workers run.
    """
    changes = []
    for worker, topics in CONSUMERS.items():
        if topic not in {settings.topic_prefix + one.name for one in topics}:
            continue
        group = group_of(worker, settings.topic_prefix)
        async with group_client(settings, worker) as consumer:
            places = [place for place in await places_of(consumer, settings, worker) if place.topic == topic]
            await _commit_alone(consumer, group, await consumer.beginning_offsets(places))
            changes.append(f"{group} begins anew on {topic}")
    for table in ("emissions", "consumer_offsets"):
        await _query(settings, f"DELETE FROM {table} WHERE topic = $1", topic)  # noqa: S608 - two names of ours
    return changes


async def _commit_alone(consumer: Any, group: str, offsets: dict[Any, int]) -> None:
    try:
        await consumer.commit(offsets)
    except _HAS_MEMBERS:
        raise TopicsError(
            f"{group} has members: stop its workers, wait for their session to end, and try again"
        ) from None


def _configs(topic: Topic, settings: Settings) -> dict[str, str]:
    # With three copies two must have a record before it counts as sent: one broker may be lost, and no record.
    copies = {"min.insync.replicas": str(max(1, settings.topic_replication_factor - 1))}
    return {**topic.settings(), **copies, **(settings.kafka().no_late_records() if topic.compacted else {})}


def _new(topic: Topic, settings: Settings) -> NewTopic:
    return NewTopic(
        settings.topic_prefix + topic.name,
        settings.topic_partitions,
        settings.topic_replication_factor,
        topic_configs=_configs(topic, settings),
    )


async def places_of(consumer: Any, settings: Settings, worker: str) -> list[TopicPartition]:
    """Every partition that a worker reads, assigned to the consumer without joining the group."""
    places = []
    for topic in CONSUMERS[worker]:
        name = settings.topic_prefix + topic.name
        partitions = consumer.partitions_for_topic(name)
        if partitions is None:
            await consumer._client.force_metadata_update()  # noqa: SLF001 - a topic made a moment ago
            partitions = consumer.partitions_for_topic(name)
        if partitions is None:
            raise TopicsError(f"{name}: not there; `annul topics` makes it")
        places += [TopicPartition(name, number) for number in sorted(partitions)]
    consumer.assign(places)
    return places


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[Any]:
    """An admin client of Kafka for as long as a block lasts."""
    admin = AIOKafkaAdminClient(**settings.kafka().client())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def group_client(settings: Settings, worker: str) -> AsyncIterator[Any]:
    """A client that speaks for a worker's group without joining it."""
    names = [settings.topic_prefix + topic.name for topic in CONSUMERS[worker]]
    consumer = AIOKafkaConsumer(
        **settings.kafka().client(), group_id=group_of(worker, settings.topic_prefix), enable_auto_commit=False
    )
    await consumer.start()
    try:
        await consumer._client.set_topics(names)  # noqa: SLF001 - know the partitions without joining the group
        yield consumer
    finally:
        await consumer.stop()


async def _query(settings: Settings, text: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=10)
    try:
        rows: list[Any] = await connection.fetch(text, *arguments)
        return rows
    finally:
        await connection.close()
