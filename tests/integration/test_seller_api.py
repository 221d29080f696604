"""Sellers' statistics over real HTTP, from a real database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from kit.database import Gateway
from kit.disputed import COUNTS, DISPUTED, OTHERS, OUTCOMES, PARTITIONS, record_disputed

from schemas.base import encode
from schemas.sellers import SellerStatistics
from workers.insight.seller_api import ApiLimits, seller_routes
from workers.store.database import Database
from workers.telemetry import Metrics, serve_health

Client = TestClient[web.Request, web.Application]
ROW = f"/api/sellers/{DISPUTED}/statistics"
EXPLANATION = f"/api/sellers/{DISPUTED}/explanation"


@asynccontextmanager
async def serving(url: str, **limits: Any) -> AsyncIterator[Client]:
    """The routes on a port of their own."""
    database = Database(url, max_connections=2)
    app = web.Application()
    app.add_routes(seller_routes(database, partitions=PARTITIONS, limits=ApiLimits(**limits)))
    async with TestClient(TestServer(app)) as client:
        yield client
    await database.close()


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[Client]:
    """Of a database with the disputed seller."""
    await record_disputed(database_url)
    async with serving(database_url, page=5, page_unasked=3) as made:
        yield made


async def told(client: Client, path: str) -> tuple[int, Any]:
    async with client.get(path) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


async def test_the_row_is_the_topics_own(client: Client) -> None:
    async with client.get(ROW) as response:
        body = await response.read()
    row = msgspec.json.decode(body, type=SellerStatistics)
    assert encode(row) == body, "nothing more, nothing less"
    assert (row.seq, row.others_average, row.above_average) == (len(OUTCOMES), OTHERS[2], True)
    assert [row.windows["60d"].accepted, row.lifetime.completed] == [COUNTS["60d"][0], COUNTS["lifetime"][2]]


async def test_any_replica_gives_the_same(client: Client, database_url: str) -> None:
    async with serving(database_url) as other:
        assert await told(other, ROW) == await told(client, ROW)


async def test_it_is_served_beside_a_processs_health(database_url: str) -> None:
    await record_disputed(database_url)
    database = Database(database_url)
    routes = seller_routes(database, partitions=PARTITIONS)
    runner = await serve_health(Metrics(), lambda: True, "127.0.0.1", 0, routes)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
        for path in (ROW, EXPLANATION, "/healthz"):
            async with session.get(path) as response:
                assert response.status == 200
    await runner.cleanup()
    await database.close()


async def test_a_seller_never_counted_is_not_found(client: Client) -> None:
    for what in ("statistics", "explanation"):
        assert await told(client, f"/api/sellers/sel_x/{what}") == (
            404,
            {"error": "nothing was ever counted for this seller"},
        )


@pytest.mark.parametrize("bad", ["a%20b", "a%2Fb", "%0A", "sel_1%0A", "x" * 65, "%C3%A9", "'", "%00"])
async def test_what_is_no_id_is_a_bad_request(client: Client, bad: str) -> None:
    for path in (f"/api/sellers/{bad}/statistics", f"{EXPLANATION}?order={bad}"):
        status, body = await told(client, path)
        assert (status, list(body)) == (400, ["error"])
        assert "1-64 characters" in body["error"]


async def test_the_explanation_holds_every_count(client: Client) -> None:
    status, body = await told(client, EXPLANATION)
    assert status == 200
    kinds = ("accepted", "cancelled_before_acceptance", "completed", "cancelled_after_acceptance")
    assert {one["span"]: [one[kind] for kind in kinds] for one in body["spans"]} == COUNTS
    assert (body["comparison"]["others"], body["comparison"]["others_average"]) == (OTHERS[0], OTHERS[2])
    assert (body["outcomes_in_all"], body["order"]) == (len(OUTCOMES), None)


async def test_outcomes_come_by_pages_until_the_first(client: Client) -> None:
    seqs, before = [], ""
    while True:
        status, body = await told(client, f"{EXPLANATION}?limit=5{before}")
        assert status == 200
        seqs += [one["seq"] for one in body["outcomes"]]
        if body["next_before_seq"] is None:
            break
        before = f"&before_seq={body['next_before_seq']}"
    assert seqs == list(range(len(OUTCOMES), 0, -1))
    assert len((await told(client, EXPLANATION))[1]["outcomes"]) == 3, "as many as a page has unasked"


@pytest.mark.parametrize("query", ["limit=6", "limit=-1", "limit=", "limit=1.5", "limit=%D9%A1", "before_seq=0"])
async def test_what_is_no_page_is_a_bad_request(client: Client, query: str) -> None:
    status, body = await told(client, f"{EXPLANATION}?{query}")
    assert (status, body["error"].split()[1:4]) == (400, ["is", "a", "number"])


async def test_an_order_is_explained(client: Client) -> None:
    status, body = await told(client, f"{EXPLANATION}?order=ord_e")
    assert (status, [one["seq"] for one in body["order"]["effects"]]) == (200, [9, 10, 11])
    assert await told(client, f"{EXPLANATION}?order=ord_x") == (
        404,
        {"error": "nothing was ever counted for this seller of that order"},
    )


async def test_other_methods_are_as_http_has_them(client: Client) -> None:
    async with client.head(ROW) as response:
        assert (response.status, await response.read()) == (200, b"")
    async with client.post(ROW) as response:
        assert response.status == 405


async def test_a_database_that_is_away_is_told_and_asked_again(database_url: str) -> None:
    await record_disputed(database_url)
    async with Gateway(database_url) as gateway, serving(gateway.url, in_work=1, answer_s=0.5) as client:
        assert (await told(client, ROW))[0] == 200
        gateway.hang()
        first = asyncio.create_task(client.get(ROW))
        await asyncio.wait_for(gateway.silenced.wait(), 20)
        async with client.get(ROW) as second:
            assert (second.status, second.headers["Retry-After"]) == (503, "1"), "one at a time"
            assert await second.json() == {"error": "too many questions at a time"}
        async with await first as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
            assert await response.json() == {"error": "the database can't be asked now"}
        gateway.go_on()
        async with asyncio.timeout(20):
            while (await told(client, ROW))[0] != 200:
                pass


async def test_a_database_that_cant_be_reached_is_told() -> None:
    async with serving("postgresql://annul@127.0.0.1:1/none") as client, client.get(ROW) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "5")


async def test_a_question_writes_nothing(client: Client, observer: Any) -> None:
    await observer.execute(
        "CREATE OR REPLACE FUNCTION annul_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
        "$$ INSERT INTO sellers (seller_id) VALUES ('sel_written') RETURNING clock_timestamp() $$"
    )
    assert (await told(client, ROW))[0] == 503
    assert await observer.fetchval("SELECT count(*) FROM sellers WHERE seller_id = 'sel_written'") == 0
