"""A process dies between two steps: what was decided is sent as it was decided, and is never decided again."""

from typing import Any

import pytest
from kit.broker import Broker
from kit.hooks import Fails, Hold, Moment
from kit.members import Client
from kit.notes import GROUP, IN, OUT, Notes, make_table, noted, put, told, told_orders
from kit.process import LIMITS, Process
from msgspec.structs import replace

from workers.pipeline.messages import unpack_many
from workers.pipeline.ports import Outgoing

ORDERS = [f"ord_{number}" for number in range(10)]


@pytest.fixture(autouse=True)
async def table(observer: Any) -> None:
    await make_table(observer)


@pytest.fixture
def broker() -> Broker:
    return Broker([IN, OUT], partitions=1)


async def recorded(observer: Any) -> list[Outgoing]:
    """What is kept in PostgreSQL to be sent."""
    rows = await observer.fetch("SELECT messages FROM emissions ORDER BY topic, partition, next_offset")
    return [message for row in rows for message in unpack_many(row[0])]


def arrived(broker: Broker) -> list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]:
    return [(record.key, record.value, list(record.headers)) for record in broker.records(OUT)]


async def crash_at(broker: Broker, url: str, moment: Moment, let_by: int = 0) -> Client:
    """Let a process take what lies there and die at a certain point."""
    hold = Hold(let_by)
    async with Process(broker, url) as process:
        process.client.at[moment] = hold
        process.pipeline(Notes())
        await hold.reached.wait()
    return process.client


async def test_what_was_recorded_and_not_sent_is_sent_by_the_next_owner_byte_for_byte(
    broker: Broker, database_url: str, observer: Any
) -> None:
    put(broker, *ORDERS)
    await crash_at(broker, database_url, "send")
    kept = await recorded(observer)
    assert len(kept) == 10
    assert broker.records(OUT) == []
    async with Process(broker, database_url) as process:
        again = Notes()
        process.pipeline(again)
        await broker.until_read(GROUP, IN)
    assert arrived(broker) == [(one.key, one.value, one.headers) for one in kept]
    assert again.tried == []
    assert sorted(await noted(observer)) == sorted(ORDERS)


async def test_the_next_owner_reads_on_from_where_postgresql_is_and_not_from_where_kafka_is(
    broker: Broker, database_url: str, observer: Any
) -> None:
    put(broker, *ORDERS)
    await crash_at(broker, database_url, "send")
    assert broker.committed(GROUP, IN) == [0]
    put(broker, "ord_new")
    async with Process(broker, database_url) as process:
        again = Notes()
        process.pipeline(again)
        await broker.until_read(GROUP, IN)
    assert again.tried == [["ord_new"]]
    assert len(await noted(observer)) == 11
    assert told_orders(broker) == [*ORDERS, "ord_new"]


@pytest.mark.parametrize("sent", [0, 1, 4, 9])
async def test_a_crash_in_mid_send_leaves_no_message_out(
    broker: Broker, database_url: str, observer: Any, sent: int
) -> None:
    put(broker, *ORDERS)
    await crash_at(broker, database_url, "sending", let_by=sent)
    assert len(broker.records(OUT)) == sent
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await broker.until_read(GROUP, IN)
    first, again = told(broker)[:sent], told(broker)[sent:]
    assert len(again) == 10
    assert first == again[:sent]  # the same ids and bytes, so that a reader knows them again
    assert sorted(await noted(observer)) == sorted(ORDERS)


async def test_a_crash_after_sending_and_before_the_commit_decides_nothing_twice(
    broker: Broker, database_url: str, observer: Any
) -> None:
    put(broker, *ORDERS)
    await crash_at(broker, database_url, "commit", let_by=1)  # the first one is the beginning
    assert broker.committed(GROUP, IN) == [0]
    async with Process(broker, database_url) as process:
        again = Notes()
        process.pipeline(again)
        await broker.until_read(GROUP, IN)
    assert again.tried == []
    assert told(broker)[:10] == told(broker)[10:]
    assert sorted(await noted(observer)) == sorted(ORDERS)


