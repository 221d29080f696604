"""Parked messages: what lies there, one of them closely, and putting them back or giving them up.

To put back is to schedule: in one transaction rows are marked and added to what is due now, and the worker `timers`
sends them. So a message is put back as a whole or not at all, and never by two hands.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from schemas.topics import CATALOGUE, PARKED
from workers.insight.masking import shown_headers, shown_key, shown_value
from workers.insight.reading import connected, snapshot
from workers.pipeline.messages import pack, unpack_headers
from workers.pipeline.parking import REDRIVEN_FROM
from workers.pipeline.ports import Outgoing
from workers.settings import Settings
from workers.store.audit import Entry, append
from workers.store.database import columns
from workers.store.queries import sql

MOST_AT_ONCE: Final = 10_000
NOBODY: Final = "unknown"
"""Who does it, where nobody says."""
_RECORDS_AT_ONCE: Final = 50
_ROOM_FOR_THE_MARK: Final = 4096
"""What a redriven record may grow by: the header that says where it was parked, and Kafka's own framing."""

UNFIT: Final = {
    "unknown_topic": "it is not of a topic that Annul reads",
    "too_large": "its topic's limit leaves no room for the mark of a redriven message",
}

Status = Literal["parked", "redriven", "discarded"]


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages are meant; what is not given lets everything pass. A topic may be named without its prefix."""

    ids: tuple[str, ...] | None = None
    reason: str | None = None
    topic: str | None = None
    since: datetime | None = None
    """Parked then or later."""


class MoreMatchError(Exception):
    """More messages are meant by now than were seen when it was decided."""

    def __init__(self, seen: int, matched: int) -> None:
        super().__init__(f"{matched} match now, and {seen} were seen")
        self.seen = seen
        self.matched = matched


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """What a message must be like to be acted on."""

    topics: list[str] | None = None
    most_bytes: int | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or would be: `changed` messages out of `matched`, by reason and topic; what was left, and why."""

    action: Status
    dry_run: bool
    matched: int
    changed: int
    by: list[dict[str, Any]]
    ids: list[str]
    refused: list[dict[str, Any]]

    @property
    def ok(self) -> bool:
        """Every message that was named could be acted on."""
        return not any("parked_id" in one for one in self.refused)


async def list_parked(
    settings: Settings, which: Which, *, status: str | None, since: timedelta | None, limit: int
) -> dict[str, Any]:
    """The youngest of them, and how many there are."""
    async with snapshot(settings) as connection:
        rows = await connection.fetch(
            sql("list_parked"), status, which.reason, topics_of(settings, which.topic), limit, since
        )
    total = rows[0]["total"] if rows else 0
    return {"total": total, "parked": [_without(row, "total") for row in rows]}


async def show_parked(settings: Settings, parked_id: str) -> dict[str, Any] | None:
    """One message with all that is known of it, personal content masked; None where there is none of that id."""
    async with snapshot(settings) as connection:
        return await show_parked_on(connection, parked_id)


async def show_parked_on(connection: Any, parked_id: str) -> dict[str, Any] | None:
    """The same on a connection that sees one moment."""
    row = await connection.fetchrow(sql("read_parked"), parked_id)
    if row is None:
        return None
    earlier = await connection.fetch(sql("read_parked_history"), parked_id)
    again = await connection.fetch(sql("read_parked_again"), parked_id)
    sends = await connection.fetch(sql("read_redrives"), parked_id)
    key, value, headers = row["key"], row["value"], unpack_headers(row["headers"])
    return {
        **_without(row, "key", "value", "headers"),
        "key": {"bytes": None if key is None else len(key), "text": shown_key(key)},
        "value": {"bytes": None if value is None else len(value), "json": shown_value(value)},
        "headers": shown_headers(headers),
        "earlier": [dict(one) for one in earlier],
        "again": [dict(one) for one in again],
        "sends": [dict(one) for one in sends],
    }


async def read_raw(settings: Settings, parked_id: str) -> tuple[bytes | None] | None:
    """The value's own bytes, in a tuple; None where there is no message of that id."""
    async with snapshot(settings) as connection:
        row = await connection.fetchrow(sql("read_parked"), parked_id)
    return (row["value"],) if row else None


async def redrive(
    settings: Settings, which: Which, *, limit: int, dry_run: bool, by: str = NOBODY, seen: int | None = None
) -> Change:
    """Put messages back on their topics, the oldest first. The audit chain says who did.

    `seen`: how many were meant when it was decided. Raises MoreMatchError where there are more by now.
    """
    topics = [settings.topic_prefix + topic.name for topic in CATALOGUE if topic is not PARKED]
    most_bytes = min(topic.max_message_bytes for topic in CATALOGUE) - _ROOM_FOR_THE_MARK
    fit = Fit(topics=topics, most_bytes=most_bytes)
    return await _change(settings, which, "redriven", fit, by, limit=limit, dry_run=dry_run, seen=seen)


