"""The audit page: what people did, page by page, by person and deed, and whether the chain verifies."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from kit.dashboard import Browser, dashboard
from kit.ops_pages import visiting
from pydantic import SecretStr

from workers.ops.pages import audit
from workers.settings import Settings
from workers.store.audit import Entry, append


@pytest.fixture
async def browser(database_url: str) -> AsyncIterator[Browser]:
    async with dashboard(database_url) as base:
        made = Browser(base)
        yield made
        await made.close()


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(database_url)
    async with made.transaction():
        deeds = [
            Entry(
                actor="ada" if number % 3 else "bob",
                what="parked.discarded" if number % 2 else "parked.redriven",
                subject=f"prk_{number}",
                detail={"reason": f"because of {number}"},
            )
            for number in range(120)
        ]
        await append(made, deeds)
    yield made
    await made.close()


async def change(connection: asyncpg.Connection, seq: int) -> None:
    """As somebody would who can write to the database past its triggers."""
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute('UPDATE audit_entries SET detail = \'{"reason":"another"}\' WHERE seq = $1', seq)


async def test_entries_come_page_by_page_the_newest_first(browser: Browser, connection: asyncpg.Connection) -> None:
    del connection
    _, _, text = await browser.get("/audit")
    assert text.index("prk_119<") < text.index("prk_70<")
    assert "prk_69<" not in text
    assert 'href="/audit?before=71"' in text
    _, _, text = await browser.get("/audit?before=21")
    assert "prk_19<" in text
    assert "prk_20<" not in text
    assert "Next page" not in text


async def test_what_people_wrote_is_for_those_who_act_alone(
    browser: Browser, connection: asyncpg.Connection, database_url: str
) -> None:
    del connection
    _, _, text = await browser.get("/audit")
    assert "because of 119" not in text
    assert "*** 14 characters" in text
    async with visiting(Settings(database_url=SecretStr(database_url))) as visit:
        assert "because of 119" in (await visit.get("/audit")).text


async def test_entries_are_found_by_person_and_deed(browser: Browser, connection: asyncpg.Connection) -> None:
    del connection
    _, _, text = await browser.get("/audit?actor=bob&what=parked.redriven&subject=")
    assert "prk_114<" in text
    assert "prk_117<" not in text
    assert "prk_116<" not in text
    _, _, text = await browser.get("/audit?actor=nobody")
    assert "No entry fits." in text
    assert (await browser.get("/audit?before=x"))[0] == 400
    assert (await browser.get("/audit?before=²"))[0] == 400


async def test_the_chain_verifies_until_somebody_changes_an_entry(
    browser: Browser, connection: asyncpg.Connection
) -> None:
    assert "The chain verifies: 120 entries." in (await browser.get("/audit?verify=1"))[2]
    await change(connection, 60)
    _, _, text = await browser.get("/audit?verify=1")
    assert "The chain does not verify" in text
    assert "entry 60 (parked.discarded of prk_59) is not what was appended" in text


async def test_of_a_long_chain_the_newest_links_are_verified(
    browser: Browser, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_ALL", 50)
    await change(connection, 60)
    assert "The newest 50 entries verify. That is not all of them" in (await browser.get("/audit?verify=1"))[2]
    await change(connection, 80)
    assert "entry 80 (parked.discarded of prk_79)" in (await browser.get("/audit?verify=1"))[2]


async def test_who_verifies_all_the_time_keeps_nobody_from_their_pages(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, done = asyncio.Event(), asyncio.Event()
    at_once = 0

    async def verify(_connection: object, _head: object) -> None:
        nonlocal at_once
        at_once += 1
        begun.set()
        await done.wait()

    monkeypatch.setattr(audit, "_verify", verify)
    async with visiting(Settings(database_url=SecretStr(database_url))) as visit:
        asked = [asyncio.create_task(visit.get("/audit?verify=1")) for _ in range(8)]
        await begun.wait()
        assert (await visit.get("/audit")).status == 200
        assert at_once == 1
        done.set()
        assert [answer.status for answer in await asyncio.gather(*asked)] == [200] * 8
