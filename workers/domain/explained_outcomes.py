"""A seller's outcomes, told so that whoever counts them comes to the counts of each span."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from schemas.sellers import OutcomeKind
from workers.domain.explanation import LIFETIME, SPANS
from workers.domain.statistics import WINDOWS


class Recorded(NamedTuple):
    """An outcome as recorded, and when the one that was counted just before it had happened."""

    seq: int
    order_id: str
    outcome: OutcomeKind
    occurred_at: datetime
    replaces_outcome: OutcomeKind | None
    replaces_occurred_at: datetime | None
    previous_at: datetime | None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A window and one outcome's day: it is in the window from `from_day` until the day before `leaves_on`."""

    span: str
    state: Literal["to_come", "inside", "left"]
    from_day: date
    leaves_on: date


class TakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """The earlier outcome that a correction takes back, and the spans that lack it for that, as of today."""

    seq: int | None
    outcome: OutcomeKind
    occurred_at: datetime
    day: date
    taken_from: list[str]


class OutcomeExplained(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome: on which day it counts, where now, until when.

    Where another one took it back it counts nowhere, and has no windows.
    """

    seq: int
    order_id: str
    outcome: OutcomeKind
    occurred_at: datetime
    day: date
    late: bool
    """Its day lies before that of the outcome that was counted just before it."""
    counts_in: list[str]
    windows: list[Window]
    takes_back: TakenBack | None
    taken_back_by: int | None


def outcomes_of(listed: Sequence[Recorded], related: Sequence[Recorded], today: date) -> list[OutcomeExplained]:
    """Outcomes explained; `related` are all outcomes of the same orders, the oldest first."""
    taker, taken = _pairs(related)
    return [_outcome(one, taken.get(one.seq), taker.get(one.seq), today) for one in listed]


def _pairs(related: Sequence[Recorded]) -> tuple[dict[int, int], dict[int, int]]:
    """Which outcome was taken back by which, and the other way round: the latest that is alike and still counts."""
    taker: dict[int, int] = {}
    taken: dict[int, int] = {}
    standing: dict[tuple[str, str, datetime], list[int]] = {}
    for one in related:
        if one.replaces_outcome is not None and one.replaces_occurred_at is not None:
            alike = standing.get((one.order_id, one.replaces_outcome, one.replaces_occurred_at))
            if alike:
                taken[one.seq] = alike.pop()
                taker[taken[one.seq]] = one.seq
        standing.setdefault((one.order_id, one.outcome, one.occurred_at), []).append(one.seq)
    return taker, taken


def _outcome(one: Recorded, takes: int | None, taken_by: int | None, today: date) -> OutcomeExplained:
    day = one.occurred_at.date()
    back = None
    if one.replaces_outcome is not None and one.replaces_occurred_at is not None:
        was = one.replaces_occurred_at.date()
        back = TakenBack(
            seq=takes,
            outcome=one.replaces_outcome,
            occurred_at=one.replaces_occurred_at,
            day=was,
            taken_from=spans_with(was, today),
        )
    return OutcomeExplained(
        seq=one.seq,
        order_id=one.order_id,
        outcome=one.outcome,
        occurred_at=one.occurred_at,
        day=day,
        late=one.previous_at is not None and day < one.previous_at.date(),
        counts_in=spans_with(day, today) if taken_by is None else [],
        windows=_windows(day, today) if taken_by is None else [],
        takes_back=back,
        taken_back_by=taken_by,
    )


def _windows(day: date, today: date) -> list[Window]:
    found = []
    for name in SPANS[1:]:
        leaves_on = day + timedelta(days=WINDOWS[name])
        state: Literal["to_come", "inside", "left"]
        state = "to_come" if day > today else "inside" if leaves_on > today else "left"
        found.append(Window(span=name, state=state, from_day=day, leaves_on=leaves_on))
    return found


def spans_with(day: date, today: date) -> list[str]:
    """The spans that a day is in, as of today: the lifetime always, a window never before the day has come."""
    return [name for name in SPANS if name == LIFETIME or today - timedelta(days=WINDOWS[name]) < day <= today]
