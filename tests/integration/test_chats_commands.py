"""`annul chats list`, `extend` and `withdraw`: the twins of the dashboard's page."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from kit.command import Annul, console_script

CHAT = "cnv_free"
READ = "SELECT close_at, scheduled_revision, revision FROM conversations WHERE conversation_id = $1"


@pytest.fixture
async def sight(populated: str) -> Any:
    """A connection beside the commands."""
    connection = await asyncpg.connect(populated)
    yield connection
    await connection.close()


@pytest.fixture
def annul(populated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Annul:
    return console_script(monkeypatch, tmp_path, populated)


async def test_the_list_has_every_chat_that_will_close_the_next_first(
    annul: Annul, sight: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await annul("chats", "list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    times = [datetime.fromisoformat(one["close_at"]) for one in found]
    assert times == sorted(times)
    closing = await sight.fetch("SELECT conversation_id FROM conversations WHERE close_at > annul_now()")
    assert {one["conversation_id"] for one in found} == {row["conversation_id"] for row in closing}
    assert await annul("chats", "list", "--limit", "1") == 0
    assert found[0]["conversation_id"] in capsys.readouterr().out


async def test_a_close_is_moved_and_withdrawn_under_a_name(annul: Annul, sight: Any) -> None:
    before = (await sight.fetchrow(READ, CHAT))["close_at"]
    until = (before + timedelta(days=2)).isoformat()
    assert await annul("chats", "extend", CHAT, "--until", until, "--reason", "asked for", "--by", "Ada") == 0
    assert (await sight.fetchrow(READ, CHAT))["close_at"] == before + timedelta(days=2)
    assert await annul("chats", "withdraw", CHAT, "--reason", "settled", "--by", "Bob") == 0
    assert (await sight.fetchrow(READ, CHAT))["close_at"] is None
    entries = await sight.fetch("SELECT actor, what, subject FROM audit_entries ORDER BY seq")
    assert [tuple(one) for one in entries] == [("Ada", "chat.extended", CHAT), ("Bob", "chat.withdrawn", CHAT)]


async def test_what_may_not_be_is_refused_in_a_sentence(
    annul: Annul, sight: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tuple(await sight.fetchrow(READ, CHAT))
    earlier = (before[0] - timedelta(hours=1)).isoformat()
    assert await annul("chats", "extend", CHAT, "--until", earlier, "--reason", "in haste") == 1
    assert "only close later than announced" in capsys.readouterr().err
    assert await annul("chats", "withdraw", "nobody", "--reason", "why") == 1
    assert "no such conversation" in capsys.readouterr().err
    assert await annul("chats", "withdraw", CHAT, "--reason", " ") == 2
    assert await annul("chats", "extend", CHAT, "--until", "soon", "--reason", "why") == 2
    assert tuple(await sight.fetchrow(READ, CHAT)) == before
