"""Transactions that meet: on one order, one chat, one seller, one refund. Nothing is lost, nothing counts twice."""

import asyncio
import random
from collections import Counter
from datetime import date
from typing import Any

import pytest
from kit import builders
from kit.broker import Broker
from kit.database import cut_others
from kit.desk import Desk
from kit.notes import put_message
from kit.process import LIMITS, Process
from msgspec.structs import replace

from schemas.base import Message
from schemas.topics import ORDERS_EVENTS, REFUNDS_COMMANDS, SELLERS_OUTCOMES
from workers.cancellations import Cancellations
from workers.consumers import group_of
from workers.domain.policy import Policy, RefundPolicy
from workers.domain.statistics import KINDS
from workers.refunds import Refunds
from workers.store.database import Database, RaceLostError
from workers.store.queries import names, sql

IN = ORDERS_EVENTS.name
GROUP = group_of("cancellations")
ALL_OF_SUBJECT = 100


def put(broker: Broker, type_: str, data: Any, partition: int | None = None, message_id: str | None = None) -> None:
    put_message(broker, IN, type_, data, partition, message_id)


async def violations(observer: Any) -> list[str]:
    """What `annul verify` would find in the tables."""
    found = []
    for name in names("verify_i"):
        if "$2" not in sql(name):
            found += [f"{name}: {row}" for row in await observer.fetch(sql(name), ALL_OF_SUBJECT)]
    return found


async def gaps(observer: Any) -> list[Any]:
    """Sellers whose outcomes aren't numbered 1, 2, 3 … up to their last number."""
    found: list[Any] = await observer.fetch(
        """SELECT s.seller_id, s.seq, count(o.seq), max(o.seq) FROM sellers AS s LEFT JOIN seller_outcomes AS o
             USING (seller_id) GROUP BY s.seller_id, s.seq HAVING count(o.seq) <> s.seq OR max(o.seq) <> s.seq"""
    )
    return found


async def until_waiting(observer: Any, count: int) -> None:
    """Returns once so many transactions of this database wait for locks."""
    waiting = """SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    async with asyncio.timeout(20):
        while await observer.fetchval(waiting) < count:
            pass


async def test_the_same_cancellation_again_is_a_duplicate_in_its_batch_and_in_a_later_one(
    broker: Broker, database_url: str, observer: Any
) -> None:
    async with Process(broker, database_url) as process:
        put(broker, "order.cancelled", builders.cancelled(), 0, "evt_1")
        put(broker, "order.cancelled", builders.cancelled(), 0, "evt_2")
        process.pipeline(Cancellations(Policy()))
        await broker.until_read(GROUP, IN)
        put(broker, "order.cancelled", builders.cancelled(), 0, "evt_1")
        put(broker, "order.cancelled", builders.cancelled(), 1, "evt_3")
        await broker.until_read(GROUP, IN)
        await process.client.turns()
        assert process.counted("annul_messages_total", label="duplicate") == 3
        assert process.counted("annul_messages_total", label="applied") == 1
    assert await observer.fetchval("SELECT count(*) FROM refunds") == 1
    assert len(broker.records(REFUNDS_COMMANDS["card"].name)) == 1
    assert await observer.fetchval("SELECT seq FROM sellers") == 2  # accepted, as its stage implies, and cancelled


@pytest.mark.parametrize(
    ("table", "events"),
    [
        ("orders", [("order.cancelled", builders.cancelled()), ("order.cancelled", builders.cancelled())]),
        ("orders", [("order.placed", builders.placed()), ("order.cancelled", builders.cancelled())]),
        ("orders", [("order.accepted", builders.accepted()), ("order.cancelled", builders.cancelled())]),
        ("conversations", [("order.cancelled", builders.cancelled()), ("order.placed", builders.placed("ord_2"))]),
        (
            "conversations",
            [("order.cancelled", builders.cancelled()), ("order.cancelled", builders.cancelled("ord_2"))],
        ),
        ("sellers", [("order.cancelled", builders.cancelled()), ("order.completed", builders.completed("ord_2"))]),
    ],
)
async def test_two_transactions_that_both_take_a_row_for_absent_decide_one_after_the_other(
    broker: Broker, database_url: str, observer: Any, table: str, events: list[tuple[str, Message]]
) -> None:
    """Both have looked and found nothing; only then are both let on to write."""
    async with Process(broker, database_url) as process:
        process.pipeline(Cancellations(Policy()))
        await process.client.turns()
        async with observer.transaction():
            # Whoever wants to write there waits; whoever only looks, or locks what it found, goes on.
            await observer.execute(f"LOCK TABLE {table} IN SHARE MODE")
            for partition, (type_, data) in enumerate(events):
                put(broker, type_, data, partition, f"evt_{partition}")
            await until_waiting(observer, 2)
        await broker.until_read(GROUP, IN)
    assert await observer.fetchval("SELECT count(*) FROM parked_messages") == 0
    assert await gaps(observer) == []
    assert await violations(observer) == []
    cancelled = {data.order_id for type_, data in events if type_ == "order.cancelled"}  # type: ignore[attr-defined]  # all have one
    assert await observer.fetchval("SELECT count(*) FROM refunds") == len(cancelled)
    commands = Counter(record.key for record in broker.records(REFUNDS_COMMANDS["card"].name))
    assert set(commands.values()) == {1}


async def test_the_loser_of_a_race_is_told_so_and_not_that_its_message_is_bad(
    database: Database, observer: Any
) -> None:
    desk = Desk(database)
    handler = Cancellations(Policy())
    async with desk.transaction() as first:
        await desk.decide_in(first, handler, builders.cancelled())
        losing = asyncio.create_task(desk.decide(handler, builders.placed()))
        await until_waiting(observer, 1)
    with pytest.raises(RaceLostError):
        await losing
    (verdict,) = await desk.decide(handler, builders.placed())
    assert verdict.label == "applied"


async def test_two_that_count_for_one_seller_number_one_after_the_other(database: Database, observer: Any) -> None:
    """Both have the seller's last number before them; unlocked, both would give the next one."""
    desk = Desk(database)
    handler = Cancellations(Policy())
    await desk.decide(handler, builders.completed("ord_1"))
    async with desk.transaction() as first:
        await desk.decide_in(first, handler, builders.completed("ord_2"))
        second = asyncio.create_task(desk.decide(handler, builders.completed("ord_3")))
        await until_waiting(observer, 1)
    await second
    assert await gaps(observer) == []
    assert await observer.fetchval("SELECT seq FROM sellers") == 6


