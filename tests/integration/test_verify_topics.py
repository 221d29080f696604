"""`annul verify --topics` against a real Kafka: what was read from a topic, and what is told on one."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from kit.feed import Feed, break_rows, rows_of
from kit.population import POLICY, populate, script, settings_for

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.topics import ORDERS_EVENTS, SELLERS_OUTCOMES, SELLERS_STATISTICS
from workers.consumers import group_of
from workers.domain.statistics import Counts, statistics_of
from workers.insight.topic_reader import NoTopicError
from workers.insight.verify import verify
from workers.local.postgres import LocalPostgres
from workers.local.stack import LocalStack
from workers.pipeline.kafka import partition_of
from workers.settings import Settings

PARTITIONS = 2
_numbers = count(1)


@pytest.fixture(scope="module")
async def bootstrap(postgres: LocalPostgres) -> AsyncIterator[str]:
    """A Kafka."""
    async with LocalStack("test", database_url=postgres.dsn) as stack:
        yield stack.bootstrap


class Ground:
    """A database that was fed, and topics of two partitions with what it was fed: orders in the first alone."""

    def __init__(self, settings: Settings, url: str, feed: Feed, producer: Any) -> None:
        self.settings = settings
        self.url = url
        self.feed = feed
        self.prefix = settings.topic_prefix
        self._producer = producer

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None = None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        number = partition_of(key, PARTITIONS) if topic == SELLERS_OUTCOMES.name else 0
        await self._producer.send_and_wait(self.prefix + topic, value, key=key, headers=list(headers), partition=number)

    async def send_row(self, seller_id: str, as_of: datetime | None = None, **changes: int) -> None:
        """Send the seller's statistics as they are, but for `changes`."""
        (row,) = await rows_of(self.url, "read_seller_counts", seller_id)
        now = as_of or datetime.now(UTC)
        row = statistics_of(seller_id, Counts(**{**row, **changes}), now)
        headers = headers_of("seller.statistics", f"msg_{next(_numbers)}", now)
        await self.send(SELLERS_STATISTICS.name, encode(row), seller_id.encode(), headers)

    async def commit(self, worker: str, topic: str, *offsets: int) -> None:
        """Say for a group that it has read that far."""
        group = group_of(worker, self.prefix)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers, group_id=group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            places = [TopicPartition(self.prefix + topic, number) for number in range(len(offsets))]
            consumer.assign(places)
            await consumer.commit(dict(zip(places, offsets, strict=True)))
        finally:
            await consumer.stop()

    async def catch_up(self) -> None:
        """Both groups have read everything; `sellers` told of every seller."""
        await self.commit("cancellations", ORDERS_EVENTS.name, len(self.feed.records(ORDERS_EVENTS.name)), 0)
        lying = [partition_of(record.key, PARTITIONS) for record in self.feed.records(SELLERS_OUTCOMES.name)]
        await self.commit("sellers", SELLERS_OUTCOMES.name, lying.count(0), lying.count(1))

    async def violations(self) -> list[tuple[str, str, str]]:
        report = await verify(self.settings, topics=True)
        assert report.ok is not bool(report.violations)
        return [(one.invariant, one.subject, one.detail) for one in report.violations]


@pytest.fixture
async def ground(bootstrap: str, database_url: str) -> AsyncIterator[Ground]:
    prefix = f"t{next(_numbers)}."
    settings = settings_for(database_url, kafka_bootstrap_servers=bootstrap, topic_prefix=prefix)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    topics = (ORDERS_EVENTS, SELLERS_OUTCOMES, SELLERS_STATISTICS)
    await admin.create_topics([NewTopic(prefix + topic.name, PARTITIONS, 1) for topic in topics])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    async with Feed(database_url, script, prefix=prefix, policy=POLICY) as feed:
        await populate(feed)
        made = Ground(settings, database_url, feed, producer)
        for topic in (ORDERS_EVENTS, SELLERS_OUTCOMES):
            for record in feed.records(topic.name):
                await made.send(topic.name, record.value, record.key, record.headers)
    yield made
    await producer.stop()


async def test_topics_that_agree_break_nothing(ground: Ground) -> None:
    for seller_id in ("sel_0", "sel_1", "sel_2"):
        await ground.send_row(seller_id)
    await ground.catch_up()
    assert await ground.violations() == []


