"""The dashboard's pages of chats and timers on a real database: what fires when, and a person's word on a close."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
from kit.builders import tender
from kit.feed import Feed, rows_of
from kit.ops_pages import Visit, visiting
from kit.population import POLICY, cancellation, placement, script, settings_for

from schemas.chats import ChatCommand
from schemas.topics import CHATS_COMMANDS
from workers.insight.story import tell_story
from workers.insight.verify import verify
from workers.notifications import Notifications
from workers.pipeline.messages import Incoming, read
from workers.store.database import Database

CHAT = "cnv_one"


class Ground:
    """A database with one cancelled order, and what was sent of its chat."""

    def __init__(self, url: str, feed: Feed, visit: Visit) -> None:
        self.url = url
        self.feed = feed
        self.visit = visit

    async def chat(self) -> Any:
        (row,) = await rows_of(self.url, "SELECT * FROM conversations WHERE conversation_id = $1", CHAT)
        return row

    async def close(self) -> Any:
        query = "SELECT * FROM scheduled_messages WHERE schedule_id LIKE 'chat.close:%' AND state = 'waiting'"
        rows = await rows_of(self.url, query)
        return rows[0] if rows else None

    async def do(self, what: str, **fields: Any) -> Any:
        given = {"revision": str((await self.chat())["revision"]), "reason": "they asked for it", **fields}
        return await self.visit.post(f"/chats/{CHAT}/{what}", **given)

    def words(self) -> list[tuple[str, ChatCommand]]:
        decoders = CHATS_COMMANDS.decoders()
        found = [read(record, decoders) for record in self.feed.records(CHATS_COMMANDS.name)]
        return [(one.envelope.type, one.data) for one in found if isinstance(one, Incoming)]

    async def notices(self) -> list[Any]:
        """What the worker `notifications` makes of the last word on the chat."""
        record = self.feed.records(CHATS_COMMANDS.name)[-1]
        message = read(record, CHATS_COMMANDS.decoders())
        assert isinstance(message, Incoming)
        database = Database(self.url)
        try:
            async with database.transaction() as connection:
                (verdict,) = await Notifications(None).record(connection, [message], datetime.now(UTC))
        finally:
            await database.close()
        return [msgspec.json.decode(msgspec.json.encode(one.data)) for one in verdict.emissions]


@pytest.fixture
async def ground(database_url: str) -> AsyncIterator[Ground]:
    async with (
        Feed(database_url, script, policy=POLICY) as feed,
        visiting(settings_for(database_url)) as visit,
    ):
        await feed.take(cancellation("one", tender(reference="pi_good")))
        yield Ground(database_url, feed, visit)


def later(close_at: datetime, **by: float) -> str:
    return (close_at + timedelta(**by)).strftime("%Y-%m-%dT%H:%M")


async def whole(ground: Ground) -> list[Any]:
    found = await verify(settings_for(ground.url), topics=False)
    return [one for one in found.violations if one.invariant == "I6"]


async def test_the_next_closes_and_all_timers_are_listed(ground: Ground) -> None:
    page = (await ground.visit.get("/chats")).text
    assert re.search(rf'href="/chats/{CHAT}">{CHAT}</a></th>\s*<td[^>]*><div>20', page)
    assert 'href="/orders/ord_one">ord_one</a>' in page
    assert re.search(r'kind=chat.closing_soon">chat.closing_soon</a></th>\s*<td[^>]*><div>1<', page)
    timers = (await ground.visit.get("/timers?kind=chat.close")).text
    assert f"chat.close:{CHAT}:3" in timers
    assert "chat.closing_soon:" not in timers
    assert f"chat.closing_soon:{CHAT}:2" in (await ground.visit.get("/timers")).text
    assert (await ground.visit.get("/chats/nobody")).status == HTTPStatus.NOT_FOUND


async def test_what_is_due_and_was_not_sent_is_late(ground: Ground) -> None:
    assert "tag bad" not in (await ground.visit.get("/chats")).text
    await rows_of(ground.url, "UPDATE scheduled_messages SET due_at = annul_now() - interval '2 minutes' RETURNING 1")
    page = (await ground.visit.get("/chats")).text
    assert re.search(r"late</span> -2 min", page)
    assert re.search(r'<span class="tag bad">1</span>', page)


async def test_many_closes_are_paged(ground: Ground) -> None:
    query = """INSERT INTO scheduled_messages (schedule_id, subject, due_at, revision, message)
               SELECT 'chat.close:c' || n || ':3', 'c' || n, annul_now() + interval '1 day', 3, '' FROM
               generate_series(1, 120) AS n RETURNING 1"""
    await rows_of(ground.url, query)
    seen: list[str] = []
    link: str | None = "/chats"
    while link:
        page = (await ground.visit.get(link)).text
        seen += re.findall(r'href="/chats/([^"]+)">', page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        link = found[1].replace("&amp;", "&") if found else None
    assert sorted(seen) == sorted([CHAT, *(f"c{n}" for n in range(1, 121))])


async def test_an_extension_moves_the_close_and_tells_both_sides(ground: Ground) -> None:
    before = await ground.chat()
    answer = await ground.do("extend", close_at=later(before["close_at"], days=3))
    assert (answer.status, answer.headers["location"]) == (HTTPStatus.SEE_OTHER, f"/chats/{CHAT}")
    after, close = await ground.chat(), await ground.close()
    assert after["close_at"] == close["due_at"]
    assert timedelta(days=3, minutes=-1) < after["close_at"] - before["close_at"] <= timedelta(days=3)
    assert close["schedule_id"] == f"chat.close:{CHAT}:6"
    await ground.feed.fire()
    type_, word = ground.words()[-1]
    assert (type_, word.close_at, word.reason, word.revision) == (
        "chat.close_scheduled",
        close["due_at"],
        "extended",
        4,
    )
    notices = await ground.notices()
    assert {one["recipient"]["kind"] for one in notices} == {"client", "seller"}
    assert all("stays open longer" in one["body"] or "plus longtemps" in one["body"] for one in notices)
    assert not await whole(ground)
    page = (await ground.visit.get(f"/chats/{CHAT}")).text
    assert "Ada moved the close from" in page
    assert "they asked for it" in page
    (entry,) = await rows_of(ground.url, "SELECT * FROM audit_entries ORDER BY seq")
    assert (entry["actor"], entry["what"], entry["subject"]) == ("Ada", "chat.extended", CHAT)


async def test_an_orders_story_dates_an_extension_when_a_person_made_it(ground: Ground) -> None:
    await ground.do("extend", close_at=later((await ground.chat())["close_at"], days=3))
    ((at, order_id),) = await rows_of(ground.url, "SELECT at, order_id FROM chat_interventions")
    told = await tell_story(settings_for(ground.url), order_id)
    assert told is not None
    scheduled = [step for step in told.timeline if step.what == "chat.close_scheduled"]
    assert [step.detail.endswith("withdrawn since") for step in scheduled] == [True, False]
    assert scheduled[0].at < scheduled[1].at == at


async def test_a_withdrawn_close_never_comes(ground: Ground) -> None:
    assert (await ground.do("withdraw")).status == HTTPStatus.SEE_OTHER
    assert (await ground.chat())["close_at"] is None
    assert await ground.close() is None
    await ground.feed.fire()
    assert [(type_, word.reason) for type_, word in ground.words()][-1] == ("chat.close_withdrawn", "withdrawn")
    notices = await ground.notices()
    assert len(notices) == 2
    assert not any("newer order" in one["body"] or "plus récente" in one["body"] for one in notices)
    assert not await whole(ground), "a chat that a person keeps open breaks nothing"
    page = (await ground.visit.get(f"/chats/{CHAT}")).text
    assert "Open: no close is scheduled." in page
    assert "Ada withdrew the close of" in page
    assert (await ground.do("withdraw")).status == HTTPStatus.CONFLICT


async def test_an_extended_close_gives_way_to_a_newer_order(ground: Ground) -> None:
    await ground.do("extend", close_at=later((await ground.chat())["close_at"], days=3))
    await ground.feed.take(placement("newer", conversation_id=CHAT, placed_at=datetime.now(UTC)))
    assert await ground.close() is None
    assert not await whole(ground)


async def test_a_close_is_never_earlier_than_what_both_were_told(ground: Ground) -> None:
    close_at = (await ground.chat())["close_at"]
    for text in (later(close_at, minutes=-1), later(close_at, days=-3), later(close_at, days=400), "soon", ""):
        answer = await ground.do("extend", close_at=text)
        assert answer.status == HTTPStatus.BAD_REQUEST, text
    assert (await ground.chat())["close_at"] == close_at
    no_reason = await ground.do("extend", close_at=later(close_at, days=1), reason=" ")
    assert (no_reason.status, "A reason is mandatory." in no_reason.text) == (HTTPStatus.BAD_REQUEST, True)
    assert not await rows_of(ground.url, "SELECT * FROM audit_entries ORDER BY seq")


async def test_what_moved_meanwhile_is_refused(ground: Ground) -> None:
    seen = await ground.chat()
    new = later(seen["close_at"], days=3)
    assert (await ground.do("extend", close_at=new)).status == HTTPStatus.SEE_OTHER
    answer = await ground.do("withdraw", revision=str(seen["revision"]))
    assert answer.status == HTTPStatus.CONFLICT
    assert "not any more what you saw" in answer.text
    assert (await ground.chat())["close_at"] is not None


async def test_a_close_that_is_being_sent_is_too_late_to_stop(ground: Ground) -> None:
    query = """UPDATE scheduled_messages SET state = 'firing', firing_since = annul_now()
                WHERE schedule_id LIKE 'chat.close:%' RETURNING 1"""
    await rows_of(ground.url, query)
    answer = await ground.do("withdraw")
    assert (answer.status, "closing just now" in answer.text) == (HTTPStatus.CONFLICT, True)
    page = (await ground.visit.get(f"/chats/{CHAT}")).text
    assert "Closed, or closing just now" in page
    assert '<form method="post" action="/chats/' not in page


async def test_a_viewer_reads_and_changes_nothing(ground: Ground) -> None:
    ground.visit.as_("viewer")
    page = await ground.visit.get(f"/chats/{CHAT}")
    assert (page.status, 'action="/chats/' in page.text) == (HTTPStatus.OK, False)
    for what in ("extend", "withdraw"):
        answer = await ground.do(what, close_at=later((await ground.chat())["close_at"], days=3))
        assert answer.status == HTTPStatus.FORBIDDEN
    assert (await ground.chat())["revision"] == 3
