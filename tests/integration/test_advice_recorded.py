"""Sellers' standings on a real database: one advice a crossing, whoever repeats it, dies in between or comes second."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from kit.advising import HELP_URL, judged
from kit.broker import Broker
from kit.builders import NOW, SELLER
from kit.database import cut_others, set_clock, until_someone_waits
from kit.notes import header
from kit.process import Process
from kit.schedule import timers_of

from schemas.envelope import Envelope, decode_data
from schemas.sellers import SellerAdvice
from schemas.topics import SELLERS_ADVICE
from workers.pipeline.messages import unpack_one
from workers.pipeline.ports import Record
from workers.sellers.advice import read_above, read_waiting, record_standings
from workers.store.database import Database, is_passing

DAY = timedelta(days=1)
OTHERS_WORD = "INSERT INTO seller_standings VALUES ($1, true, $2, true, $2)"


@pytest.fixture
async def second(database_url: str) -> AsyncIterator[Database]:
    """The same database as another process reaches it."""
    made = Database(database_url)
    yield made
    await made.close()


async def say(database: Database, day: int = 0, *, above: bool = True, **changes: Any) -> int:
    """The seller's row of a day, counted from NOW."""
    now = NOW + day * DAY
    return await record_standings(database, [judged(above=above, as_of=now.date(), **changes)], now, HELP_URL)


async def scheduled(observer: Any) -> list[SellerAdvice]:
    """What is to be sent, in the order of time."""
    rows = await observer.fetch("SELECT message FROM scheduled_messages ORDER BY due_at, schedule_id")
    return [advice_in(unpack_one(row["message"]).value or b"") for row in rows]


def advice_in(value: bytes) -> SellerAdvice:
    found: SellerAdvice = decode_data(
        SELLERS_ADVICE.decoders(), Envelope("evt_1", "/annul", "seller.advice", None, None), value
    )
    return found


def sent(broker: Broker) -> list[Record]:
    return broker.records(SELLERS_ADVICE.name)


async def standing(observer: Any) -> tuple[bool, datetime, bool, datetime | None]:
    row = await observer.fetchrow("SELECT * FROM seller_standings WHERE seller_id = $1", SELLER)
    return row["above"], row["since"], row["advised"], row["advised_at"]


async def test_a_seller_who_comes_to_be_above_is_sent_one_advice(
    broker: Broker, database: Database, database_url: str, observer: Any
) -> None:
    await set_clock(observer, NOW)
    assert await say(database) == 1
    async with Process(broker, database_url) as process:
        assert await timers_of(process).fire() == 1
        assert await say(database, 1, cancelled=9, closed=23) == 0, "no new crossing"
        await set_clock(observer, NOW + 40 * DAY)
        assert await say(database, 40) == 0
        assert await timers_of(process).fire() == 0
    (record,) = sent(broker)
    assert record.key == SELLER.encode()
    assert header(record, "ce_type") == "seller.advice"
    told = advice_in(record.value or b"")
    assert (told.seller_id, told.kind, told.issued_at) == (SELLER, "above_average", NOW)
    assert (told.numbers.cancelled, told.numbers.closed, told.numbers.others_average) == (7, 20, 0.124)
    assert HELP_URL in told.texts.fr
    assert HELP_URL in told.texts.en


async def test_saying_it_again_changes_nothing(database: Database, observer: Any) -> None:
    assert await say(database) == 1
    before = await standing(observer), await scheduled(observer)
    for _ in range(3):
        assert await say(database) == 0
    assert await say(database, 2, cancelled=10, closed=25) == 0, "as who takes over says it, with later numbers"
    assert (await standing(observer), await scheduled(observer)) == before


async def test_of_sellers_below_nothing_is_kept(database: Database, observer: Any) -> None:
    assert await say(database, above=False) == 0
    assert await say(database, others_average=None) == 0
    assert await observer.fetchval("SELECT count(*) FROM seller_standings") == 0


async def test_a_crossing_within_30_days_waits_and_is_advised_with_the_numbers_of_that_time(
    database: Database, observer: Any
) -> None:
    await say(database)
    await say(database, 5, above=False)
    assert await say(database, 10) == 0
    soon = NOW + 30 * DAY - timedelta(seconds=1)
    assert await read_waiting(database, soon, lambda _: True) == []
    assert await read_waiting(database, NOW + 30 * DAY, lambda _: True) == [SELLER]
    assert await say(database, 30, others_average=None) == 0, "the others aren't known just now"
    assert await read_waiting(database, NOW + 30 * DAY, lambda _: True) == [SELLER], "it comes again"
    assert await say(database, 30, cancelled=12, closed=31) == 1
    assert await read_waiting(database, NOW + 90 * DAY, lambda _: True) == []
    first, late = await scheduled(observer)
    assert (first.numbers.cancelled, late.numbers.cancelled) == (7, 12)
    assert late.issued_at == NOW + 30 * DAY
    assert await standing(observer) == (True, NOW + 10 * DAY, True, NOW + 30 * DAY)


