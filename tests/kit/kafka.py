"""A real Kafka for all tests, and on it topics of each test's own."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from kit.notes import placed
from schemas.base import encode
from schemas.envelope import headers_of
from schemas.topics import CATALOGUE
from workers.local.home import StackFolder
from workers.local.kafka import LocalKafka
from workers.pipeline.kafka import KafkaProducer
from workers.pipeline.kafka_settings import KafkaSettings
from workers.pipeline.ports import Partition

_prefixes = count(1)
NOW: Final = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)


class World:
    """Topics of a test's own on the broker that all share."""

    def __init__(self, kafka: LocalKafka, admin: Any) -> None:
        self.kafka = kafka
        self.admin = admin
        self.prefix = f"t{next(_prefixes)}."
        self.settings = KafkaSettings(
            bootstrap_servers=kafka.bootstrap, topic_prefix=self.prefix, session_timeout_s=6.0
        )

    async def create(self, *topics: str, partitions: int = 2) -> None:
        """Make topics, those of the catalogue with their settings."""
        sizes = {topic.name: topic.settings() for topic in CATALOGUE}
        await self.admin.create_topics(
            [NewTopic(self.prefix + topic, partitions, 1, topic_configs=sizes.get(topic, {})) for topic in topics]
        )

    def place(self, topic: str, partition: int = 0) -> Partition:
        """A partition of one."""
        return Partition(self.prefix + topic, partition)

    async def records(self, topic: str, expected: int) -> list[Any]:
        """What lies on a topic, read by a client of its own until so many are there."""
        consumer = AIOKafkaConsumer(
            self.prefix + topic, bootstrap_servers=self.kafka.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        found: list[Any] = []
        try:
            async with asyncio.timeout(30):
                while len(found) < expected:
                    batches = await consumer.getmany(timeout_ms=500)
                    found += [record for batch in batches.values() for record in batch]
        finally:
            await consumer.stop()
        return found

    async def put(self, topic: str, *orders: str, partition: int = 0, **producer_options: Any) -> None:
        """Messages for `Notes`, in one transaction where there is an id for it."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka.bootstrap, **producer_options)
        await producer.start()
        try:
            if "transactional_id" in producer_options:
                await producer.begin_transaction()
            for order in orders:
                headers = headers_of("order.placed", f"evt_{order}", NOW)
                await producer.send_and_wait(
                    self.prefix + topic, encode(placed(order)), order.encode(), partition=partition, headers=headers
                )
            if "transactional_id" in producer_options:
                await producer.commit_transaction()
        finally:
            await producer.stop()


@pytest.fixture(scope="session")
async def kafka() -> AsyncIterator[LocalKafka]:
    """The broker."""
    folder = StackFolder.create("test")
    broker = LocalKafka(folder)
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop(discard=True)
        folder.remove()


@pytest.fixture
async def world(kafka: LocalKafka) -> AsyncIterator[World]:
    """A test's own topics on it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    yield World(kafka, admin)
    await admin.close()


@pytest.fixture
async def producer(world: World) -> AsyncIterator[KafkaProducer]:
    """A producer as workers have it."""
    made = KafkaProducer(world.settings)
    yield made
    await made.stop()
