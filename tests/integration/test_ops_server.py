"""The dashboard's server and its sessions in PostgreSQL, attacked: silence, heads without end, forged senders."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from kit.dashboard import Browser, dashboard, users_file
from structlog.testing import capture_logs

from workers.ops import patience
from workers.ops.asking import Reader
from workers.ops.assembly import doors_of
from workers.ops.pages import sign_in
from workers.ops.security.rate import Tries
from workers.settings import Settings, SettingsError


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sign_in, "_by_name", Tries(5, 900.0, lambda: 0.0))
    monkeypatch.setattr(sign_in, "_by_address", Tries(3, 900.0, lambda: 0.0))
    return users_file(tmp_path, vera="viewer", olaf="operator")


@pytest.fixture
async def base(database_url: str, users: Path) -> AsyncIterator[str]:
    async with dashboard(database_url, ops_users_file=str(users)) as address:
        yield address


@pytest.fixture
async def browser(base: str) -> AsyncIterator[Browser]:
    made = Browser(base)
    yield made
    await made.close()


async def test_the_server_does_not_believe_who_says_where_they_come_from(browser: Browser) -> None:
    fields = {"csrf": await browser.csrf("/sign-in"), "name": "x", "password": "wrong"}
    told = [await browser.post("/sign-in", fields, headers={"x-forwarded-for": f"10.0.0.{last}"}) for last in range(4)]
    assert [status for status, _, _ in told] == [401, 401, 401, 429]


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
async def test_who_says_nothing_or_never_ends_is_let_go(
    base: str, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(patience, "HEAD_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    writer.write(said)
    assert await reader.read() == b""
    writer.close()


async def test_who_asks_again_after_an_answer_is_let_go_too(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD_S", 1_000.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    writer.write(b"GET /static/icon.svg HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readuntil(b"</svg>")).startswith(b"HTTP/1.1 200")
    monkeypatch.setattr(patience, "HEAD_S", 0.1)
    writer.write(b"GET /static/icon.svg HTT")
    assert (await reader.read()).strip() == b""
    writer.close()


async def test_a_head_without_end_is_cut_short(base: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    writer.write(b"GET /sign-in HTTP/1.1\r\nHost: x\r\n")

    async def more() -> None:
        while True:
            writer.write(b"X: " + b"x" * 1_000 + b"\r\n")
            await writer.drain()

    endless = asyncio.create_task(more())
    try:
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    finally:
        endless.cancel()
        await asyncio.gather(endless, return_exceptions=True)
        writer.close()


async def test_sessions_are_one_for_all_processes_and_outlive_them(database_url: str, users: Path) -> None:
    async with dashboard(database_url, ops_users_file=str(users)) as one:
        browser = Browser(one)
        _, headers, _ = await browser.sign_in("olaf")
        cookie = {"cookie": headers["set-cookie"].partition(";")[0]}
        await browser.close()
    async with dashboard(database_url, ops_users_file=str(users)) as other:
        browser = Browser(other)
        assert (await browser.get("/audit", headers=cookie))[0] == 200
        # Not with the password of before.
        users_file(users.parent, vera="viewer", olaf="operator")
        assert (await browser.get("/audit", headers=cookie))[0] == 303
        await browser.close()


async def test_a_page_that_refreshes_itself_does_not_keep_who_has_gone(browser: Browser, database_url: str) -> None:
    await browser.sign_in("olaf")
    connection = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("UPDATE ops_sessions SET seen_at = seen_at - interval '119 minutes'")
    before = await connection.fetchval("SELECT seen_at FROM ops_sessions")
    part = {"x-annul-part": "1"}
    assert (await browser.get("/consumers", headers=part))[0] == 200
    assert await connection.fetchval("SELECT seen_at FROM ops_sessions") == before
    assert (await browser.get("/consumers"))[0] == 200
    assert await connection.fetchval("SELECT seen_at FROM ops_sessions") > before
    await connection.execute("UPDATE ops_sessions SET seen_at = seen_at - interval '121 minutes'")
    assert (await browser.get("/consumers", headers=part))[0] == 303
    await connection.close()


def test_settings_of_somebody_who_was_careless(users: Path) -> None:
    with pytest.raises(SettingsError, match="ANNUL_OPS_BEHIND_TLS needs"):
        doors_of(Settings(ops_behind_tls=True), Reader(""))
    with capture_logs() as told:
        doors_of(Settings(ops_users_file=str(users), ops_host="0.0.0.0"), Reader(""))
        doors_of(Settings(ops_users_file=str(users), ops_host="0.0.0.0", ops_behind_tls=True), Reader(""))
        doors_of(Settings(ops_users_file=str(users)), Reader(""))
    assert [one["event"] for one in told] == ["ops.tls_missing"]
