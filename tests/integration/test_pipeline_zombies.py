"""Two processes believe that a partition is theirs: PostgreSQL lets one of them decide, and the other one finds out."""

from collections import Counter
from typing import Any

import pytest
from kit.broker import Broker
from kit.hooks import Fails, Hold
from kit.members import Client
from kit.notes import GROUP, IN, OUT, Notes, make_table, noted, put, told, told_orders
from kit.process import LIMITS, Process
from msgspec.structs import replace

from schemas.topics import ORDERS_EVENTS
from workers.pipeline.messages import read
from workers.pipeline.ports import Partition, Record
from workers.pipeline.reading import Batch
from workers.pipeline.run import Pipeline

ORDERS = [f"ord_{number}" for number in range(10)]


@pytest.fixture(autouse=True)
async def table(observer: Any) -> None:
    await make_table(observer)


@pytest.fixture
def broker() -> Broker:
    return Broker([IN, OUT], partitions=2)


def turn_into_zombie(broker: Broker, process: Process) -> None:
    """Its session runs out, and it notices nothing."""
    member = process.client.members[0]
    member.deaf = True
    broker.expire(member)


async def test_a_process_frozen_before_it_decides_wakes_up_and_decides_nothing_that_others_did(
    broker: Broker, database_url: str, observer: Any
) -> None:
    hold = Hold()
    async with Process(broker, database_url) as frozen, Process(broker, database_url) as other:
        frozen.database.before_transaction = hold
        frozen.pipeline(notes := Notes())
        put(broker, *ORDERS, partition=0)
        await hold.reached.wait()
        turn_into_zombie(broker, frozen)
        other.pipeline(Notes())
        await broker.until_read(GROUP, IN)
        hold.let_go()
        await frozen.client.turns()
        assert notes.tried == []  # it was refused at the offsets, before it could load or decide
    assert await noted(observer) == ORDERS
    assert list(dict.fromkeys(told_orders(broker))) == ORDERS
    assert len(set(told(broker))) == len(ORDERS)  # a message sent again is the same message


async def test_a_process_frozen_in_its_transaction_wins_and_the_next_owner_sends_what_it_decided(
    broker: Broker, database_url: str, observer: Any
) -> None:
    hold = Hold()

    async def before(_: Any) -> None:
        await hold()

    waiting = Hold(let_by=1)
    async with Process(broker, database_url) as frozen, Process(broker, database_url) as other:
        frozen.pipeline(Notes(before))
        put(broker, *ORDERS, partition=0)
        await hold.reached.wait()
        frozen.client.crash()  # what it decides will reach PostgreSQL, and nothing of it Kafka
        other.database.before_transaction = waiting
        other.pipeline(notes := Notes())
        await other.client.turns()
        hold.let_go()
        await broker.until_read(GROUP, IN)
        assert notes.tried == []
    assert await noted(observer) == ORDERS
    assert list(dict.fromkeys(told_orders(broker))) == ORDERS
    assert len(set(told(broker))) == len(ORDERS)  # a message sent again is the same message


async def test_two_that_both_read_every_record_never_record_one_twice(
    broker: Broker, database_url: str, observer: Any
) -> None:
    limits = replace(LIMITS, batch_records=3)
    async with Process(broker, database_url) as first, Process(broker, database_url) as second:
        first.pipeline(Notes(), limits=limits)
        await first.client.turns()
        turn_into_zombie(broker, first)
        second.pipeline(Notes(), limits=limits)
        await second.client.turns()
        expected = []
        for burst in range(20):
            orders = [f"ord_{burst}_{number}" for number in range(10)]
            put(broker, *orders)
            expected += orders
        await broker.until_read(GROUP, IN)
    assert sorted(await noted(observer)) == sorted(expected)
    messages = Counter(told(broker))
    assert {one_id for one_id, _ in messages} == {one_id for one_id, _ in set(messages)}
    assert len(messages) == len(expected)  # however often a message was sent, its id had one content
    assert set(told_orders(broker)) == set(expected)


