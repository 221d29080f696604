"""The consumers as a real Kafka tells of them: members, offsets, how long messages wait, and what isn't known."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from kit.kafka import World
from kit.population import settings_for

from schemas.topics import ORDERS_EVENTS
from workers.consumers import CONSUMERS, group_of
from workers.insight.consumers import GroupsReader, KafkaAwayError
from workers.insight.pace import GroupNow, Pace
from workers.ops.asking import Reader
from workers.ops.watching import Watch
from workers.pipeline.kafka import KafkaConsumer
from workers.settings import Settings
from workers.topics import TopicsError, group_client, places_of, prepare_topics

ORDERS = ORDERS_EVENTS.name
NOBODY_THERE = "127.0.0.1:9"


@pytest.fixture
async def settings(world: World, database_url: str) -> Settings:
    """Of a process on the test's own topics."""
    made = settings_for(
        database_url,
        kafka_bootstrap_servers=world.kafka.bootstrap,
        topic_prefix=world.prefix,
        topic_partitions=2,
        topic_replication_factor=1,
    )
    async with asyncio.timeout(60):
        while True:
            with suppress(TopicsError):  # made a moment ago, and not known everywhere yet: it is safe to repeat
                await prepare_topics(made)
                return made


class Watching:
    """Looks when told."""

    def __init__(self, settings: Settings) -> None:
        self.reader = GroupsReader(settings)
        self._pace = Pace()
        self.at: datetime

    async def look(self, worker: str = "cancellations") -> GroupNow:
        found = await self.reader.look()
        self.at = found.at
        return self._pace.take(found)[worker]

    async def until(self, holds: Callable[[GroupNow], bool]) -> GroupNow:
        """Look again and again until something holds."""
        async with asyncio.timeout(30):
            while not holds(now := await self.look()):
                pass
        return now


@pytest.fixture
async def watching(settings: Settings) -> AsyncIterator[Watching]:
    made = Watching(settings)
    yield made
    await made.reader.close()


async def commit(settings: Settings, offset: int, partition: int = 0) -> None:
    """What a worker that was running did last."""
    async with group_client(settings, "cancellations") as consumer:
        places = await places_of(consumer, settings, "cancellations")
        await consumer.commit({place: offset for place in places if place.partition == partition})


async def test_every_group_is_there_and_nothing_waits(watching: Watching) -> None:
    found = await watching.reader.look()
    assert list(found.groups) == list(CONSUMERS)
    for worker, group in found.groups.items():
        assert len(group.places) == 2 * len(CONSUMERS[worker])
        assert (group.members, group.missing) == ((), ())
        assert {one.lag_s(found.at) for one in group.places} == {0.0}


async def test_a_stopped_consumers_lag_grows_in_seconds_until_what_waits_is_committed(
    world: World, settings: Settings, watching: Watching
) -> None:
    assert (await watching.look()).lag_s == 0
    await world.put(ORDERS, "ord_1", "ord_2", "ord_3")
    (record, *_) = await world.records(ORDERS, 3)
    first = await watching.look()
    assert (first.lag, first.standing, first.members) == (3, "no_members", ())
    assert first.lag_s == pytest.approx(watching.at.timestamp() - record.timestamp / 1000, abs=0.001)
    second = await watching.look()
    assert second.lag == 3, "no message came"
    assert (second.lag_s or 0) > (first.lag_s or 0) > 0

    await commit(settings, 2)
    third = await watching.look()
    assert third.lag == 1
    assert third.waiting_since is not None
    assert third.waiting_since > (first.waiting_since or watching.at), "the oldest of what is left"
    assert third.moved_at == watching.at
    assert (third.rate_out or 0) > 0

    await commit(settings, 3)
    last = await watching.look()
    assert (last.lag, last.lag_s, last.waiting_since) == (0, 0, None)


async def test_the_oldest_record_is_read_once_and_not_at_every_look(
    world: World, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.put(ORDERS, "ord_1", "ord_2")
    await world.put(ORDERS, "ord_3", partition=1)
    assert (await watching.look()).lag == 3

    async def read(_: Any) -> Any:
        raise AssertionError("nothing moved, and it was read again")

    monkeypatch.setattr(watching.reader, "_read", read)
    assert ((await watching.look()).lag_s or 0) > 0


async def test_the_mark_of_a_transaction_is_no_message_that_waits(
    world: World, settings: Settings, watching: Watching
) -> None:
    await world.put(ORDERS, "ord_1", transactional_id=f"{world.prefix}tx")
    await commit(settings, 1)
    # The broker writes the mark after it has answered the producer.
    now = await watching.until(lambda one: any(part.place.end == 2 for part in one.places))
    (marked,) = [one.place for one in now.places if one.place.end]
    assert (marked.committed, marked.end) == (1, 2)
    assert (now.lag, now.lag_s) == (0, 0)


async def test_members_are_told_with_what_they_read(world: World, settings: Settings, watching: Watching) -> None:
    group = group_of("cancellations", world.prefix)
    consumer = KafkaConsumer(world.settings, group, [ORDERS])
    await consumer.start()
    try:
        now = await watching.until(lambda one: bool(one.members) and one.members[0].partitions == 2)
        (member,) = now.members
        assert (member.client_id, member.host) == ("annul", "127.0.0.1")
        assert {one.place.owner for one in now.places} == {member.member_id}
        assert now.standing == "running"
    finally:
        await consumer.stop()
    assert (await watching.until(lambda one: not one.members)).standing == "no_members"


async def test_a_topic_that_is_not_there_is_said(world: World, watching: Watching) -> None:
    await world.admin.delete_topics([world.prefix + "payouts.requested.v1"])
    async with asyncio.timeout(30):
        while not (now := await watching.look("payouts")).missing:
            pass
    assert now.missing == (f"{world.prefix}payouts.requested.v1",)
    assert now.lag_s is None
    assert (await watching.look("card")).missing == ()


async def test_a_broker_that_is_away_is_unknown_and_comes_back(settings: Settings) -> None:
    reader = GroupsReader(settings.model_copy(update={"kafka_bootstrap_servers": NOBODY_THERE}))
    with pytest.raises(KafkaAwayError):
        await reader.look()
    reader._settings = settings
    assert len((await reader.look()).groups) == len(CONSUMERS)
    await reader.close()


async def test_the_watcher_outlives_kafka_and_keeps_what_it_saw_as_old(settings: Settings, observer: Any) -> None:
    away = settings.model_copy(update={"kafka_bootstrap_servers": NOBODY_THERE})
    postgres = Reader(settings.database_url.get_secret_value())
    watch = Watch(settings, postgres)
    await watch.look()
    assert watch.seen.known
    await watch._groups.close()
    watch._groups._settings = away
    await watch.look()
    since = watch.seen.away_since
    assert (watch.seen.known, watch.seen.lag_s(), len(watch.seen.groups)) == (False, None, len(CONSUMERS))
    await watch._sample()
    assert await observer.fetchval("SELECT lag_s FROM ops_samples") is None
    await watch.look()
    assert watch.seen.away_since == since, "since when, not since the last try"
    watch._groups._settings = settings
    await watch.look()
    assert watch.seen.known
    await watch._groups.close()
    await postgres.close()
