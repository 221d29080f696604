"""Refunds by what is known of them, a page at a time: those that are longest in their state first.

No page reads more than a bounded number of rows: where a filter fits few of them, a page may be short and still have a
next one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, get_args

import msgspec

from schemas.refunds import RefundState
from workers.store.queries import sql

PAGE: Final = 50
MOST_LOOKED_AT: Final = 5_000
"""Rows that one page looks through for those that its filters let pass."""
MOST_COUNTED: Final = 1_000
"""In one state; more are only told to be more."""
MOST_ACTIONS: Final = 50

DONE: Final[tuple[RefundState, ...]] = ("succeeded", "redirected", "settled_elsewhere")
"""Nothing is to be done for these; they are listed the other way round, the newest first."""
OPEN: Final[tuple[RefundState, ...]] = tuple(state for state in get_args(RefundState) if state not in DONE)


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What refunds are looked for; None lets everything pass. Amounts are in the currency's minor unit."""

    state: RefundState | None = None
    """None: whatever is not done."""
    provider: str | None = None
    code: str | None = None
    min_age: timedelta = timedelta(0)
    """In their state, at least."""
    currency: str | None = None
    from_minor: int | None = None
    to_minor: int | None = None

    @property
    def states(self) -> Sequence[RefundState]:
        """The states that are meant."""
        return OPEN if self.state is None else (self.state,)

    @property
    def newest_first(self) -> bool:
        """Whether they are listed from the newest on."""
        return self.state in DONE

    @property
    def narrow(self) -> bool:
        """Whether rows are left out that are in the states meant."""
        given = (self.provider, self.code, self.currency, self.from_minor, self.to_minor)
        return any(one is not None for one in given)


class Place(msgspec.Struct, frozen=True):
    """A place in the list: after the refund of that id."""

    since: datetime
    refund_id: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page. `after` is where the next one begins; None: this is the last."""

    now: datetime
    rows: list[dict[str, Any]]
    after: Place | None


async def search_refunds(connection: Any, filters: Filters, after: Place | None = None) -> Found:
    """At most `PAGE` refunds that the filters let pass, after a place."""
    now = await connection.fetchval(sql("read_now"))
    most = MOST_LOOKED_AT if filters.narrow else PAGE + 1
    name = "search_refunds_newest" if filters.newest_first else "search_refunds_oldest"
    start = after or (Place(now + timedelta(days=1), "") if filters.newest_first else Place(_BEGINNING, ""))
    rows = await connection.fetch(
        sql(name),
        list(filters.states),
        start.since,
        start.refund_id,
        now - filters.min_age,
        filters.provider,
        filters.code,
        filters.currency,
        filters.from_minor,
        filters.to_minor,
        PAGE + 1,
        most,
    )
    found = [dict(row) for row in rows if row["refund_id"] is not None]
    if len(found) > PAGE:
        last = found[PAGE - 1]
        return Found(now=now, rows=found[:PAGE], after=Place(last["state_since"], last["refund_id"]))
    more = bool(rows) and rows[0]["looked"] == most
    return Found(now=now, rows=found, after=Place(rows[0]["last_since"], rows[0]["last_id"]) if more else None)


async def count_open(connection: Any) -> Mapping[str, int]:
    """How many refunds are in each state that isn't done; at most one more than `MOST_COUNTED`."""
    rows = await connection.fetch(sql("count_refunds_in"), list(OPEN), MOST_COUNTED + 1)
    return {row["state"]: row["count"] for row in rows}


async def waiting_actions(connection: Any) -> list[dict[str, Any]]:
    """Actions that wait for a second person, the oldest first. Reasons are left out: they may be personal."""
    return [dict(row) for row in await connection.fetch(sql("read_waiting_actions"), MOST_ACTIONS)]


_BEGINNING: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
