"""A database that was fed, and a real Kafka with what was told of it: what `annul verify --topics` looks at."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from msgspec.structs import replace

from kit.feed import Feed, rows_of
from kit.population import POLICY, populate, script, settings_for
from schemas.base import encode
from schemas.envelope import headers_of
from schemas.sellers import SellerStatistics, Span
from schemas.topics import ORDERS_EVENTS, SELLERS_OUTCOMES, SELLERS_STATISTICS
from workers.consumers import group_of
from workers.domain.averages import Others, Share
from workers.domain.statistics import DayCounts, Totals, first_day, row_of, totals_of
from workers.insight.reading import connected
from workers.insight.statistics_checks import check_statistics
from workers.insight.statistics_topic import decided_so_far
from workers.insight.verify import verify
from workers.local.kafka import LocalKafka
from workers.pipeline.kafka import partition_of
from workers.pipeline.ports import Clock
from workers.settings import Settings

PARTITIONS: Final = 2
ALL: Final = 2**53
_numbers = count(1)


class FedTopics:
    """The database, and topics of two partitions with what it was fed: orders in the first alone."""

    def __init__(self, settings: Settings, url: str, feed: Feed, producer: Any) -> None:
        self.settings = settings
        self.url = url
        self.feed = feed
        self.prefix = settings.topic_prefix
        self._producer = producer

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None = None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Add a record."""
        number = partition_of(key, PARTITIONS) if topic == SELLERS_OUTCOMES.name else 0
        await self._producer.send_and_wait(self.prefix + topic, value, key=key, headers=list(headers), partition=number)

    async def totals(self, as_of: datetime, up_to: Mapping[str, int] | None = None) -> dict[str, Totals]:
        """What SQL counts of every seller."""
        sellers = {row["seller_id"]: ALL for row in await rows_of(self.url, "SELECT seller_id FROM sellers")}
        asked = {**sellers, **(up_to or {})}
        today = as_of.toordinal()
        days: dict[str, list[DayCounts]] = {}
        columns = list(asked), list(asked.values())
        for seller_id, *counts in await rows_of(self.url, "read_seller_days", *columns, first_day(today)):
            days.setdefault(seller_id, []).append(DayCounts(*counts))
        return {seller_id: totals_of(counted, today) for seller_id, counted in days.items()}

    async def rows(
        self, as_of: datetime | None = None, up_to: Mapping[str, int] | None = None
    ) -> dict[str, SellerStatistics]:
        """The right row of every seller, up to these outcomes; the others are compared by all of theirs."""
        now = as_of or datetime.now(UTC)
        everyone = Share()
        latest = {one: totals.judged(now.toordinal()) for one, totals in (await self.totals(now)).items()}
        for numbers in latest.values():
            everyone.add(*numbers)
        found = {}
        for seller_id, totals in (await self.totals(now, up_to)).items():
            others = Others([everyone.parts()])
            others.change(latest[seller_id], (0, 0))
            found[seller_id] = row_of(seller_id, totals, now, others)[0]
        return found

    async def tell(self, *rows: SellerStatistics) -> None:
        """Send rows as the worker `sellers` does."""
        for row in rows:
            headers = headers_of("seller.statistics", f"msg_{next(_numbers)}", row.as_of)
            await self.send(SELLERS_STATISTICS.name, encode(row), row.seller_id.encode(), headers)

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
        """Both groups have read everything."""
        await self.commit("cancellations", ORDERS_EVENTS.name, len(self.feed.records(ORDERS_EVENTS.name)), 0)
        lying = [partition_of(record.key, PARTITIONS) for record in self.feed.records(SELLERS_OUTCOMES.name)]
        await self.commit("sellers", SELLERS_OUTCOMES.name, lying.count(0), lying.count(1))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Both groups have read everything, and somebody is in the group of `sellers`."""
        await self.catch_up()
        member = AIOKafkaConsumer(
            self.prefix + SELLERS_OUTCOMES.name,
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            group_id=group_of("sellers", self.prefix),
            enable_auto_commit=False,
        )
        await member.start()
        try:
            async with asyncio.timeout(30):
                while len(member.assignment()) < PARTITIONS:
                    await member.getmany(timeout_ms=50)
            yield
        finally:
            await member.stop()

    async def violations(self) -> list[tuple[str, str, str]]:
        """All that `annul verify --topics` finds."""
        report = await verify(self.settings, topics=True)
        assert report.ok is not bool(report.violations)
        return [(one.invariant, one.subject, one.detail) for one in report.violations]

    async def wrong_statistics(self, clock: Clock) -> dict[str, str]:
        """What it finds of statistics, waiting by a clock of the test's own: by seller, the first detail of each."""
        async with connected(self.settings) as connection:
            decided = await decided_so_far(connection, self.settings)
            found = await check_statistics(connection, self.settings, decided, clock)
        assert {one.invariant for one in found} <= {"I7"}
        return {one.subject: one.detail for one in reversed(found)}


def counting(row: SellerStatistics, where: str, **counts: int) -> SellerStatistics:
    """The row with other counts, and rates, in its lifetime or a window."""
    span = row.lifetime if where == "lifetime" else row.windows[where]
    changed: Span = replace(span, **counts)
    if where == "lifetime":
        return replace(row, lifetime=changed)
    return replace(row, windows={**row.windows, where: changed})


@pytest.fixture
async def topics(kafka: LocalKafka, database_url: str) -> AsyncIterator[FedTopics]:
    """One of the test's own, with the sellers sel_0, sel_1 and sel_2, of whom nothing is told yet."""
    prefix = f"told{next(_numbers)}."
    settings = settings_for(database_url, kafka_bootstrap_servers=kafka.bootstrap, topic_prefix=prefix)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    names = [prefix + topic.name for topic in (ORDERS_EVENTS, SELLERS_OUTCOMES, SELLERS_STATISTICS)]
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    async with Feed(database_url, script, prefix=prefix, policy=POLICY) as feed:
        await populate(feed)
        made = FedTopics(settings, database_url, feed, producer)
        for topic in (ORDERS_EVENTS, SELLERS_OUTCOMES):
            for record in feed.records(topic.name):
                await made.send(topic.name, record.value, record.key, record.headers)
    yield made
    await producer.stop()
