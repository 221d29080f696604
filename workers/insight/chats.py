"""Chats that will close, and everything else that waits for its time; a page at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from workers.domain.order_types import Conversation
from workers.store.queries import sql

PAGE: Final = 50
MOST_LOOKED_AT: Final = 20_000
"""Timers are counted, and looked through for a kind, up to the next so many."""
MOST_WORDS: Final = 50
LATE: Final = timedelta(seconds=30)
"""Timers fire within a second of the time; what is due for so long has been left."""
SOON: Final = timedelta(hours=24)


class Place(NamedTuple):
    """In a list by time."""

    at: datetime
    id: str


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """Timers of one kind: of the next `MOST_LOOKED_AT`, how many wait, are due, late, and fire within a day."""

    kind: str
    waiting: int
    due: int
    late: int
    soon: int
    next_at: datetime


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, and where the next page begins; None at the end."""

    rows: Sequence[Any]
    after: Place | None


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation: how it stands, what was scheduled of it, what people decided. The newest first."""

    conversation: Conversation
    timers: Sequence[Any]
    interventions: Sequence[Any]
    state: str
    """`open`: no close is scheduled; `closing`: one is to come; `closed`: it was sent, or is being sent."""


async def page_closes(connection: Any, after: Place | None) -> Page:
    """Closes to come, the next first."""
    start = after or _BEGINNING
    rows = await connection.fetch(sql("page_closes"), start.at, start.id, PAGE + 1)
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    return Page(rows=rows[:PAGE], after=Place(last["due_at"], last["schedule_id"]) if last else None)


async def page_timers(connection: Any, kind: str | None, after: Place | None) -> Page:
    """Whatever waits, the next first, or what is of one kind; then a page may be short and still have a next one."""
    start = after or _BEGINNING
    found = await connection.fetch(sql("page_timers"), start.at, start.id, kind, MOST_LOOKED_AT, PAGE + 1)
    rows = [row for row in found if row["schedule_id"] is not None]
    if len(rows) > PAGE:
        return Page(rows=rows[:PAGE], after=Place(rows[PAGE - 1]["due_at"], rows[PAGE - 1]["schedule_id"]))
    more = found[0]["looked"] == MOST_LOOKED_AT
    return Page(rows=rows, after=Place(found[0]["last_at"], found[0]["last_id"]) if more else None)


async def count_timers(connection: Any) -> list[Kind]:
    """By kind, the one that fires next first."""
    return [Kind(**row) for row in await connection.fetch(sql("count_timers"), LATE, SOON, MOST_LOOKED_AT)]


async def count_firing(connection: Any) -> list[dict[str, Any]]:
    """What was taken to be sent and isn't marked as sent, by kind, and since when."""
    return [dict(row) for row in await connection.fetch(sql("count_firing"), MOST_LOOKED_AT)]


async def read_chat(connection: Any, conversation_id: str) -> Chat | None:
    """None where there is none of that id."""
    row = await connection.fetchrow(sql("read_chat"), conversation_id)
    if row is None:
        return None
    chat = Conversation(**row)
    timers = await connection.fetch(sql("read_chat_timers"), conversation_id, MOST_WORDS)
    state = "open" if chat.close_at is None else "closing"
    standing = None if chat.scheduled_revision is None else chat.scheduled_revision + 2
    closes = [one for one in timers if one["revision"] == standing and one["schedule_id"].startswith("chat.close:")]
    if any(one["state"] in ("firing", "fired") for one in closes):
        state = "closed"
    return Chat(
        conversation=chat,
        timers=timers,
        interventions=await connection.fetch(sql("read_chat_interventions"), conversation_id, MOST_WORDS),
        state=state,
    )


_BEGINNING: Final = Place(datetime.fromisoformat("1970-01-01T00:00:00+00:00"), "")
