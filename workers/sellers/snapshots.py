"""Sellers' totals as PostgreSQL has them, many at a time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from workers.domain.statistics import DayCounts, Totals, first_day, totals_of
from workers.sellers.asking import Asking

ALL: Final = 2**53
"""Up to the last outcome there is."""


async def read_totals(asking: Asking, up_to: Mapping[str, int], today: int) -> dict[str, Totals]:
    """Each seller's totals up to an outcome; not among them is who has none."""
    rows = await asking.fetch("read_seller_days", list(up_to), list(up_to.values()), first_day(today))
    by_seller: dict[str, list[DayCounts]] = {}
    for seller_id, *counts in rows:
        by_seller.setdefault(seller_id, []).append(DayCounts(*counts))
    return {seller_id: totals_of(days, today) for seller_id, days in by_seller.items()}


async def read_latest(asking: Asking, seller_ids: Iterable[str], today: int) -> dict[str, Totals]:
    """The same with all outcomes there are."""
    return await read_totals(asking, dict.fromkeys(seller_ids, ALL), today)


def pages(seller_ids: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    """Some at a time."""
    return (seller_ids[start : start + size] for start in range(0, len(seller_ids), size))