async def test_a_crossing_that_ended_meanwhile_is_not_advised(database: Database, observer: Any) -> None:
    await say(database)
    await say(database, 5, above=False)
    await say(database, 10)
    await say(database, 29, above=False)
    assert await read_waiting(database, NOW + 60 * DAY, lambda _: True) == []
    assert len(await scheduled(observer)) == 1
    assert await say(database, 61) == 1, "the next one is"


async def test_a_process_that_dies_in_between_advises_nobody_and_the_next_one_does(
    database: Database, second: Database, observer: Any
) -> None:
    await observer.execute("INSERT INTO seller_standings VALUES ($1, false, $2, false, NULL)", SELLER, NOW - DAY)
    with pytest.raises(Exception) as last:  # noqa: PT011 - cut off as well
        async with second.transaction() as holding:
            await holding.execute("SELECT * FROM seller_standings FOR UPDATE")
            dying = asyncio.create_task(say(database))
            await until_someone_waits(observer)
            await cut_others(observer)
    assert is_passing(last.value)
    with pytest.raises(Exception) as error:  # noqa: PT011 - any that passes
        await dying
    assert is_passing(error.value)
    assert (await standing(observer))[0] is False
    assert await scheduled(observer) == []
    assert await say(second) == 1
    assert len(await scheduled(observer)) == 1


@pytest.mark.parametrize("known", [True, False])
async def test_who_comes_second_finds_it_done(
    database: Database, second: Database, observer: Any, *, known: bool
) -> None:
    if known:
        await observer.execute("INSERT INTO seller_standings VALUES ($1, false, $2, false, NULL)", SELLER, NOW - DAY)
    async with second.transaction() as other:
        if known:
            await other.execute("UPDATE seller_standings SET above = true, advised = true, advised_at = $1", NOW)
        else:
            await other.execute(OTHERS_WORD, SELLER, NOW)
        waiting = asyncio.create_task(say(database))
        await until_someone_waits(observer)
    assert await waiting == 0
    assert await scheduled(observer) == [], "the advice is the other's"


async def test_two_processes_that_say_the_same_of_many_advise_each_once(
    database: Database, second: Database, observer: Any
) -> None:
    many = [judged(f"sel_{number}") for number in range(3_000)]
    shuffled = random.Random(1).sample(many, len(many))
    told = await asyncio.gather(record_standings(database, many, NOW), record_standings(second, shuffled, NOW))
    assert sum(told) == 3_000
    rows = await observer.fetch("SELECT schedule_id, message FROM scheduled_messages")
    assert {unpack_one(row["message"]).key for row in rows} == {one.seller_id.encode() for one in many}
    assert len(rows) == 3_000


async def test_who_waits_is_found_however_many_others_do(database: Database, observer: Any) -> None:
    await observer.execute(
        """INSERT INTO seller_standings
           SELECT 'sel_' || n, true, $1::timestamptz, false, $1::timestamptz - interval '40 days'
             FROM generate_series(1, 2500) AS n""",
        NOW,
    )
    await observer.execute(OTHERS_WORD, "advised", NOW - 90 * DAY)
    mine = {f"sel_{number}" for number in range(2, 2500, 250)}
    assert set(await read_waiting(database, NOW, mine.__contains__)) == mine
    assert len(await read_waiting(database, NOW, mine.__contains__, limit=4)) == 4
    everyone = await read_waiting(database, NOW, lambda _: True, limit=2_200)
    assert len(set(everyone)) == 2_200


async def test_a_standing_that_no_row_told_of_is_found_and_mended(database: Database, observer: Any) -> None:
    await observer.execute(
        """INSERT INTO seller_standings
           SELECT 'sel_' || n, true, $1::timestamptz, true, $1::timestamptz FROM generate_series(1, 2500) AS n""",
        NOW - 40 * DAY,
    )
    await observer.execute("INSERT INTO seller_standings VALUES ('sel_below', false, $1, false, NULL)", NOW)
    found = [seller_id async for page in read_above(database) for seller_id in page]
    assert sorted(found) == sorted(f"sel_{number}" for number in range(1, 2501))
    assert await say(database) == 0, "it counts as advised of this crossing"
    await say(database, above=False)
    assert await say(database) == 1, "the next crossing is one again"