async def test_new_rows_are_added_in_the_order_of_their_keys_so_that_batches_do_not_deadlock(
    database: Database, observer: Any
) -> None:
    """Added in the order of messages, two batches over the same new chats would wait for each other."""
    keys = [f"{number:02}" for number in random.Random(1).sample(range(100), 50)]
    events = [
        replace(builders.cancelled(f"ord_{key}"), conversation_id=f"cnv_{key}", seller_id=f"sel_{key}") for key in keys
    ]
    await Desk(database).decide(Cancellations(Policy()), *events)
    for table, key in (("orders", "order_id"), ("conversations", "conversation_id")):
        added = [row[0] for row in await observer.fetch(f"SELECT {key} FROM {table} ORDER BY ctid")]
        assert added == sorted(added), table


async def test_events_of_the_same_orders_in_many_processes_at_once_come_out_as_in_one(
    broker: Broker, database_url: str, observer: Any
) -> None:
    """Worse than what Kafka does: an order's events lie on any partition, twice, and connections break."""
    source = random.Random(7)
    orders = [f"ord_{number}" for number in range(60)]
    events: list[tuple[str, Any]] = []
    for number, order in enumerate(orders):
        chat, seller = f"cnv_{number % 25}", f"sel_{number % 7}"
        events += 2 * [
            ("order.placed", builders.placed(order, conversation_id=chat, seller_id=seller)),
            ("order.accepted", builders.accepted(order, seller_id=seller)),
            ("order.cancelled", builders.cancelled(order, conversation_id=chat, seller_id=seller)),
        ]
    source.shuffle(events)
    async with Process(broker, database_url) as first, Process(broker, database_url) as second:
        first.pipeline(Cancellations(Policy()), limits=replace(LIMITS, batch_records=20))
        second.pipeline(Cancellations(Policy()), limits=replace(LIMITS, batch_records=20))
        for at, (type_, data) in enumerate(events):
            put(broker, type_, data, source.randrange(2), f"evt_{at}")
            if at % 100 == 50:
                await cut_others(observer)
        await broker.until_read(GROUP, IN)
    assert await observer.fetchval("SELECT count(*) FROM parked_messages") == 0
    assert await observer.fetchval("SELECT count(*) FROM refunds") == len(orders)
    assert await gaps(observer) == []
    assert await violations(observer) == []
    days = await observer.fetch(sql("read_seller_days"), ["sel_0"], [2**53], date(2000, 1, 1))
    counted = {kind: sum(row[kind] for row in days) for kind in KINDS}
    assert counted == {**dict.fromkeys(KINDS, 0), "accepted": 9, "cancelled_after_acceptance": 9}
    told = Counter((record.key, record.value) for record in broker.records(SELLERS_OUTCOMES.name))
    assert len(told) == await observer.fetchval("SELECT sum(seq) FROM sellers")


async def test_results_of_one_refund_that_come_all_at_once_change_it_once(database_url: str, observer: Any) -> None:
    database = Database(database_url, max_connections=10)
    desk = Desk(database)
    (command,) = await desk.cancel()
    said = [builders.result("succeeded", provider_refund_id="re_1", via=via) for via in ("call", "webhook", "look_up")]
    handlers = [Refunds(RefundPolicy(), random.Random(seed)) for seed in range(9)]
    verdicts = await asyncio.gather(*(desk.decide(handler, said[at % 3]) for at, handler in enumerate(handlers)))
    await database.close()
    assert command.refund_id == builders.REFUND
    assert Counter(verdict.label for (verdict,) in verdicts) == {"applied": 1, "stale": 8}
    sent = Counter(emission.type for (verdict,) in verdicts for emission in verdict.emissions)
    assert sent == {"refund.succeeded": 1, "order.refunded": 1}
    assert await observer.fetchval("SELECT count(*) FROM refund_observations") == 9
    assert await observer.fetchval("SELECT revision FROM refunds") == 2
    assert await violations(observer) == []
