"""I7 with the statistics topic at hand: each seller's latest row says what SQL says.

Counts and windows are exact as of the row's own outcome and day, whoever is behind. That nothing is behind, and what
the others' average is, can be said only where nobody lags; and a row may take a minute to follow the average.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

import msgspec

from schemas.sellers import SellerStatistics, Span
from workers.consumers import group_of
from workers.domain.averages import Others, Share
from workers.domain.statistics import (
    JUDGED,
    WINDOWS,
    DayCounts,
    Totals,
    first_day,
    has_moved,
    is_above,
    span_of,
    totals_of,
)
from workers.insight.statistics_topic import Decided, decided_so_far, read_rows, who_is_behind
from workers.insight.topic_reader import is_at_work
from workers.insight.violations import MOST_VIOLATIONS, Violation
from workers.pipeline.clock import SystemClock
from workers.pipeline.ports import Clock
from workers.settings import Settings
from workers.store.database import columns
from workers.store.queries import sql

FOLLOWS_WITHIN_S: Final = 60.0
"""How long a row may take to follow the others' average."""
_SLACK_S: Final = 15.0
_FIRST_WAIT_S: Final = 1.0
_NEW_DAY: Final = timedelta(minutes=10)
"""How long a new day may take to come round to every row."""
_SELLERS_AT_ONCE: Final = 1000
_STEP: Final = 1e-6
"""Averages have 6 places; of a tie either neighbour is right, and a verdict by either."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Orders of the days that sellers are compared by, as of today and of the row's outcome, and what the row says."""

    cancelled: int
    closed: int
    average: float | None
    above: bool
    of: str
    """The row's day, where a window has another content today; else empty."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The rows at one moment beside what SQL says."""

    wrong: list[Violation]
    standings: dict[str, Standing]
    now: datetime
    """The database's."""
    seqs: dict[str, int]
    """Of the rows."""


async def check_statistics(
    connection: Any, settings: Settings, decided: Decided, clock: Clock | None = None
) -> list[Violation]:
    """I7: each seller's row is what SQL counts up to its `seq`; it may be behind only where somebody still reads.

    The order of the questions matters: what was decided is emitted before its offset is committed, and told of as
    statistics before the outcome's is. So with both caught up, the rows read afterwards hold all that was decided.
    Where an average isn't right, it is looked at again for as long as a row may take to follow it; `clock` waits.
    """
    behind = await who_is_behind(settings, decided)
    look = await _look(connection, settings)
    found = list(look.wrong)
    for seller_id, seq in decided.seqs.items():
        row_seq = look.seqs.get(seller_id)
        if (row_seq or 0) < seq and not behind.excuses(seller_id):
            told = f"is at outcome {row_seq}" if row_seq is not None else "is missing"
            found.append(Violation("I7", seller_id, f"the seller is at outcome {seq}, the row {told}, and nobody lags"))
    if not found:
        found = await _check_followed(connection, settings, look, clock or SystemClock())
    return found[:MOST_VIOLATIONS]


async def _check_followed(connection: Any, settings: Settings, look: Look, clock: Clock) -> list[Violation]:
    """Rows that followed neither the day nor the others' average, though nothing has changed for long enough.

    Nothing can be said while the workers are off or behind, while more is decided, or while a new day comes round.
    """
    until = clock.monotonic() + FOLLOWS_WITHIN_S + _SLACK_S
    wait_s = _FIRST_WAIT_S
    while (late := list(_late(look))) and await _is_settled(connection, settings, look):
        left_s = until - clock.monotonic()
        if left_s <= 0:
            return late
        await clock.sleep(min(wait_s, left_s))
        wait_s *= 2
        before, look = look, await _look(connection, settings)
        if look.wrong or (look.now.date(), look.seqs) != (before.now.date(), before.seqs):
            break
    return []


async def _is_settled(connection: Any, settings: Settings, look: Look) -> bool:
    """Whether the rows hold all that was decided, and somebody is there to send them again and had the time to."""
    if look.now - _NEW_DAY < look.now.replace(hour=0, minute=0, second=0, microsecond=0):
        return False
    decided = await decided_so_far(connection, settings)
    behind = await who_is_behind(settings, decided)
    return (
        look.seqs == decided.seqs
        and not behind.unemitted
        and not behind.lagging
        and await is_at_work(settings, group_of("sellers", settings.topic_prefix))
    )


