"""The fold that the others are measured with: counts of a lifetime and of each day, by gapless `seq`.

As somebody would write it who wants just this. It needs msgspec and nothing of Annul, so that it also runs where
quixstreams is.
"""

from datetime import datetime
from typing import Final

import msgspec

_KINDS: Final = {
    "accepted": 0,
    "cancelled_before_acceptance": 1,
    "completed": 2,
    "cancelled_after_acceptance": 3,
}
KINDS: Final = tuple(_KINDS)


class Replaced(msgspec.Struct, frozen=True):
    """The outcome that a correction takes back."""

    outcome: str
    occurred_at: datetime


class Outcome(msgspec.Struct, frozen=True):
    """A record's value; what isn't needed is skipped."""

    seq: int
    outcome: str
    occurred_at: datetime
    replaces: Replaced | None = None


class Counts(msgspec.Struct, array_like=True):
    """A seller's counts up to outcome `seq`: four of the lifetime, and four a day by the day's ordinal."""

    seq: int = 0
    lifetime: list[int] = msgspec.field(default_factory=lambda: [0, 0, 0, 0])
    days: dict[int, list[int]] = msgspec.field(default_factory=dict)


decode = msgspec.json.Decoder(Outcome).decode
pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Counts).decode


def fold(counts: Counts, outcome: Outcome) -> Counts:
    """The same object, with one more outcome in it; a repeat changes nothing.

    Raises ValueError where outcomes in between are missing.
    """
    if outcome.seq <= counts.seq:
        return counts
    if outcome.seq != counts.seq + 1:
        raise ValueError(f"{counts.seq} is followed by {outcome.seq}")
    counts.seq = outcome.seq
    _add(counts, outcome.outcome, outcome.occurred_at, 1)
    if outcome.replaces is not None:
        _add(counts, outcome.replaces.outcome, outcome.replaces.occurred_at, -1)
    return counts


def _add(counts: Counts, outcome: str, at: datetime, by: int) -> None:
    kind = _KINDS[outcome]
    counts.lifetime[kind] += by
    day = at.toordinal()
    if day not in counts.days:
        counts.days[day] = [0, 0, 0, 0]
    counts.days[day][kind] += by
