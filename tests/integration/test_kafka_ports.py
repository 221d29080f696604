"""The ports on a real Kafka: what the pipeline relies on, and what a broker's restart does to it."""

import asyncio
from collections import Counter

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber
from kit.clock import settle
from kit.kafka import NOW, World

from schemas.base import Fault
from schemas.topics import PARKED
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka import KafkaConsumer, KafkaProducer, partition_of
from workers.pipeline.messages import Unreadable
from workers.pipeline.parking import park, parked_copy
from workers.pipeline.ports import BrokerError, Outgoing, Record


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
    await settle()
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
