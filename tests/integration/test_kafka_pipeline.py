"""A pipeline on a real Kafka: added partitions, a broker that dies, other people's transactions."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions
from kit.kafka import NOW, World
from kit.notes import GROUP, IN, OUT, Notes, make_table, message_id, noted, placed

from schemas.base import encode
from schemas.envelope import headers_of
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka import KafkaConsumer, KafkaProducer
from workers.pipeline.ports import Outgoing
from workers.pipeline.run import Limits, Pipeline
from workers.pipeline.watchdog import Watchdog
from workers.store.database import Database
from workers.telemetry import Metrics


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
