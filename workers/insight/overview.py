"""What is open just now, and how it was at each minute of the last hours."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from workers.actions.holds import ConsumerPause, read_consumer_pauses
from workers.pauses import Pause
from workers.pauses import read as read_pauses
from workers.store.queries import sql

MOST_PARKED: Final = 100_000
"""More than that are not counted."""
MOST_CHATS: Final = 10_000
CHATS_WITHIN: Final = timedelta(hours=24)
TREND: Final = timedelta(hours=6)
KEPT: Final = timedelta(hours=48)
LATE: Final = timedelta(seconds=30)
"""Timers fire within a second of the time; what is due for so long has been left."""


class Unsettled(msgspec.Struct, frozen=True, kw_only=True):
    """Refunds of one state, provider and currency."""

    state: str
    provider: str
    currency: str
    refunds: int
    amount_minor: int
    issued_at: datetime
    """When the oldest of them was first asked for."""
    state_since: datetime
    """When the first of them came into this state."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What was known at a minute. `lag_s`: by worker; None where Kafka was away, or of one that wasn't known."""

    at: datetime
    cancellations: int
    lag_s: dict[str, float | None] | None
    waiting: int
    waiting_minor: dict[str, int]
    parked: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All that the overview shows from PostgreSQL, as of one moment."""

    at: datetime
    cancellations: int
    """Ever."""
    unsettled: tuple[Unsettled, ...]
    parked: int
    parked_since: datetime | None
    chats: int
    chats_overdue: int
    next_chat_at: datetime | None
    timers_late_since: datetime | None
    """The first scheduled message that should have been sent long ago; None where there is none."""
    consumer_pauses: dict[str, ConsumerPause]
    provider_pauses: tuple[Pause, ...]
    samples: tuple[Sample, ...]

    def refunds(self, *states: str) -> int:
        """How many there are that are not settled, or of those in some states."""
        return sum(one.refunds for one in self.unsettled if not states or one.state in states)

    def money(self, *states: str) -> dict[str, int]:
        """What they come to, in minor units by currency."""
        found: dict[str, int] = defaultdict(int)
        for one in self.unsettled:
            if not states or one.state in states:
                found[one.currency] += one.amount_minor
        return dict(sorted(found.items()))

    def money_at(self, provider: str) -> dict[str, int]:
        """What isn't settled with a provider and doesn't wait for a person, in minor units by currency."""
        found: dict[str, int] = defaultdict(int)
        for one in self.unsettled:
            if one.provider == provider and one.state != "needs_review":
                found[one.currency] += one.amount_minor
        return dict(sorted(found.items()))

    def oldest_at(self) -> datetime | None:
        """When the oldest refund was asked for that is not settled."""
        return min((one.issued_at for one in self.unsettled), default=None)

    def since(self, *states: str) -> datetime | None:
        """Since when the first of them is in its state."""
        return min((one.state_since for one in self.unsettled if one.state in states), default=None)

    def rate(self, within: timedelta) -> tuple[float, timedelta] | None:
        """Cancellations a minute over a span that ends now, and how long that span really is.

        None where nothing is known from long enough ago.
        """
        known = [one for one in self.samples if self.at - within - timedelta(minutes=1) <= one.at]
        if not known or self.at - known[0].at < timedelta(minutes=1):
            return None
        span = self.at - known[0].at
        return max(self.cancellations - known[0].cancellations, 0) / (span / timedelta(minutes=1)), span


async def read_figures(connection: Any) -> Figures:
    """Everything at once; within a transaction that sees one moment. No query reads a table from end to end."""
    parked = await connection.fetchrow(sql("read_parked_open"), MOST_PARKED + 1)
    chats = await connection.fetchrow(sql("read_chats_due"), CHATS_WITHIN, MOST_CHATS + 1)
    samples = await connection.fetch(sql("read_samples"), TREND)
    return Figures(
        at=await connection.fetchval(sql("read_clock")),
        cancellations=await connection.fetchval(sql("read_cancellations_counted")),
        unsettled=tuple(Unsettled(**row) for row in await connection.fetch(sql("read_unsettled"))),
        parked=parked["messages"],
        parked_since=parked["oldest_at"],
        chats=chats["chats"],
        chats_overdue=chats["overdue"],
        next_chat_at=chats["next_at"],
        timers_late_since=await connection.fetchval(sql("read_timers_late"), LATE),
        consumer_pauses=await read_consumer_pauses(connection),
        provider_pauses=tuple(await read_pauses(connection)),
        samples=tuple(_sample(row) for row in samples),
    )


async def keep_sample(connection: Any, figures: Figures, lag_s: dict[str, float | None] | None) -> None:
    """Write what is known now as this minute's row, unless somebody did; and let go of what is old."""
    await connection.execute(
        sql("add_sample"),
        figures.cancellations,
        None if lag_s is None else msgspec.json.encode(lag_s).decode(),
        figures.refunds(),
        msgspec.json.encode(figures.money()).decode(),
        figures.parked,
    )
    await connection.execute(sql("prune_samples"), KEPT)


def _sample(row: Any) -> Sample:
    lag_s = None if row["lag_s"] is None else msgspec.json.decode(row["lag_s"])
    return Sample(**{**row, "lag_s": lag_s, "waiting_minor": msgspec.json.decode(row["waiting_minor"])})