async def test_a_crash_before_the_record_transaction_ends_leaves_nothing_behind(
    broker: Broker, database_url: str, observer: Any
) -> None:
    put(broker, *ORDERS)
    hold = Hold()

    async def before(_: Any) -> None:
        await hold()

    async with Process(broker, database_url) as process:
        process.pipeline(Notes(before))
        await hold.reached.wait()
    assert await observer.fetchval("SELECT sum(next_offset) FROM consumer_offsets") == 0
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await broker.until_read(GROUP, IN)
    assert sorted(told_orders(broker)) == sorted(ORDERS)
    assert sorted(await noted(observer)) == sorted(ORDERS)


async def test_crash_after_crash_loses_nothing(database_url: str, observer: Any) -> None:
    broker = Broker([IN, OUT], partitions=4)
    moments: list[Moment] = ["send", "sending", "sent", "commit", "committed"]
    for number, moment in enumerate(moments * 2):
        put(broker, f"ord_{number}a", f"ord_{number}b")
        await crash_at(broker, database_url, moment)
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await broker.until_read(GROUP, IN)
    expected = sorted(f"ord_{number}{letter}" for number in range(10) for letter in "ab")
    assert sorted(await noted(observer)) == expected
    assert sorted(set(told_orders(broker))) == expected
    assert len(set(told(broker))) == 20


async def test_what_kafka_has_is_pruned_so_that_nothing_is_kept_for_good(
    broker: Broker, database_url: str, observer: Any
) -> None:
    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await broker.until_read(GROUP, IN)
        await process.client.turns()
        assert await recorded(observer) == []
    put(broker, "ord_later")
    await crash_at(broker, database_url, "commit")
    assert [one.key for one in await recorded(observer)] == [b"ord_later"]
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await process.client.turns()
        assert await recorded(observer) == []


async def test_pruning_what_kafka_has_spares_what_was_recorded_after_it(
    broker: Broker, database_url: str, observer: Any
) -> None:
    hold = Hold(let_by=1)
    put(broker, *ORDERS[:3])
    async with Process(broker, database_url) as process:
        process.client.at["send"] = hold
        process.pipeline(Notes(), limits=replace(LIMITS, batch_records=1))
        await hold.reached.wait()
        await process.client.turns(4)
        assert broker.committed(GROUP, IN) == [1]
        assert [one.key for one in await recorded(observer)] == [b"ord_1", b"ord_2"]
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await broker.until_read(GROUP, IN)
    assert told_orders(broker) == ORDERS[:3]


async def test_a_commit_that_kafka_refuses_prunes_nothing(broker: Broker, database_url: str, observer: Any) -> None:
    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        process.client.at["commit"] = Fails(2, let_by=1)  # the beginning
        process.pipeline(Notes())
        await broker.until(lambda: len(broker.records(OUT)) == 10)
        put(broker, "ord_later")
        await broker.until(lambda: process.client.passed["commit"] == 3)
        assert len(await recorded(observer)) == 11
        put(broker, "ord_last")
        await broker.until_read(GROUP, IN)
    assert told_orders(broker) == [*ORDERS, "ord_later", "ord_last"]


async def test_no_more_is_recorded_ahead_of_a_broker_that_takes_nothing_than_the_limit(
    broker: Broker, database_url: str, observer: Any
) -> None:
    hold = Hold()
    limits = replace(LIMITS, batch_records=1, batches_ahead=2)
    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        process.client.at["send"] = hold
        notes = Notes()
        process.pipeline(notes, limits=limits)
        await hold.reached.wait()
        await broker.until(lambda: process.client.passed["poll"] > 3)
        # One is being sent, two lie ready, and one waits for its place.
        rows = await observer.fetchval("SELECT next_offset FROM consumer_offsets ")
        assert rows <= 4
        hold.let_go()
        await broker.until_read(GROUP, IN)
    assert told_orders(broker) == ORDERS


async def test_messages_that_fail_to_be_sent_are_sent_again_until_all_are_there(
    broker: Broker, database_url: str
) -> None:
    async with Process(broker, database_url) as process:
        process.client.at["sending"] = Fails(1, let_by=2)
        process.pipeline(Notes())
        put(broker, *ORDERS[:3])
        await broker.until_read(GROUP, IN)
    assert told_orders(broker) == [*ORDERS[:2], *ORDERS[:3]]
