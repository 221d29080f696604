"""The audit page: what people did, page by page, by person and deed, and whether the chain verifies."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from kit.dashboard import Browser, dashboard

from workers.ops.pages import audit
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
    assert "because of 119" in text
    assert 'href="/audit?before=71"' in text
    _, _, text = await browser.get("/audit?before=21")
    assert "prk_19<" in text
    assert "prk_20<" not in text
    assert "Next page" not in text


async def test_entries_are_found_by_person_and_deed(browser: Browser, connection: asyncpg.Connection) -> None:
    del connection
    _, _, text = await browser.get("/audit?actor=bob&what=parked.redriven&subject=")
    assert "prk_114<" in text
    assert "prk_117<" not in text
    assert "prk_116<" not in text
    _, _, text = await browser.get("/audit?actor=nobody")
    assert "Nothing here." in text
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