async def discard(
    settings: Settings, which: Which, *, why: str, limit: int, dry_run: bool, by: str = NOBODY, seen: int | None = None
) -> Change:
    """Give messages up, the oldest first; they stay on record with the reason. The audit chain says who did.

    Raises MoreMatchError, as `redrive`.
    """
    return await _change(settings, which, "discarded", Fit(), by, limit=limit, dry_run=dry_run, why=why, seen=seen)


async def _change(
    settings: Settings,
    which: Which,
    action: Status,
    fit: Fit,
    actor: str,
    *,
    limit: int,
    dry_run: bool,
    why: str | None = None,
    seen: int | None = None,
) -> Change:
    ids = list(dict.fromkeys(which.ids)) if which.ids is not None else None
    filters = (ids, which.reason, topics_of(settings, which.topic), which.since)
    async with connected(settings) as connection, connection.transaction():
        counted = await connection.fetch(sql("count_parked"), *filters)
        matched = sum(row["count"] for row in counted)
        if seen is not None and matched > seen:
            raise MoreMatchError(seen, matched)
        unfit = await connection.fetch(sql("find_unfit_parked"), *filters, fit.topics, fit.most_bytes)
        chosen = []
        if not dry_run:
            chosen = await connection.fetch(sql("choose_parked"), *filters, fit.topics, fit.most_bytes, limit)
            await connection.execute(sql("mark_parked"), *_keys(chosen), action, why)
            if action == "redriven":
                await _schedule(connection, chosen, settings)
        left = set(ids or ()) - {row["parked_id"] for row in chosen}
        statuses = await connection.fetch(sql("read_parked_status"), list(left), fit.topics, fit.most_bytes)
        await append(connection, [_entry(row, action, actor, why) for row in chosen])
    by = [dict(row) for row in counted] if dry_run or len(chosen) == matched else _tally(chosen)
    return Change(
        action=action,
        dry_run=dry_run,
        matched=matched,
        changed=len(chosen),
        by=by,
        ids=[row["parked_id"] for row in chosen],
        refused=list(_unfit(unfit) if ids is None else _left(sorted(left), statuses, dry_run=dry_run)),
    )


def _entry(row: Any, action: Status, by: str, why: str | None) -> Entry:
    detail = {"topic": row["topic"], "topic_id": row["topic_id"], "parked_for": row["reason"], "reason": why}
    return Entry(actor=by, what=f"parked.{action}", subject=row["parked_id"], detail=detail)


async def _schedule(connection: Any, chosen: Sequence[Any], settings: Settings) -> None:
    for start in range(0, len(chosen), _RECORDS_AT_ONCE):
        # A megabyte each, at most: never all of them in memory.
        some = chosen[start : start + _RECORDS_AT_ONCE]
        rows = await connection.fetch(sql("read_parked_records"), *_keys(some))
        messages = [_scheduled(row, settings) for row in rows]
        await connection.execute(sql("schedule_redrives"), *columns(messages, 4), start)


def _scheduled(row: Any, settings: Settings) -> tuple[str, str, int, bytes]:
    headers = [(name, value) for name, value in unpack_headers(row["headers"]) if name != REDRIVEN_FROM]
    headers.append((REDRIVEN_FROM, row["parked_id"].encode()))
    topic = row["topic"].removeprefix(settings.topic_prefix)
    message = pack(Outgoing(topic, row["key"], row["value"], headers))
    return f"redrive:{row['parked_id']}:{row['times']}", row["parked_id"], row["times"], message


def _without(row: Any, *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _keys(rows: Sequence[Any]) -> tuple[list[str], list[str]]:
    return [row["parked_id"] for row in rows], [row["topic_id"] for row in rows]


def topics_of(settings: Settings, topic: str | None) -> list[str] | None:
    """A topic's names, with and without the prefix; None of none."""
    return None if topic is None else [topic, settings.topic_prefix + topic]


def _tally(rows: Sequence[Any]) -> list[dict[str, Any]]:
    by = Counter((row["reason"], row["topic"]) for row in rows)
    return [{"reason": reason, "topic": topic, "count": count} for (reason, topic), count in by.most_common()]


def _unfit(rows: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {"topic": row["topic"], "count": row["count"], "why": UNFIT[row["unfit"]]}


def _left(ids: Sequence[str], rows: Sequence[Any], *, dry_run: bool) -> Iterator[dict[str, Any]]:
    """Of messages that were named and not acted on, why."""
    found = {row["parked_id"]: row for row in rows}
    for parked_id in ids:
        row = found.get(parked_id)
        if row is None:
            why = "there is no parked message of this id"
        elif row["status"] != "parked":
            why = f"it was {row['status']} {_at(row['status_at'])}"
        elif row["unfit"]:
            why = UNFIT[row["unfit"]]
        elif dry_run:
            continue
        else:
            why = "beyond the limit of this call"
        yield {"parked_id": parked_id, "why": why}


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
