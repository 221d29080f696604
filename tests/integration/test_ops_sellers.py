"""The dashboard's pages of sellers: the table that follows Kafka, and one seller's figures from PostgreSQL."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from kit.database import Copies
from kit.disputed import DISPUTED, PARTITIONS, record_disputed
from kit.kafka import World
from kit.ops_pages import Visit, visiting
from kit.population import settings_for
from kit.seller_rows import seller_row

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.sellers import SellerStatistics
from schemas.topics import SELLERS_STATISTICS
from workers.insight.reading import snapshot
from workers.insight.seller_page import rates_over_time
from workers.ops.following import Following
from workers.settings import Settings
from workers.store.queries import sql

STATISTICS = SELLERS_STATISTICS.name


@pytest.fixture(scope="module")
async def disputed(copies: Copies) -> AsyncIterator[Settings]:
    """Of a database with the disputed seller, which tests leave as it is."""
    url = await copies.take()
    await record_disputed(url)
    yield settings_for(url, topic_partitions=PARTITIONS)
    await copies.drop(url)


@pytest.fixture
async def visit(disputed: Settings) -> AsyncIterator[Visit]:
    """With a table of 120 sellers."""
    async with visiting(disputed) as visit:
        following = Following(disputed)
        for number in range(120):
            following.table.take(seller_row(f"sel_{number:03}", number % 10, 10, above=number == 19))
        following.at = datetime.now(UTC)
        visit.app.state.following = following
        yield visit


def listed(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a class="code" href="/sellers/([^"]+)">', page)


async def test_the_table_is_sorted_searched_and_paged(visit: Visit) -> None:
    seen: list[str] = []
    link: str | None = "/sellers?sort=closed"
    while link:
        page = (await visit.get(link)).text
        seen += listed(page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        link = found[1].replace("&amp;", "&") if found else None
    assert len(seen) == len({*seen}) == 120
    assert seen[0] == "sel_009"
    first = (await visit.get("/sellers")).text
    assert "120 sellers, as their statistics stood" in first
    assert listed((await visit.get("/sellers?id=sel_11&sort=id")).text) == [
        f"sel_{number}" for number in range(110, 120)
    ]
    assert "No seller fits." in (await visit.get("/sellers?id=nobody")).text
    assert (await visit.get("/sellers?sort=money")).status == HTTPStatus.BAD_REQUEST
    assert ">above average<" in (await visit.get("/sellers?id=sel_019")).text


async def test_what_is_not_known_or_old_is_said(visit: Visit) -> None:
    following = visit.app.state.following
    following.away_since = datetime.now(UTC)
    assert "Kafka has not answered since" in (await visit.get("/sellers")).text
    visit.app.state.following = Following(visit.app.state.settings)
    page = (await visit.get("/sellers")).text
    assert "the table is not whole yet" in page
    assert "No seller is known yet." in page
    assert "No seller fits." not in page, "nobody was looked for among them"
    assert "rates are not known yet" in (await visit.get(f"/sellers/{DISPUTED}")).text


async def test_one_seller_is_shown_with_figures_plot_and_place_among_all(visit: Visit) -> None:
    answer = await visit.get(f"/sellers/{DISPUTED}")
    assert answer.status == HTTPStatus.OK
    assert answer.text.count("<figure>") == 2
    assert "chart-marked" in answer.text
    assert "120 sellers in bars of 5" in answer.text
    assert "never advised" in answer.text
    assert (await visit.get("/sellers/nobody")).status == HTTPStatus.NOT_FOUND
    visit.become(language="fr")
    assert "Décomptes et taux" in (await visit.get(f"/sellers/{DISPUTED}")).text


async def test_outcomes_are_paged_by_number(visit: Visit) -> None:
    page = (await visit.get(f"/sellers/{DISPUTED}")).text
    numbers = [int(one) for one in re.findall(r'<tr><td[^>]*class="number"><div>(\d+)<', page)]
    assert numbers == sorted(numbers, reverse=True)
    cut = numbers[2]
    older = (await visit.get(f"/sellers/{DISPUTED}?before={cut}")).text
    assert next(int(one) for one in re.findall(r'<tr><td[^>]*class="number"><div>(\d+)<', older)) == cut - 1
    assert (await visit.get(f"/sellers/{DISPUTED}?before=x")).status == HTTPStatus.BAD_REQUEST


async def test_each_day_of_the_plot_is_what_its_sixty_days_come_to(disputed: Settings) -> None:
    async with snapshot(disputed) as connection:
        today = (await connection.fetchval(sql("read_now"))).date()
        found = await rates_over_time(connection, DISPUTED, today)
        rows = await connection.fetch("SELECT * FROM seller_outcomes WHERE seller_id = $1", DISPUTED)
    assert [one.day for one in found] == [today - timedelta(days=ago) for ago in range(89, -1, -1)]
    for one in found:
        first = one.day - timedelta(days=59)
        parts: list[tuple[Any, Any, int]] = [(row["outcome"], row["occurred_at"], 1) for row in rows]
        parts += [(row["replaces_outcome"], row["replaces_occurred_at"], -1) for row in rows if row["replaces_outcome"]]
        inside = [(kind, sign) for kind, at, sign in parts if first <= at.date() <= one.day]
        cancelled = sum(sign for kind, sign in inside if kind.startswith("cancelled"))
        closed = sum(sign for kind, sign in inside if kind != "accepted")
        assert (one.cancelled, one.closed) == (cancelled, closed), one.day
    assert any(one.closed for one in found)


# ---------------------------------------------------------------- following Kafka


async def send(world: World, *rows: SellerStatistics) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=world.kafka.bootstrap)
    await producer.start()
    try:
        for row in rows:
            headers = headers_of("seller.statistics", f"msg_{row.seller_id}_{row.seq}", row.as_of)
            await producer.send_and_wait(
                world.prefix + STATISTICS, encode(row), row.seller_id.encode(), headers=headers
            )
    finally:
        await producer.stop()


async def test_the_table_is_read_from_its_beginning_and_followed(world: World) -> None:
    await world.create(STATISTICS)
    await send(world, *(seller_row(f"sel_{number}", 1, 3) for number in range(30)))
    await send(world, seller_row("sel_7", 2, 3, seq=2))
    settings = Settings(kafka_bootstrap_servers=world.kafka.bootstrap, topic_prefix=world.prefix)
    following = Following(settings)
    task = asyncio.ensure_future(following.run())
    try:
        async with asyncio.timeout(60):
            await following.ready.wait()
        assert len(following.table.rows) == 30
        assert following.table.rows["sel_7"].closed == 5
        await send(world, seller_row("sel_7", 3, 3, seq=3), seller_row("sel_new", 0, 1))
        async with asyncio.timeout(60):
            while "sel_new" not in following.table.rows or following.table.rows["sel_7"].seq != 3:
                await following.turned()
        assert following.away_since is None
        assert following.at is not None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_without_its_topic_it_says_so_and_begins_once_it_is_there(world: World) -> None:
    settings = Settings(kafka_bootstrap_servers=world.kafka.bootstrap, topic_prefix=world.prefix)
    following = Following(settings)
    task = asyncio.ensure_future(following.run())
    try:
        async with asyncio.timeout(60):
            while following.away_since is None:
                await following.turned()
            assert following.at is None
            await world.create(STATISTICS)
            await send(world, seller_row("sel_1", 1, 3))
            while "sel_1" not in following.table.rows:
                await following.turned()
        assert following.away_since is None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
