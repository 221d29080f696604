"""Where a partition is taken up: never past what nobody decided, never anew what was decided."""

from typing import Any

import pytest
from kit.broker import Broker
from kit.notes import GROUP, IN, OUT, Notes, make_table, noted, put, told_orders
from kit.process import Process

from workers.pipeline.offsets import StartRefusedError
from workers.pipeline.ports import Partition

PLACE = Partition(IN, 0)
ORDERS = [f"ord_{number}" for number in range(10)]


@pytest.fixture(autouse=True)
async def table(observer: Any) -> None:
    await make_table(observer)


@pytest.fixture
def broker() -> Broker:
    return Broker([IN, OUT], partitions=1)


async def read_all(broker: Broker, url: str) -> Notes:
    async with Process(broker, url) as process:
        process.pipeline(notes := Notes())
        await broker.until_read(GROUP, IN)
        await process.stop()
    return notes


async def refusal(broker: Broker, url: str) -> str:
    async with Process(broker, url) as process:
        with pytest.raises(StartRefusedError) as caught:
            await process.pipeline(Notes())
    return str(caught.value)


async def test_a_restored_database_that_is_behind_kafka_refuses_the_start(
    broker: Broker, database_url: str, observer: Any
) -> None:
    put(broker, *ORDERS)
    await read_all(broker, database_url)
    await observer.execute("UPDATE consumer_offsets SET next_offset = 7; DELETE FROM notes WHERE record_offset >= 7")
    put(broker, "ord_new")
    said = await refusal(broker, database_url)
    assert GROUP in said
    assert f"{IN}/0" in said
    assert "Kafka is at offset 10, the database at 7" in said
    assert await noted(observer) == ORDERS[:7]
    assert broker.committed(GROUP, IN) == [10]


async def test_an_empty_database_under_a_group_that_has_read_refuses_the_start(
    broker: Broker, database_url: str, observer: Any
) -> None:
    put(broker, *ORDERS)
    broker.commit(GROUP, PLACE, 5)
    assert "the database knows of none" in await refusal(broker, database_url)
    assert await noted(observer) == []


async def test_a_topic_made_anew_refuses_the_start(broker: Broker, database_url: str, observer: Any) -> None:
    """Its offsets count from 0 again: below the old ones everything would be taken for decided."""
    put(broker, *ORDERS)
    await read_all(broker, database_url)
    broker.create(IN, 1)
    put(broker, "ord_new")
    assert "made anew" in await refusal(broker, database_url)
    assert await noted(observer) == ORDERS


@pytest.mark.parametrize("committed", [0, 4, None])
async def test_a_kafka_that_is_behind_or_forgot_is_told_where_postgresql_is(
    broker: Broker, database_url: str, observer: Any, committed: int | None
) -> None:
    put(broker, *ORDERS)
    await read_all(broker, database_url)
    broker.commit(GROUP, PLACE, committed)
    again = await read_all(broker, database_url)
    assert again.tried == []
    assert broker.committed(GROUP, IN) == [10]
    assert await noted(observer) == ORDERS


async def test_a_new_group_begins_at_the_beginning(broker: Broker, database_url: str, observer: Any) -> None:
    put(broker, *ORDERS)
    await read_all(broker, database_url)
    assert await noted(observer) == ORDERS


async def test_a_partition_that_was_added_later_is_read_from_its_beginning(
    broker: Broker, database_url: str, observer: Any
) -> None:
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        put(broker, *ORDERS[:5])
        await broker.until_read(GROUP, IN)
        broker.add_partitions(IN, 3)
        put(broker, *ORDERS[5:8], partition=1)
        put(broker, *ORDERS[8:], partition=2)
        await broker.until_read(GROUP, IN)
    assert await noted(observer) == ORDERS
    assert sorted(told_orders(broker)) == ORDERS


async def test_a_partition_lost_as_it_is_taken_up_for_the_first_time_does_not_fall_silent(
    broker: Broker, database_url: str, observer: Any
) -> None:
    """Kafka refused the first offset: without one the next rebalance would leave the member nothing to read from."""
    async with Process(broker, database_url) as process, Process(broker, database_url) as visitor:

        async def meanwhile() -> None:
            process.client.at.clear()
            visitor.client.members[0].deaf = True
            broker.join(visitor.client.members[0])
            broker.expire(visitor.client.members[0])

        visitor.client.consumer(GROUP, [IN])
        process.client.at["commit"] = meanwhile
        process.pipeline(Notes())
        put(broker, *ORDERS)
        await broker.until_read(GROUP, IN)
    assert await noted(observer) == ORDERS
