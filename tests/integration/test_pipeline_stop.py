"""Told to stop, a worker finishes what it can and is gone in time, whoever doesn't answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kit.broker import Broker
from kit.clock import settle
from kit.database import Gateway
from kit.hooks import Hold
from kit.notes import GROUP, IN, Notes, make_table, noted, put, told_orders
from kit.process import LIMITS, Process
from msgspec.structs import replace

from schemas.topics import CATALOGUE
from workers.pipeline.clock import SystemClock

ORDERS = [f"ord_{number}" for number in range(10)]
SHORT = replace(LIMITS, drain_s=0.8)


@pytest.fixture(autouse=True)
async def table(observer: Any) -> None:
    await make_table(observer)


@pytest.fixture
def broker() -> Broker:
    return Broker([topic.name for topic in CATALOGUE], partitions=1)


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with Gateway(database_url) as standing:
        yield standing


async def stops_in_time(process: Process) -> None:
    """Its workers are done when their time to drain is over; connections on which nobody answers have their own."""
    started = time.monotonic()
    async with asyncio.timeout(10):
        await process.stop_workers()
        assert time.monotonic() - started < SHORT.drain_s + 0.2
        await process.stop()


async def test_a_batch_in_flight_is_decided_sent_and_committed(
    broker: Broker, database_url: str, observer: Any
) -> None:
    hold = Hold()

    async def before(_: Any) -> None:
        await hold()

    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        process.pipeline(Notes(before))
        await hold.reached.wait()
        stopping = asyncio.create_task(process.stop())
        put(broker, "ord_too_late")
        hold.let_go()
        await stopping
    assert await noted(observer) == ORDERS
    assert told_orders(broker) == ORDERS
    assert broker.committed(GROUP, IN) == [10]


async def test_a_pipeline_with_nothing_to_do_stops_at_once(broker: Broker, database_url: str) -> None:
    async with Process(broker, database_url) as process:
        process.pipeline(Notes(), limits=replace(LIMITS, poll_s=30.0))
        await process.client.turns(1)
        async with asyncio.timeout(1):
            await process.stop()
    assert broker.group(GROUP).members == []


@pytest.mark.parametrize("at", ["begin", "middle"])
async def test_a_database_that_keeps_silent_does_not_keep_the_process(
    broker: Broker, gateway: Gateway, database_url: str, observer: Any, at: str
) -> None:
    """Asyncpg asks PostgreSQL even to give up a query, and waits for that answer too."""

    async def before(_: Any) -> None:
        if at == "middle":
            gateway.hang()

    async with Process(broker, gateway.url) as process:
        process.pipeline(Notes(before), limits=SHORT)
        await process.client.turns()
        if at == "begin":
            gateway.hang()
        put(broker, *ORDERS)
        await gateway.silenced.wait()
        await stops_in_time(process)
    gateway.go_on()
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await broker.until_read(GROUP, IN)
    assert await noted(observer) == ORDERS
    assert told_orders(broker) == ORDERS


async def test_a_broker_that_takes_nothing_does_not_keep_the_process(
    broker: Broker, database_url: str, observer: Any
) -> None:
    hold = Hold()
    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        process.client.at["send"] = hold
        process.pipeline(Notes(), limits=SHORT)
        await hold.reached.wait()
        await stops_in_time(process)
    assert told_orders(broker) == []
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await broker.until_read(GROUP, IN)
    assert await noted(observer) == ORDERS
    assert told_orders(broker) == ORDERS


async def test_a_broker_that_cannot_be_reached_at_the_start_does_not_keep_the_process(
    broker: Broker, database_url: str
) -> None:
    broker.down = True
    async with Process(broker, database_url) as process:
        process.pipeline(Notes(), limits=SHORT)
        await asyncio.sleep(0)
        await stops_in_time(process)


async def test_a_broker_that_keeps_silent_at_the_start_does_not_keep_the_process(
    broker: Broker, database_url: str
) -> None:
    hold = Hold()
    async with Process(broker, database_url) as process:
        process.client.at["start"] = hold
        process.pipeline(Notes(), limits=SHORT)
        await hold.reached.wait()
        await stops_in_time(process)


async def test_timers_that_cannot_send_stop_in_time(broker: Broker, database_url: str, observer: Any) -> None:
    hold = Hold()
    await observer.execute(
        r"INSERT INTO scheduled_messages (schedule_id, subject, due_at, revision, message)"
        r" VALUES ('one', 'one', now(), 1, '\x94a67468696e6773c0c090')"
    )
    async with Process(broker, database_url) as process:
        process.client.at["send"] = hold
        process.timers(SHORT.drain_s / 2)
        await hold.reached.wait()
        await stops_in_time(process)


async def test_timers_stop_in_time_though_the_database_keeps_silent(broker: Broker, gateway: Gateway) -> None:
    async with Process(broker, gateway.url) as process:
        timers = process.timers(0.1)
        await process.workers[0].ready.wait()
        gateway.hang()
        await gateway.silenced.wait()
        process.workers[0].stop()
        async with asyncio.timeout(2):
            await timers


async def test_a_word_to_end_is_heard_though_what_was_awaited_ends_in_that_moment() -> None:
    """asyncio.wait_for of Python 3.11 drops it, and the task goes on for ever."""
    awaited = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(SystemClock().wait_for(awaited, 10))
    await settle()
    awaited.set_result(None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