async def test_the_fenced_one_drops_what_it_read_and_goes_on_once_it_owns_the_partition_again(
    broker: Broker, database_url: str, observer: Any
) -> None:
    hold = Hold()
    async with Process(broker, database_url) as zombie:
        zombie.database.before_transaction = hold
        zombie.pipeline(notes := Notes())
        put(broker, *ORDERS, partition=0)
        await hold.reached.wait()
        turn_into_zombie(broker, zombie)
        async with Process(broker, database_url) as other:
            other.pipeline(Notes())
            await broker.until_read(GROUP, IN)
        hold.let_go()
        zombie.client.members[0].deaf = False
        put(broker, "ord_later", partition=0)
        await broker.until_read(GROUP, IN)
        assert notes.tried == [["ord_later"]]
    assert await noted(observer) == [*ORDERS, "ord_later"]


async def test_a_rebalance_that_gives_the_same_partition_again_decides_nothing_again(
    database_url: str, observer: Any
) -> None:
    """The member is set back to Kafka's offset, which lies behind what it has read and decided."""
    broker = Broker([IN, OUT], partitions=1)
    async with Process(broker, database_url) as process:
        process.client.at["commit"] = Fails(1, let_by=1)
        process.pipeline(notes := Notes())
        put(broker, *ORDERS)
        await broker.until(lambda: process.client.passed["commit"] == 2)
        visitor = Client(broker).consumer(GROUP, [IN])
        broker.join(visitor)
        broker.expire(visitor)
        await process.client.turns()
        assert broker.committed(GROUP, IN) == [0]
        put(broker, "ord_later")
        await broker.until_read(GROUP, IN)
        assert [order for batch in notes.tried for order in batch] == [*ORDERS, "ord_later"]
    assert await noted(observer) == [*ORDERS, "ord_later"]


async def test_what_was_read_before_a_partition_was_taken_up_anew_is_not_decided(
    database_url: str, observer: Any
) -> None:
    """It doesn't follow on what is decided: recording it would move the offset past what lies between."""
    broker = Broker([IN, OUT], partitions=1)
    async with Process(broker, database_url) as process:
        process.pipeline(notes := Notes())
        put(broker, *ORDERS)
        await broker.until_read(GROUP, IN)
        (pipeline,) = process.workers
        assert isinstance(pipeline, Pipeline)
        (read_ahead,) = put(broker, "ord_ahead", topic=OUT)
        place = Partition(IN, 0)
        ahead = Record(place, 11, read_ahead.key, read_ahead.value, read_ahead.headers)
        batch = Batch([read(ahead, ORDERS_EVENTS.decoders())], {place: 11})
        await pipeline._decide(0, batch)
        assert notes.tried == [ORDERS]
    assert await observer.fetchval("SELECT next_offset FROM consumer_offsets") == 10


async def test_what_a_zombie_commits_to_kafka_late_neither_counts_nor_prunes(
    broker: Broker, database_url: str, observer: Any
) -> None:
    hold = Hold(let_by=2)
    async with Process(broker, database_url) as zombie, Process(broker, database_url) as other:
        zombie.client.at["commit"] = hold
        zombie.pipeline(Notes())
        put(broker, *ORDERS, partition=0)
        await hold.reached.wait()
        turn_into_zombie(broker, zombie)
        other.pipeline(Notes())
        await broker.until_read(GROUP, IN)
        put(broker, "ord_later", partition=0)
        await broker.until_read(GROUP, IN)
        hold.let_go()
        await zombie.client.turns()
        assert broker.committed(GROUP, IN) == [11, 0]
    assert await noted(observer) == [*ORDERS, "ord_later"]


async def test_partitions_that_come_and_go_all_the_time_lose_and_repeat_nothing(
    broker: Broker, database_url: str, observer: Any
) -> None:
    """Members come and go as messages do; each message is decided once, in its partition's order."""
    expected: list[str] = []
    async with Process(broker, database_url) as first:
        first.pipeline(Notes())
        for round_ in range(6):
            orders = [f"ord_{round_}_{number}" for number in range(20)]
            expected += orders
            put(broker, *orders)
            async with Process(broker, database_url) as visitor:
                visitor.pipeline(Notes())
                await visitor.client.turns(2)
                put(broker, f"ord_{round_}_more")
                expected.append(f"ord_{round_}_more")
        await broker.until_read(GROUP, IN)
    assert sorted(await noted(observer)) == sorted(expected)
    assert set(told_orders(broker)) == set(expected)
    assert len(set(told(broker))) == len(expected)
