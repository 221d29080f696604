"""Bringing the topics to this version, and the groups' first offsets. Safe to repeat."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from schemas.topics import CATALOGUE, Topic
from workers.consumers import CONSUMERS, group_of
from workers.settings import Settings


class TopicsError(Exception):
    """The topics can't be brought to this version; says which and why."""


async def prepare_topics(settings: Settings) -> list[str]:
    """Make what is missing, add partitions, set what is kept how long; gives a line for each change."""
    prefix = settings.topic_prefix
    changes = []
    async with _admin(settings) as admin:
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
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=topic.settings())])
    changes += await _commit_beginnings(settings)
    return changes


async def _commit_beginnings(settings: Settings) -> list[str]:
    changes = []
    for worker, topics in CONSUMERS.items():
        async with _group(settings, worker) as consumer:
            places = await _places(consumer, [settings.topic_prefix + topic.name for topic in topics])
            consumer.assign(places)
            beginnings = await consumer.beginning_offsets(places)
            fresh = {place: beginnings[place] for place in places if await consumer.committed(place) is None}
            if fresh:
                await consumer.commit(fresh)
                changes.append(f"{group_of(worker)} begins on {len(fresh)} partitions")
    return changes


async def rewind_to_database(settings: Settings) -> list[str]:
    """Set every group's offset in Kafka to where the database is; what lies between is read again."""
    rows = await _query(settings, "SELECT consumer_group, topic, partition, next_offset FROM consumer_offsets")
    changes = []
    for worker in CONSUMERS:
        known = {
            TopicPartition(row["topic"], row["partition"]): row["next_offset"]
            for row in rows
            if row["consumer_group"] == group_of(worker, settings.topic_prefix)
        }
        if not known or worker == "sellers":
            continue
        async with _group(settings, worker) as consumer:
            consumer.assign(list(known))
            await consumer.commit(known)
            changes.append(f"{group_of(worker)} rewound to the database on {len(known)} partitions")
    return changes


async def accept_new_topic(settings: Settings, topic: str) -> list[str]:
    """Forget how far a topic was read that was made anew since; its groups start at its beginning."""
    for table in ("emissions", "consumer_offsets"):
        await _query(settings, f"DELETE FROM {table} WHERE topic = $1", topic)  # noqa: S608 - two names of ours
    changes = []
    for worker, topics in CONSUMERS.items():
        if topic not in {settings.topic_prefix + one.name for one in topics}:
            continue
        async with _group(settings, worker) as consumer:
            places = await _places(consumer, [topic])
            consumer.assign(places)
            await consumer.commit(await consumer.beginning_offsets(places))
            changes.append(f"{group_of(worker)} begins anew on {topic}")
    return changes


def _new(topic: Topic, settings: Settings) -> NewTopic:
    return NewTopic(
        settings.topic_prefix + topic.name,
        settings.topic_partitions,
        settings.topic_replication_factor,
        topic_configs=topic.settings(),
    )


async def _places(consumer: Any, topics: list[str]) -> list[TopicPartition]:
    places = []
    for topic in topics:
        partitions = consumer.partitions_for_topic(topic)
        if partitions is None:
            await consumer._client.force_metadata_update()  # noqa: SLF001 - a topic made a moment ago
            partitions = consumer.partitions_for_topic(topic)
        if partitions is None:
            raise TopicsError(f"{topic}: not there yet; try again")
        places += [TopicPartition(topic, number) for number in sorted(partitions)]
    return places


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**settings.kafka().client())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def _group(settings: Settings, worker: str) -> AsyncIterator[Any]:
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
