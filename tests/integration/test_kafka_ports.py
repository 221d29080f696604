"""The ports on a real Kafka: what the pipeline relies on, and what a broker's restart does to it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import OutOfOrderSequenceNumber
from kit.notes import GROUP, IN, OUT, Notes, make_table, message_id, noted, placed

from schemas.base import Fault, encode
from schemas.envelope import headers_of
from schemas.topics import CATALOGUE, PARKED
from workers.local.home import StackFolder
from workers.local.kafka import LocalKafka
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka import KafkaConsumer, KafkaProducer, partition_of
from workers.pipeline.kafka_settings import KafkaSettings
from workers.pipeline.messages import Unreadable
from workers.pipeline.parking import park, parked_copy
from workers.pipeline.ports import BrokerError, Outgoing, Partition, Record
from workers.pipeline.run import Limits, Pipeline
from workers.pipeline.watchdog import Watchdog
from workers.store.database import Database
from workers.telemetry import Metrics

_prefixes = count(1)
NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)


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
        sizes = {topic.name: topic.settings() for topic in CATALOGUE}
        await self.admin.create_topics(
            [NewTopic(self.prefix + topic, partitions, 1, topic_configs=sizes.get(topic, {})) for topic in topics]
        )

    def place(self, topic: str, partition: int = 0) -> Partition:
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


@pytest.fixture(scope="module")
async def kafka() -> AsyncIterator[LocalKafka]:
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
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    yield World(kafka, admin)
    await admin.close()


@pytest.fixture
async def producer(world: World) -> AsyncIterator[KafkaProducer]:
    made = KafkaProducer(world.settings)
    yield made
    await made.stop()


def outgoing(topic: str, key: str, number: int = 0) -> Outgoing:
    return Outgoing(topic, key.encode(), f"value {number}".encode(), [("ce_id", f"{key}.{number}".encode())])


async def poll_all(consumer: KafkaConsumer, expected: int) -> list[Record]:
    found: list[Record] = []
    async with asyncio.timeout(20):
        while len(found) < expected:
            found += await consumer.poll(100, 0.2, consumer.assignment())
    return found


async def test_a_member_reads_from_where_it_seeks_and_commits_what_it_is_told(
    world: World, producer: KafkaProducer
) -> None:
    await world.create("one", partitions=1)
    await producer.send_all([outgoing("one", "key", number) for number in range(10)])
    consumer = KafkaConsumer(world.settings, "group", ["one"])
    place = world.place("one")
    await consumer.start()
    try:
        assert consumer.assignment() == {place}
        assert await consumer.committed(place) is None
        assert await consumer.beginning(place) == 0
        assert await consumer.poll(100, 0.1, consumer.assignment()) == []  # no offset yet: that is said, not raised
        consumer.seek(place, 4)
        found = await poll_all(consumer, 6)
        assert [record.offset for record in found] == [4, 5, 6, 7, 8, 9]
        assert found[0] == Record(place, 4, b"key", b"value 4", (("ce_id", b"key.4"),))
        assert await consumer.committed(place) is None
        assert await consumer.commit({place: 7})
        assert await consumer.committed(place) == 7
        assert await consumer.ends() == {}  # nothing is left to read
        consumer.seek(place, 4)
        assert await consumer.ends() == {place: 10}
        assert not await consumer.commit({world.place("one", 5): 1})
    finally:
        await consumer.stop()


async def test_a_topic_made_anew_has_another_id(world: World) -> None:
    await world.create("one", partitions=1)
    consumer = KafkaConsumer(world.settings, "group", ["one"])
    await consumer.start()
    name = world.prefix + "one"
    try:
        first = await consumer.topic_id(name)
        assert first == await consumer.topic_id(name)
        await world.admin.delete_topics([name])
        with pytest.raises(BrokerError):
            while True:
                await consumer.topic_id(name)
        await world.create("one", partitions=1)
        async with asyncio.timeout(20):
            while (second := await _id_or_none(consumer, name)) is None:
                pass
        assert second != first
    finally:
        await consumer.stop()


async def _id_or_none(consumer: KafkaConsumer, name: str) -> str | None:
    try:
        return await consumer.topic_id(name)
    except BrokerError:
        return None


async def test_a_member_that_lost_a_partition_is_told_so_when_it_commits(world: World) -> None:
    await world.create("one", partitions=2)
    first, second = (KafkaConsumer(world.settings, "group", ["one"]) for _ in range(2))
    await first.start()
    try:
        assert len(first.assignment()) == 2
        await second.start()
        async with asyncio.timeout(20):
            while len(first.assignment()) != 1:
                await first.poll(1, 0.05, frozenset())
        (lost,) = second.assignment()
        assert not await first.commit({lost: 0})
        assert await second.commit({lost: 0})
    finally:
        await first.stop()
        await second.stop()


async def test_partitions_are_those_of_javas_producer_and_a_keyless_record_has_one(
    world: World, producer: KafkaProducer
) -> None:
    await world.create("one", partitions=8)
    keys = [f"ord_{number}" for number in range(50)]
    await producer.send_all([*(outgoing("one", key) for key in keys), Outgoing("one", None, b"x", [])])
    found = {record.key: record.partition for record in await world.records("one", 51)}
    assert found == {key: partition_of(key, 8) for key in [*(key.encode() for key in keys), None]}
    assert partition_of(b"21", 1000) == (-973932308 & 0x7FFFFFFF) % 1000  # from Kafka's own tests of murmur2


@pytest.mark.parametrize(
    ("key", "value"), [(b"ord_1", b"x" * 1_000_000), (None, b"x" * 1_000_000), (b"k" * 1_000_000, None), (None, None)]
)
async def test_the_copy_of_the_largest_record_fits_its_topic(
    world: World, producer: KafkaProducer, key: bytes | None, value: bytes | None
) -> None:
    await world.create("orders", PARKED.name, partitions=1)
    await producer.send_all([Outgoing("orders", key, value, [("x", b"\xff"), ("empty", b"")])])
    consumer = KafkaConsumer(world.settings, "group", ["orders"])
    await consumer.start()
    try:
        consumer.seek(world.place("orders"), 0)
        (record,) = await poll_all(consumer, 1)
    finally:
        await consumer.stop()
    assert (record.key, record.value, record.headers) == (key, value, (("x", b"\xff"), ("empty", b"")))
    copy = parked_copy(park(Unreadable(record, None, Fault("too_large", "value", "…")), Fault("a", "b", "c"), "d"), NOW)
    await producer.send_all([copy, *(outgoing(PARKED.name, "small", number) for number in range(3))])
    found, *small = await world.records(PARKED.name, 4)
    assert (found.key, found.value) == (key, value)
    assert found.headers == tuple(copy.headers)
    assert [dict(one.headers)["ce_id"] for one in small] == [b"small.0", b"small.1", b"small.2"]


async def test_many_send_at_once_through_a_restart_of_the_broker_and_every_record_arrives(
    world: World, producer: KafkaProducer
) -> None:
    """The first to fail makes the producer anew, once, while the others still wait for the old one."""
    await world.create("one", partitions=4)
    emitter = Emitter(producer, SystemClock())
    sent = [[outgoing("one", f"key_{sender}", number) for number in range(20)] for sender in range(12)]

    async def send(messages: list[Outgoing]) -> None:
        for message in messages:
            await emitter.emit([message])

    await emitter.emit([outgoing("one", "warm")])
    before = producer._producer
    sending = [asyncio.create_task(send(messages)) for messages in sent]
    world.kafka.kill()
    # What one of its batches comes to when the sequence is out of step, or the request is given up.
    before._message_accumulator.fail_all(OutOfOrderSequenceNumber())
    await world.kafka.start()
    async with asyncio.timeout(60):
        await asyncio.gather(*sending)
    assert producer._producer is not before
    expected = {dict(message.headers)["ce_id"] for messages in sent for message in messages}
    found = Counter(dict(record.headers)["ce_id"] for record in await world.records("one", len(expected) + 1))
    assert set(found) - {b"warm.0"} <= expected
    assert len(set(found) - {b"warm.0"}) == len(expected)


class Worker:
    """`Notes` on real ports."""

    def __init__(self, world: World, url: str, **limits: Any) -> None:
        self.database = Database(url)
        clock = SystemClock()
        self.emitter = Emitter(KafkaProducer(world.settings), clock)
        self.group = world.prefix + GROUP
        self.pipeline = Pipeline(
            self.group,
            Notes(),
            KafkaConsumer(world.settings, self.group, [IN]),
            self.emitter,
            self.database,
            clock,
            Metrics(),
            prefix=world.prefix,
            limits=Limits(poll_s=0.1, drain_s=4.0, **limits),
            watchdog=Watchdog(clock, limit_s=1.0, look_every_s=0.2),
        )
        self.task = asyncio.create_task(self.pipeline.run())

    async def stop(self) -> None:
        self.pipeline.stop()
        await self.task
        await self.emitter.close()
        await self.database.close()


async def until_noted(observer: Any, worker: Worker, orders: list[str]) -> None:
    async with asyncio.timeout(60):
        while sorted(await noted(observer)) != sorted(orders):
            done, _ = await asyncio.wait((worker.task,), timeout=0.05)
            if done:
                worker.task.result()


async def test_a_new_partition_and_a_broker_that_dies_are_lived_through(
    world: World, database_url: str, observer: Any
) -> None:
    """From a group without any offset, over a partition that is added, to a broker killed in between."""
    await make_table(observer)
    await world.create(IN, OUT, partitions=1)
    await world.put(IN, "ord_1")
    worker = Worker(world, database_url)
    await until_noted(observer, worker, ["ord_1"])
    await world.admin.create_partitions({world.prefix + IN: NewPartitions(2)})
    await world.put(IN, "ord_2", partition=1)
    worker.pipeline._consumer._consumer._client.force_metadata_update()  # type: ignore[attr-defined]  # or wait for 30 s
    await until_noted(observer, worker, ["ord_1", "ord_2"])
    world.kafka.kill()
    await world.kafka.start()
    await world.put(IN, "ord_3", "ord_4", partition=1)
    await until_noted(observer, worker, ["ord_1", "ord_2", "ord_3", "ord_4"])
    sent = await world.records(OUT, 4)
    assert {record.key for record in sent} == {b"ord_1", b"ord_2", b"ord_3", b"ord_4"}
    assert len({message_id(Outgoing(OUT, one.key, one.value, list(one.headers))) for one in sent}) == 4
    await worker.stop()
    offsets = await committed(world, worker.group)
    assert offsets == {0: 1, 1: 3}


async def committed(world: World, group: str) -> dict[int, int]:
    found = await world.admin.list_consumer_group_offsets(group)
    return {place.partition: entry.offset for place, entry in found.items()}


async def test_the_markers_of_a_transactional_producer_are_not_taken_for_records_that_nobody_takes(
    world: World, database_url: str, observer: Any
) -> None:
    """They count as offsets: a partition that is read to its last record seems to hold one more."""
    await make_table(observer)
    await world.create(IN, OUT, partitions=1)
    worker = Worker(world, database_url)
    await world.put(IN, "ord_1", transactional_id=world.prefix)
    await until_noted(observer, worker, ["ord_1"])
    done, _ = await asyncio.wait((worker.task,), timeout=2.5)
    assert not done
    await worker.stop()


async def test_what_a_producer_took_back_is_not_honoured(world: World, database_url: str, observer: Any) -> None:
    """An order service that writes in transactions may abort one: what it held never happened."""
    await make_table(observer)
    await world.create(IN, OUT, partitions=1)
    producer = AIOKafkaProducer(bootstrap_servers=world.kafka.bootstrap, transactional_id=world.prefix)
    await producer.start()
    await producer.begin_transaction()
    headers = headers_of("order.placed", "evt_never", NOW)
    await producer.send_and_wait(world.prefix + IN, encode(placed("ord_never")), partition=0, headers=headers)
    await producer.abort_transaction()
    await producer.stop()
    await world.put(IN, "ord_1")
    worker = Worker(world, database_url)
    await until_noted(observer, worker, ["ord_1"])
    await worker.stop()