def _late(look: Look) -> Iterator[Violation]:
    share = Share()
    for one in look.standings.values():
        share.add(one.cancelled, one.closed)
    others = Others([share.parts()])
    for seller_id, one in look.standings.items():
        average = others.average_without(one.cancelled, one.closed)
        if one.of:
            detail = f"the row is of {one.of}, and a window has another content since"
        elif _is_moved(one.average, average):
            detail = f"others_average is {one.average}, SQL gives {average} for all other sellers"
        elif average is not None and one.above not in _verdicts(one, average):
            detail = _verdict(one.cancelled, one.closed, f"the others at {average} by SQL", above=not one.above)
        else:
            continue
        yield Violation("I7", seller_id, detail)


def _is_moved(told: float | None, average: float | None) -> bool:
    """By more than a row may be off, either neighbour of a tie given."""
    if told is None or average is None:
        return has_moved(told, average)
    return has_moved(told, average - _STEP) and has_moved(told, average + _STEP)


def _verdicts(one: Standing, average: float) -> set[bool]:
    return {is_above(one.cancelled, one.closed, average + by) for by in (-_STEP, _STEP)}


async def _look(connection: Any, settings: Settings) -> Look:
    rows, wrong = await read_rows(settings)
    now: datetime = await connection.fetchval(sql("read_clock"))
    today = now.toordinal()
    standings = {}
    # Rows of about the same day together: the days that SQL is asked for reach back from the earliest of them.
    remaining = iter(sorted(rows.values(), key=lambda row: row.as_of))
    while some := list(islice(remaining, _SELLERS_AT_ONCE)):
        counted = await _count(connection, some, today)
        for row in some:
            totals = counted.get(row.seller_id, Totals())
            wrong += [Violation("I7", row.seller_id, detail) for detail in _faults(row, totals)]
            standings[row.seller_id] = _standing(row, totals, today)
    return Look(wrong=wrong, standings=standings, now=now, seqs={seller_id: row.seq for seller_id, row in rows.items()})


def _standing(row: SellerStatistics, totals: Totals, today: int) -> Standing:
    cancelled, closed = totals.judged(today)
    rolled = totals.windows(today) != totals.windows(min(row.as_of.toordinal(), today))
    return Standing(
        cancelled=cancelled,
        closed=closed,
        average=row.others_average,
        above=row.above_average,
        of=f"{row.as_of:%Y-%m-%d}" if rolled else "",
    )


async def _count(connection: Any, rows: Sequence[SellerStatistics], today: int) -> dict[str, Totals]:
    """What SQL counts of each row's seller up to the row's outcome, on the row's day and today."""
    days = {row.seller_id: min(row.as_of.toordinal(), today) for row in rows}
    asked = [(row.seller_id, row.seq) for row in rows]
    by_seller: dict[str, list[DayCounts]] = {}
    found = await connection.fetch(sql("read_seller_days"), *columns(asked, 2), first_day(min(days.values())))
    for seller_id, *counts in found:
        by_seller.setdefault(seller_id, []).append(DayCounts(*counts))
    return {seller_id: totals_of(counted, days[seller_id]) for seller_id, counted in by_seller.items()}


def _faults(row: SellerStatistics, totals: Totals) -> Iterator[str]:
    """What in a row isn't so, by SQL's counts up to its outcome and by its own numbers."""
    if totals.seq != row.seq:
        yield f"the row is at outcome {row.seq}, the database knows up to {totals.seq}"
        return
    day = row.as_of.toordinal()
    expected = {name: span_of(totals.window(length, day)) for name, length in WINDOWS.items()}
    if row.windows.keys() != expected.keys():
        yield f"the row has windows {_names(row.windows)} instead of {_names(expected)}"
        return
    spans = {"lifetime": (row.lifetime, span_of(totals.lifetime))}
    spans |= {f"the {name} to {row.as_of:%Y-%m-%d}": (row.windows[name], span) for name, span in expected.items()}
    for where, (said, counted) in spans.items():
        if said != counted:
            yield f"at outcome {row.seq}, for {where} the row says {_told(said)}, SQL counts {_told(counted)}"
    judged = row.windows[JUDGED]
    cancelled = judged.cancelled_before_acceptance + judged.cancelled_after_acceptance
    closed = cancelled + judged.completed
    above = is_above(cancelled, closed, row.others_average)
    if above is not row.above_average:
        yield _verdict(cancelled, closed, f"its own others_average of {row.others_average}", above=above)


def _verdict(cancelled: int, closed: int, beside: str, *, above: bool) -> str:
    must = "must be true" if above else "can't be true"
    return f"with {cancelled} cancelled of {closed} closed in {JUDGED}, and {beside}, above_average {must}"


def _names(windows: Iterable[str]) -> str:
    return ", ".join(windows) or "none"


def _told(span: Span) -> str:
    return ", ".join(f"{name} {value}" for name, value in msgspec.structs.asdict(span).items())
