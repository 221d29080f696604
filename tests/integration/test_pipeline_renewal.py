"""A consumer that goes mute, as aiokafka's may after a broker's restart, is made anew inside the process."""

import asyncio
from typing import Any

import pytest
from kit.broker import Broker
from kit.hooks import Fails, Hold
from kit.members import Client, Fault
from kit.notes import GROUP, IN, OUT, Notes, make_table, noted, put, told, told_orders
from kit.process import LIMITS, Process
from msgspec.structs import replace

from workers.pipeline.clock import SystemClock
from workers.pipeline.ports import Partition
from workers.pipeline.watchdog import Watchdog

ORDERS = [f"ord_{number}" for number in range(10)]
LATER = [f"later_{number}" for number in range(10)]


@pytest.fixture(autouse=True)
async def table(observer: Any) -> None:
    await make_table(observer)


@pytest.fixture
def broker() -> Broker:
    return Broker([IN, OUT], partitions=4)


def impatient() -> Watchdog:
    """Renews soon and ends nothing."""
    return Watchdog(SystemClock(), limit_s=60, look_every_s=0.1, renew_after_s=0.3)


async def hold_everything(observer: Any, broker: Broker, expected: list[str]) -> None:
    """Each order was decided once, and is told of under one id however often it was sent."""
    assert sorted(await noted(observer)) == sorted(expected)
    assert set(told_orders(broker)) == set(expected)
    assert len(set(told(broker))) == len(expected)


async def test_partitions_that_give_nothing_any_more_are_read_by_another_consumer(
    broker: Broker, database_url: str, observer: Any
) -> None:
    async with Process(broker, database_url) as process:
        process.pipeline(Notes(), watchdog=impatient())
        put(broker, *ORDERS)
        await broker.until_read(GROUP, IN)
        (member,) = process.client.members
        member.mute.update(broker.places(IN))
        put(broker, *LATER)
        await broker.until_read(GROUP, IN)
        assert member.renewals == 1
        assert process.counted("annul_consumers_renewed_total", worker="notes") == 1
    await hold_everything(observer, broker, ORDERS + LATER)


@pytest.mark.parametrize("fault", ["hangs", "joins"])
async def test_a_consumer_that_never_answers_is_not_waited_for(
    fault: Fault, broker: Broker, database_url: str, observer: Any
) -> None:
    """Both lanes wait in a poll that never ends; the messages come only then."""
    async with Process(broker, database_url) as process:
        process.pipeline(Notes(), watchdog=impatient())
        put(broker, *ORDERS)
        await broker.until_read(GROUP, IN)
        (member,) = process.client.members
        member.fault = fault
        put(broker, *LATER)
        await broker.until_read(GROUP, IN)
        assert member.renewals == 1
    await hold_everything(observer, broker, ORDERS + LATER)


async def test_what_was_recorded_and_not_yet_sent_is_sent_and_what_was_being_decided_is_decided_once(
    broker: Broker, database_url: str, observer: Any
) -> None:
    sending, deciding = Hold(), Hold(let_by=1)

    async def before(_: Any) -> None:
        await deciding()

    async with Process(broker, database_url) as process:
        process.client.at["send"] = sending
        process.pipeline(Notes(before), limits=replace(LIMITS, batch_records=2), watchdog=impatient())
        await process.client.turns()
        put(broker, *ORDERS, partition=0)
        put(broker, "ord_mute", partition=1)  # of the other lane
        (member,) = process.client.members
        member.mute.add(Partition(IN, 1))
        await sending.reached.wait()
        await deciding.reached.wait()
        await broker.until(lambda: member.renewals == 1)
        sending.let_go()
        deciding.let_go()
        await broker.until_read(GROUP, IN)
    await hold_everything(observer, broker, [*ORDERS, "ord_mute"])
    assert [order for order in dict.fromkeys(told_orders(broker)) if order in ORDERS] == ORDERS


async def test_a_new_consumer_that_can_not_start_yet_is_tried_again(
    broker: Broker, database_url: str, observer: Any
) -> None:
    async with Process(broker, database_url) as process:
        process.pipeline(Notes(), watchdog=impatient())
        await process.client.turns()
        process.client.at["start"] = Fails(2)
        (member,) = process.client.members
        member.fault = "hangs"
        put(broker, *ORDERS)
        await broker.until_read(GROUP, IN)
        assert member.renewals == 3
    await hold_everything(observer, broker, ORDERS)


async def test_a_pipeline_that_is_told_to_stop_while_it_renews_its_consumer_stops(
    broker: Broker, database_url: str
) -> None:
    hold = Hold()
    async with Process(broker, database_url) as process:
        process.pipeline(Notes(), watchdog=impatient())
        await process.client.turns()
        process.client.at["start"] = hold
        (member,) = process.client.members
        member.fault = "hangs"
        await hold.reached.wait()
        async with asyncio.timeout(10):
            await process.stop()


@pytest.mark.parametrize("how", ["it failed", "it was refused"])
async def test_a_commit_that_did_not_go_through_is_made_up_for_though_no_message_follows(
    how: str, broker: Broker, database_url: str, observer: Any
) -> None:
    """The group would seem to lag until the next message, which may be tomorrow's."""
    hold = Hold()
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await broker.until(lambda: process.client.passed["committed"] == len(broker.places(IN)))  # all taken over
        process.client.at["commit"] = hold
        put(broker, *ORDERS)
        await hold.reached.wait()
        if how == "it was refused":
            visitor = Client(broker).consumer(GROUP, [IN])  # comes and goes; the partitions stay where they were
            broker.join(visitor)
            broker.expire(visitor)
            hold.let_go()
        else:
            process.client.at["commit"] = Fails(1)
            broker.down = True
            hold.let_go()
            await process.client.turns(0)
            broker.down = False
        await broker.until_read(GROUP, IN)
    await hold_everything(observer, broker, ORDERS)


async def test_a_commit_that_goes_through_late_leaves_nothing_to_commit_again(
    broker: Broker, database_url: str, observer: Any
) -> None:
    """Whoever makes up for it waits for the commit under way, and finds nothing left to do."""
    hold = Hold()
    async with Process(broker, database_url) as process:
        running = process.pipeline(Notes())
        await broker.until(lambda: process.client.passed["committed"] == len(broker.places(IN)))  # all taken over
        process.client.at["commit"] = hold
        put(broker, *ORDERS)
        await hold.reached.wait()
        await asyncio.wait((running,), timeout=1.5)  # longer than it takes until it is tried again
        hold.let_go()
        await broker.until_read(GROUP, IN)
        await process.client.turns()
        assert not running.done()
    await hold_everything(observer, broker, ORDERS)


async def test_a_take_over_that_kafka_refuses_is_done_again(database_url: str, observer: Any) -> None:
    """The group was dealt anew meanwhile, and the partition is still the same member's: no one else will tell Kafka."""
    broker = Broker([IN, OUT], partitions=1)
    async with Process(broker, database_url) as gone:
        gone.client.at["commit"] = Fails(1_000, let_by=1)
        gone.pipeline(Notes())
        put(broker, *ORDERS)
        await broker.until(lambda: len(broker.records(OUT)) == len(ORDERS))
    hold = Hold()
    async with Process(broker, database_url) as process:
        process.client.at["commit"] = hold
        process.pipeline(Notes())
        await hold.reached.wait()
        visitor = Client(broker).consumer(GROUP, [IN])
        broker.join(visitor)
        broker.expire(visitor)
        hold.let_go()
        await broker.until_read(GROUP, IN)
    await hold_everything(observer, broker, ORDERS)
