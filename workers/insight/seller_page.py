"""What the dashboard's page of one seller asks beside the explanation: rates over time, and advice."""

from datetime import date, datetime
from typing import Any, Final

import msgspec

from workers.domain.statistics import JUDGED, WINDOWS
from workers.store.queries import sql

DAYS: Final = 90
"""Of the plot; each day's rate is that of the window in which sellers are judged."""


class DayRate(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of the window that ends with a day."""

    day: date
    cancelled: int
    closed: int

    @property
    def rate(self) -> float | None:
        """None without a closed order."""
        return self.cancelled / self.closed if self.closed > 0 else None


class AdviceStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Of a seller who is, or ever was, above the others' average."""

    above: bool
    since: datetime
    """Of the last crossing, either way."""
    advised: bool
    """Of this crossing."""
    advised_at: datetime | None
    """The last advice ever."""


async def rates_over_time(connection: Any, seller_id: str, today: date) -> list[DayRate]:
    """One a day, the last is today's."""
    rows = await connection.fetch(sql("read_seller_rates"), seller_id, DAYS, today, WINDOWS[JUDGED])
    return [DayRate(**row) for row in rows]


async def advice_standing(connection: Any, seller_id: str) -> AdviceStanding | None:
    """None where they never were above it."""
    row = await connection.fetchrow(sql("read_seller_standing"), seller_id)
    return AdviceStanding(**row) if row else None
