"""A seller's counts and rates as SQL has them, and the outcomes behind them."""

from typing import Any

import msgspec

from schemas.sellers import Span
from workers.domain.statistics import Counts, span_of
from workers.insight.reading import snapshot
from workers.settings import Settings
from workers.store.queries import sql


class SellerView(msgspec.Struct, frozen=True, kw_only=True):
    """What `annul sellers show` tells; the latest outcomes first, `seq` of them in all."""

    seller_id: str
    seq: int
    lifetime: Span
    outcomes: list[dict[str, Any]]


async def show_seller(settings: Settings, seller_id: str, limit: int) -> SellerView | None:
    """The seller with at most `limit` outcomes; None where nothing was ever counted for them.

    Raises OSError, TimeoutError or asyncpg.PostgresError where the database can't be asked.
    """
    async with snapshot(settings) as connection:
        counts = Counts(**await connection.fetchrow(sql("read_seller_counts"), seller_id))
        outcomes = await connection.fetch(sql("read_seller_outcomes"), seller_id, limit)
    if not counts.seq:
        return None
    return SellerView(
        seller_id=seller_id, seq=counts.seq, lifetime=span_of(counts), outcomes=[dict(one) for one in outcomes]
    )
