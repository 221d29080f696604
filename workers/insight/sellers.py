"""A seller's statistics as SQL has them, and the explanation of them: the same answers for commands and for HTTP.

Each function is given a connection on which everything is read as of one moment. They raise OSError, TimeoutError or
asyncpg.PostgresError where the database can't be asked.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from schemas.sellers import SellerStatistics, Span
from workers.domain.averages import Others
from workers.domain.explained_outcomes import OutcomeExplained, Recorded, outcomes_of
from workers.domain.explanation import FORMULAS, Standing, compare, counts_of, judged_of, spans_of, totals_by_part
from workers.domain.order_effects import Explanation, explain_order, thresholds
from workers.domain.statistics import DayCounts, Told, first_day, row_of, totals_of
from workers.store.queries import sql

LAST_SEQ: Final = 2**53
"""Of outcomes, as their schema has it."""

_unpack = msgspec.msgpack.Decoder(list[tuple[int, int, int]]).decode


class SellerView(msgspec.Struct, frozen=True, kw_only=True):
    """What `annul sellers show` tells: the row as SQL has it now, and the latest outcomes, the newest first."""

    seller_id: str
    seq: int
    as_of: Any
    lifetime: Span
    windows: dict[str, Span]
    others_average: float | None
    above_average: bool
    compared: str
    """Why the seller is above the others' average or not, or isn't compared."""
    outcomes: list[OutcomeExplained]


async def statistics(connection: Any, seller_id: str, partitions: int) -> SellerStatistics | None:
    """The row as SQL has it now; None where nothing was ever counted for the seller."""
    as_of = await connection.fetchval(sql("read_now"))
    today = as_of.toordinal()
    rows = await connection.fetch(sql("read_seller_days"), [seller_id], [LAST_SEQ], first_day(today))
    if not rows:
        return None
    standing = await _standing(connection, partitions)
    totals = totals_of([DayCounts(*row[1:]) for row in rows], today)
    # With these numbers the seller counts among all: what the workers wrote is at most moments behind.
    totals.told = Told(totals.seq, today, *totals.judged(today), None, above=False)
    return row_of(seller_id, totals, as_of, standing.others)[0]


async def explanation(
    connection: Any,
    seller_id: str,
    partitions: int,
    *,
    limit: int,
    order_id: str | None = None,
    before_seq: int | None = None,
) -> Explanation | None:
    """How the rates come about, with at most `limit` outcomes before `before_seq`, or with all of one order.

    None where nothing was ever counted for the seller. An order that isn't theirs has no outcomes.
    """
    as_of = await connection.fetchval(sql("read_now"))
    today = as_of.date()
    listed, related = await _outcomes(connection, seller_id, limit, order_id, before_seq or LAST_SEQ + 1)
    cuts = thresholds(listed) if order_id is not None else []
    span = (first_day(today.toordinal()), today.fromordinal(today.toordinal() + 1))
    rows = await connection.fetch(sql("read_seller_parts"), seller_id, cuts, *span)
    if not rows:
        return None
    days = [(row["part"], DayCounts(*row[1:])) for row in rows]
    totals = totals_by_part(days, len(cuts) + 1, today.toordinal())
    counts = counts_of(totals[-1], today.toordinal())
    standing = await _standing(connection, partitions)
    order = None
    if order_id is not None and listed:
        order = explain_order(order_id, related, cuts, totals, today, standing)
    more = order_id is None and listed and listed[-1].seq > 1
    return Explanation(
        seller_id=seller_id,
        seq=totals[-1].seq,
        as_of=as_of,
        today=today,
        formulas=FORMULAS,
        spans=spans_of(counts, today),
        comparison=compare(counts, standing, judged_of(counts)),
        outcomes=outcomes_of(listed, related, today),
        outcomes_in_all=len(listed) if order_id is not None else totals[-1].seq,
        next_before_seq=listed[-1].seq if more else None,
        order=order,
    )


async def show_seller(connection: Any, seller_id: str, partitions: int, limit: int) -> SellerView | None:
    """The seller with at most `limit` outcomes; None where nothing was ever counted for them."""
    row = await statistics(connection, seller_id, partitions)
    if row is None:
        return None
    explained = await explanation(connection, seller_id, partitions, limit=limit)
    assert explained is not None
    return SellerView(**msgspec.structs.asdict(row), compared=explained.comparison.why, outcomes=explained.outcomes)


async def _outcomes(
    connection: Any, seller_id: str, limit: int, order_id: str | None, before_seq: int
) -> tuple[list[Recorded], list[Recorded]]:
    """The outcomes to tell of, the newest first; and all of the same orders, the oldest first."""
    if order_id is not None:
        related = _recorded(await connection.fetch(sql("read_outcomes_of_orders"), seller_id, [order_id]))
        return related[::-1], related
    listed = _recorded(await connection.fetch(sql("read_outcomes_before"), seller_id, before_seq, limit))
    orders = sorted({one.order_id for one in listed})
    if not orders:
        return [], []
    return listed, _recorded(await connection.fetch(sql("read_outcomes_of_orders"), seller_id, orders))


def _recorded(rows: Sequence[Any]) -> list[Recorded]:
    return [Recorded(*row) for row in rows]


async def _standing(connection: Any, partitions: int) -> Standing:
    """The other sellers, as the running workers wrote them."""
    rows = await connection.fetch(sql("read_shares"), partitions)
    unknown = sorted(set(range(partitions)) - {row["partition"] for row in rows})
    if unknown:
        which = "any partition" if len(unknown) == partitions else f"partition {', '.join(map(str, unknown[:8]))}"
        missing = f"no sellers worker has written yet what the sellers of {which} add to the average"
        return Standing(None, missing)
    return Standing(
        Others(_unpack(row["share"]) for row in rows),
        written_at=min(row["updated_at"] for row in rows),
        caught_up=all(row["caught_up"] for row in rows),
    )
