"""Set-based reads under lock and writes of what was decided. One statement a kind of row, whatever the batch's size."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import asyncpg
import msgspec

from schemas.sellers import SellerOutcome
from workers.domain.emission import Later
from workers.domain.refund_types import Refund
from workers.pipeline.messages import outgoing, pack
from workers.store.database import RaceLostError, columns
from workers.store.queries import sql

Row = TypeVar("Row", bound=msgspec.Struct)

_REFUND_CHANGES = (
    "refund_id",
    "state",
    "attempt",
    "look_up_no",
    "issued_at",
    "state_since",
    "give_up_at",
    "settled_at",
    "provider_refund_id",
    "code",
    "visible_by",
    "redirected_to",
    "gate",
    "gate_look_up",
    "gate_action",
    "revision",
)

_SCHEDULED = ("schedule_id", "subject", "due_at", "revision", "message")


async def lock(connection: Any, query: str, kind: type[Row], keys: Collection[str]) -> dict[str, Row]:
    """The rows of `keys` that exist, locked and then read; by their key."""
    if not keys:
        return {}
    rows = await connection.fetch(sql(query), list(keys))
    return {row[0]: kind(**row) for row in rows}


async def store(connection: Any, table: str, rows: Mapping[str, Row], known: Mapping[str, Row]) -> None:
    """Insert rows that were absent and update those that were locked.

    A row that was taken for absent and was made by another transaction meanwhile raises RaceLostError: its primary
    key is what makes the two meet. They are added in the order of their keys: in any other, two batches over the same
    new rows could wait for each other.
    """
    new = [rows[key] for key in sorted(rows.keys() - known.keys())]
    old = [msgspec.structs.astuple(row) for key, row in rows.items() if key in known]
    if new:
        try:
            await insert(connection, table, new)
        except asyncpg.UniqueViolationError as error:
            raise RaceLostError(table) from error
    if old:
        await connection.execute(sql(f"update_{table}"), *columns(old, 0))


async def insert(connection: Any, table: str, rows: Sequence[msgspec.Struct]) -> None:
    """Insert rows of one kind, whose fields are the table's columns, by COPY: the cheapest way in."""
    if rows:
        tuples = [msgspec.structs.astuple(row) for row in rows]
        names = type(rows[0]).__struct_fields__
        await connection.copy_records_to_table(table, records=tuples, columns=names)


async def insert_outcomes(connection: Any, outcomes: Sequence[SellerOutcome]) -> None:
    """Keep what counts for sellers."""
    rows = [
        (
            one.seller_id,
            one.seq,
            one.order_id,
            one.outcome,
            one.occurred_at,
            one.replaces.outcome if one.replaces else None,
            one.replaces.occurred_at if one.replaces else None,
        )
        for one in outcomes
    ]
    if rows:
        await connection.copy_records_to_table("seller_outcomes", records=rows)


async def lock_sellers(connection: Any, seller_ids: Collection[str]) -> dict[str, int]:
    """The last outcome number of each seller, locked; sellers nobody knew are added first."""
    if not seller_ids:
        return {}
    wanted = sorted(seller_ids)
    rows = await connection.fetch(sql("lock_sellers"), wanted)
    if len(rows) < len(wanted):
        known = {row["seller_id"] for row in rows}
        await connection.execute(sql("add_sellers"), [one for one in wanted if one not in known])
        rows = await connection.fetch(sql("lock_sellers"), wanted)
    return {row["seller_id"]: row["seq"] for row in rows}


async def update_refunds(connection: Any, refunds: Collection[Refund]) -> None:
    """Move refunds on; what a refund is for never changes.

    What is given up comes first: a tender has one live refund at a time, in between two statements too.
    """
    for given_up in (True, False):
        rows = [
            tuple(getattr(refund, name) for name in _REFUND_CHANGES)
            for refund in refunds
            if (refund.state == "redirected") == given_up
        ]
        if rows:
            await connection.execute(sql("update_refunds"), *columns(rows, 0))


class Agenda:
    """What a batch schedules and withdraws; of several words on one schedule_id the last holds."""

    def __init__(self) -> None:
        self._later: dict[str, tuple[Later, str | None] | None] = {}

    def note(self, later: Iterable[Later], withdrawn: Iterable[str], traceparent: str | None) -> None:
        """One decision's words."""
        for schedule_id in withdrawn:
            self._later[schedule_id] = None
        for one in later:
            self._later[one.schedule_id] = (one, traceparent)

    async def store(self, connection: Any, *, fresh: bool = False) -> None:
        """Write them. `fresh` promises that every schedule_id is new, which is cheaper."""
        gone = [schedule_id for schedule_id, word in self._later.items() if word is None]
        rows = [
            (schedule_id, later.subject, later.due_at, later.revision, pack(outgoing(later.emission, trace)))
            for schedule_id, (later, trace) in ((key, word) for key, word in self._later.items() if word)
        ]
        if gone:
            await connection.execute(sql("withdraw_messages"), gone)
        if rows and fresh:
            await connection.copy_records_to_table("scheduled_messages", records=rows, columns=_SCHEDULED)
        elif rows:
            await connection.execute(sql("schedule_messages"), *columns(rows, 0))
