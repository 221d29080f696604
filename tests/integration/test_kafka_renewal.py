"""A mute aiokafka on a real Kafka: another takes its place in the group, and the old one never comes back."""

import asyncio
from typing import Any

import pytest
from kit.kafka import World
from kit.notes import GROUP, IN, OUT, Notes, make_table, message_id, noted
from msgspec.structs import replace

from workers.pipeline import kafka_consumer, kafka_producer
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka import KafkaConsumer, KafkaProducer
from workers.pipeline.ports import BrokerError, Outgoing
from workers.pipeline.run import Limits, Pipeline
from workers.pipeline.watchdog import Watchdog
from workers.store.database import Database
from workers.telemetry import Metrics


class Worker:
    """`Notes` on real ports, with a watchdog that renews soon and ends nothing."""

    def __init__(self, world: World, url: str, instance_id: str | None) -> None:
        settings = replace(world.settings, instance_id=instance_id)
        clock = SystemClock()
        self.group = world.prefix + GROUP
        self.consumer = KafkaConsumer(settings, self.group, [IN])
        self.database = Database(url)
        self.emitter = Emitter(KafkaProducer(settings), clock)
        self.pipeline = Pipeline(
            self.group,
            Notes(),
            self.consumer,
            self.emitter,
            self.database,
            clock,
            Metrics(),
            prefix=world.prefix,
            limits=Limits(poll_s=0.1, drain_s=4.0),
            watchdog=Watchdog(clock, limit_s=60.0, look_every_s=0.2, renew_after_s=1.0),
        )
        self.task = asyncio.create_task(self.pipeline.run())

    async def until_noted(self, observer: Any, expected: set[str]) -> None:
        """Until all are noted; raises what ended the pipeline."""
        async with asyncio.timeout(60):
            while set(await noted(observer)) != expected:
                done, _ = await asyncio.wait((self.task,), timeout=0.05)
                if done:
                    self.task.result()

    async def stop(self) -> None:
        self.pipeline.stop()
        await self.task
        await self.emitter.close()
        await self.database.close()


async def never(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


@pytest.mark.parametrize("instance_id", [None, "one"], ids=["a member of its own", "a static member"])
@pytest.mark.parametrize("ends", [True, False], ids=["it ends", "it does not even end"])
async def test_another_consumer_reads_what_a_mute_one_does_not(
    ends: bool,
    instance_id: str | None,
    world: World,
    database_url: str,
    observer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka_consumer, "_END_S", 0.3)
    await make_table(observer)
    await world.create(IN, OUT)
    worker = Worker(world, database_url, instance_id)
    await world.put(IN, "ord_1")
    await worker.until_noted(observer, {"ord_1"})
    mute = worker.consumer._consumer
    mute._fetcher._fetch_task.cancel()  # it ends without a word, and nobody looks
    if mute._fetcher._pending_tasks:
        await asyncio.wait(mute._fetcher._pending_tasks)
    mute.getmany = never
    if not ends:
        mute.stop = never
    await world.put(IN, "ord_2", "ord_3", partition=1)
    await worker.until_noted(observer, {"ord_1", "ord_2", "ord_3"})
    assert worker.consumer._consumer is not mute
    old = mute._coordinator
    assert all(task is None or task.done() for task in (old._coordination_task, old._heartbeat_task)), "it still tries"
    if ends or instance_id:  # a member that can't say goodbye is missed once its session has run out
        (described,) = await world.admin.describe_consumer_groups([worker.group])
        assert [len(part) for part in described.groups[0] if isinstance(part, list)] == [1]
    await world.put(IN, "ord_4")
    await worker.until_noted(observer, {"ord_1", "ord_2", "ord_3", "ord_4"})
    sent = await world.records(OUT, 4)
    assert len({message_id(Outgoing(OUT, one.key, one.value, list(one.headers))) for one in sent}) == 4
    assert len(await noted(observer)) == 4
    await worker.stop()
    found = await world.admin.list_consumer_group_offsets(worker.group)
    assert {place.partition: entry.offset for place, entry in found.items()} == {0: 2, 1: 2}


async def test_whether_the_broker_answers_others_is_asked_of_the_broker(world: World) -> None:
    await world.create("one")
    consumer = KafkaConsumer(world.settings, world.prefix + "group", ["one"])
    assert await consumer.answers()
    await consumer.start()
    try:
        assert consumer.joined()
        assert await consumer.answers()
        world.kafka.kill()
        try:
            assert not await consumer.answers()
        finally:
            await world.kafka.start()
    finally:
        await consumer.stop()


async def test_a_consumer_that_waits_for_an_answer_for_ever_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking aiokafka for the group's offset, or committing it, ends only with an answer."""
    monkeypatch.setattr(kafka_consumer, "_ANSWER_S", 0.3)
    await world.create("one")
    consumer = KafkaConsumer(world.settings, world.prefix + "group", ["one"])
    await consumer.start()
    try:
        (place, *_) = sorted(consumer.assignment())
        consumer._consumer._coordinator.ensure_coordinator_known = never
        for asked in (consumer.committed(place), consumer.commit({place: 0})):
            consumer._consumer._coordinator.coordinator_id = None
            with pytest.raises(BrokerError, match="no answer"):
                await asked
    finally:
        await kafka_consumer._cut_off(consumer._consumer)


async def test_a_producer_that_never_says_whether_it_could_is_replaced(
    world: World, producer: KafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.create("one", partitions=1)
    await producer.send_all([Outgoing("one", b"k", b"1", [])])
    producer._producer.send_batch = never
    monkeypatch.setattr(kafka_producer, "_SEND_S", 0.3)
    with pytest.raises(BrokerError, match="TimeoutError"):
        await producer.send_all([Outgoing("one", b"k", b"2", [])])
    monkeypatch.undo()
    await producer.send_all([Outgoing("one", b"k", b"2", [])])
    assert [record.value for record in await world.records("one", 2)] == [b"1", b"2"]