async def test_a_cancellation_neither_recorded_nor_parked_is_told(ground: Ground) -> None:
    await break_rows(ground.url, "DELETE FROM orders WHERE order_id = 'ord_pending'", "DELETE FROM parked_messages")
    found = [one for one in await ground.violations() if "recorded nor parked" in one[2]]
    unread = f"{ground.prefix}orders.events.v1:0:22"
    assert {invariant for invariant, _, _ in found} == {"I4"}
    assert {subject for _, subject, _ in found} == {"ord_pending", "ord_refunded", unread}
    assert all(re.search(r"orders\.events\.v1:0:\d+", detail) for _, _, detail in found)


async def test_another_topic_of_that_name_is_no_excuse(ground: Ground) -> None:
    await break_rows(ground.url, "UPDATE parked_messages SET topic_id = 'of the topic before'")
    assert {subject for _, subject, _ in await ground.violations()} == {
        "ord_refunded",
        f"{ground.prefix}orders.events.v1:0:22",
    }


async def test_only_what_the_database_decided_is_asked_after(ground: Ground) -> None:
    (record, *_) = [one for one in ground.feed.records(ORDERS_EVENTS.name) if b"ord_pending" in (one.value or b"")]
    other = (record.value or b"").replace(b"ord_pending", b"ord_not_yet")
    await ground.send(ORDERS_EVENTS.name, other, record.key, record.headers)
    assert await ground.violations() == []
    await break_rows(
        ground.url, "UPDATE consumer_offsets SET next_offset = next_offset + 1 WHERE topic LIKE '%orders.events.v1'"
    )
    assert [subject for _, subject, _ in await ground.violations()] == ["ord_not_yet"]


async def test_a_topic_that_ends_before_what_was_decided_is_told(ground: Ground) -> None:
    await break_rows(ground.url, "UPDATE consumer_offsets SET next_offset = 500 WHERE topic LIKE '%orders.events.v1'")
    ((invariant, subject, detail),) = await ground.violations()
    assert (invariant, subject) == ("I4", f"{ground.prefix}orders.events.v1:0")
    assert detail == "decided up to 500, and the topic ends at 23"


async def test_statistics_may_be_behind_only_while_somebody_reads(ground: Ground) -> None:
    assert await ground.violations() == [], "nobody has read anything yet"
    await ground.commit("cancellations", ORDERS_EVENTS.name, len(ground.feed.records(ORDERS_EVENTS.name)), 0)
    assert await ground.violations() == [], "the sellers' group has not"
    await ground.catch_up()
    found = await ground.violations()
    assert {(invariant, subject) for invariant, subject, _ in found} == {
        ("I7", "sel_0"),
        ("I7", "sel_1"),
        ("I7", "sel_2"),
    }
    assert all("is missing, and nobody lags" in detail for _, _, detail in found)


async def test_a_wrong_row_is_told_whether_somebody_reads_or_not(ground: Ground) -> None:
    await ground.send_row("sel_0", completed=7)
    await ground.send_row("sel_1", seq=1, accepted=1, completed=0, cancelled_after_acceptance=0)
    await ground.send_row("sel_2", seq=99)
    found = {subject: detail for _, subject, detail in await ground.violations()}
    assert set(found) == {"sel_0", "sel_2"}, "sel_1 is behind, and right as far as it is"
    assert "completed 7" in found["sel_0"]
    assert found["sel_2"].startswith("the row is at outcome 99, the database knows up to ")


async def test_of_a_sellers_rows_the_latest_counts_wherever_it_lies(ground: Ground) -> None:
    now = datetime.now(UTC)
    for seller_id in ("sel_0", "sel_1", "sel_2"):
        await ground.send_row(seller_id, as_of=now)
        await ground.send_row(seller_id, as_of=now - timedelta(seconds=1), completed=50)
    await ground.catch_up()
    assert await ground.violations() == []


async def test_a_row_that_cannot_be_read_is_told_and_a_tombstone_is_not(ground: Ground) -> None:
    await ground.send(SELLERS_STATISTICS.name, None, b"sel_0")
    await ground.send(SELLERS_STATISTICS.name, b"{}", b"sel_0")
    ((invariant, subject, detail),) = await ground.violations()
    assert (invariant, subject) == ("I7", f"{ground.prefix}sellers.statistics.v1:0:1")
    assert detail.startswith("unreadable: bad_envelope")


async def test_a_missing_topic_is_said(bootstrap: str, database_url: str) -> None:
    settings = settings_for(database_url, kafka_bootstrap_servers=bootstrap, topic_prefix="nowhere.")
    with pytest.raises(NoTopicError, match="nowhere"):
        await verify(settings, topics=True)
