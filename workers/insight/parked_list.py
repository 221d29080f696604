"""Parked messages for the dashboard: counted by reason, and listed a page at a time, the newest first."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from workers.insight.parked import Status, Which
from workers.store.queries import sql

PAGE: Final = 100
MOST_LOOKED_AT: Final = 5_000
"""Where a filter fits few, a page looks through so many and no more: it may be short and still have a next one."""
MOST_GROUPS: Final = 500
FIRST: Final = 10


class Place(NamedTuple):
    """In the list."""

    at: datetime
    parked_id: str


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Open messages of one reason."""

    reason: str
    messages: int
    oldest_at: datetime
    newest_at: datetime
    topics: dict[str, int]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, and where the next page begins; None at the end."""

    rows: Sequence[Any]
    after: Place | None


async def count_by_reason(connection: Any) -> list[Group]:
    """Open messages, the commonest reason first."""
    rows = defaultdict(list)
    for row in await connection.fetch(sql("count_parked_by_reason"), MOST_GROUPS):
        rows[row["reason"]].append(row)
    groups = [
        Group(
            reason=reason,
            messages=sum(one["messages"] for one in some),
            oldest_at=min(one["oldest_at"] for one in some),
            newest_at=max(one["newest_at"] for one in some),
            topics={one["topic"]: one["messages"] for one in some},
        )
        for reason, some in rows.items()
    ]
    return sorted(groups, key=lambda group: (-group.messages, group.reason))


async def page_parked(
    connection: Any, which: Which, status: Status, after: Place | None, topics: list[str] | None
) -> Page:
    """Of those that are meant (by reason, topic, since), those that stand so."""
    start = after or _END
    common = (start.at, start.parked_id, which.since or _BEGINNING, topics, MOST_LOOKED_AT, PAGE + 1)
    if status != "parked":
        found = await connection.fetch(sql("page_parked_done"), *common, which.reason, status)
    elif which.reason is not None:
        found = await connection.fetch(sql("page_parked_of_reason"), *common, which.reason)
    else:
        found = await connection.fetch(sql("page_parked"), *common)
    rows = [row for row in found if row["parked_id"] is not None]
    if len(rows) > PAGE:
        return Page(rows=rows[:PAGE], after=Place(rows[PAGE - 1]["parked_at"], rows[PAGE - 1]["parked_id"]))
    more = found[0]["looked"] == MOST_LOOKED_AT
    return Page(rows=rows, after=Place(found[0]["last_at"], found[0]["last_id"]) if more else None)


async def first_parked(connection: Any, which: Which, topics: list[str] | None) -> list[Any]:
    """The first that would be acted on: the oldest."""
    ids = list(which.ids) if which.ids is not None else None
    found: list[Any] = await connection.fetch(sql("first_parked"), ids, which.reason, topics, which.since, FIRST)
    return found


_BEGINNING: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_END: Final = Place(datetime.fromisoformat("9999-12-31T00:00:00+00:00"), "")
