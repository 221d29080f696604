"""What several looks at the consumers tell together: how fast they are, when they last moved, who is stuck."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from workers.insight.groups import Group, Look, Member, Place

STUCK_AFTER: Final = timedelta(seconds=60)
_WINDOW: Final = timedelta(seconds=60)
_KEPT: Final = 64
"""Looks that are remembered, at most."""

Standing = Literal["running", "stuck", "no_members"]


class PlaceNow(msgspec.Struct, frozen=True, kw_only=True):
    """A partition, with what is known of it from before. Rates are messages a second; None: seen once only."""

    place: Place
    lag_s: float | None
    rate_in: float | None
    rate_out: float | None
    moved_at: datetime | None
    """When the group's offset last moved; None: not since it is watched."""
    quiet_since: datetime
    """Since when messages wait and nothing moves; the moment of the look where that isn't so."""
    standing: Standing


class GroupNow(msgspec.Struct, frozen=True, kw_only=True):
    """A group, with what is known of it from before."""

    worker: str
    name: str
    members: tuple[Member, ...]
    missing: tuple[str, ...]
    places: tuple[PlaceNow, ...]
    standing: Standing

    @property
    def lag(self) -> int:
        """Messages that wait."""
        return sum(one.place.lag for one in self.places)

    @property
    def lag_s(self) -> float | None:
        """How long the oldest of them has waited; None where that isn't known of one, or a topic is missing."""
        known = [one.lag_s for one in self.places if one.lag_s is not None]
        longest = max(known, default=0.0)
        return longest if longest > 0 or (len(known) == len(self.places) and not self.missing) else None

    @property
    def waiting_since(self) -> datetime | None:
        """When the oldest message was written that waits."""
        return min((one.place.oldest_at for one in self.places if one.place.oldest_at is not None), default=None)

    @property
    def quiet_since(self) -> datetime | None:
        """Since when its first stuck partition has not moved."""
        return min((one.quiet_since for one in self.places if one.standing == "stuck"), default=None)

    @property
    def moved_at(self) -> datetime | None:
        """When any of its offsets last moved."""
        return max((one.moved_at for one in self.places if one.moved_at is not None), default=None)

    @property
    def rate_in(self) -> float | None:
        """Messages a second that came."""
        return _sum([one.rate_in for one in self.places])

    @property
    def rate_out(self) -> float | None:
        """Messages a second that were committed."""
        return _sum([one.rate_out for one in self.places])


class _Step(msgspec.Struct, frozen=True):
    at: datetime
    ends: dict[tuple[str, str, int], tuple[int, int]]
    """By group, topic and partition: committed and end."""


class Pace:
    """Takes one look after the other."""

    def __init__(self) -> None:
        self._steps: deque[_Step] = deque(maxlen=_KEPT)
        self._moved: dict[tuple[str, str, int], datetime] = {}
        self._quiet: dict[tuple[str, str, int], datetime] = {}

    def take(self, look: Look) -> dict[str, GroupNow]:
        """What is known with this look, by worker."""
        ends = {
            (group.name, one.topic, one.partition): (one.committed, one.end)
            for group in look.groups.values()
            for one in group.places
        }
        before = self._steps[-1].ends if self._steps else {}
        for where, (committed, _) in ends.items():
            if where in before and before[where][0] != committed:
                self._moved[where] = look.at
        while self._steps and self._steps[0].at < look.at - _WINDOW:
            self._steps.popleft()
        self._steps.append(_Step(look.at, ends))
        return {worker: self._group(group, look.at, before) for worker, group in look.groups.items()}

    def _group(self, group: Group, now: datetime, before: Mapping[tuple[str, str, int], tuple[int, int]]) -> GroupNow:
        places = tuple(self._place(group, one, now, before) for one in group.places)
        standing: Standing = "running"
        if not group.members:
            standing = "no_members"
        elif any(one.standing == "stuck" for one in places):
            standing = "stuck"
        return GroupNow(
            worker=group.worker,
            name=group.name,
            members=group.members,
            missing=group.missing,
            places=places,
            standing=standing,
        )

    def _place(
        self, group: Group, one: Place, now: datetime, before: Mapping[tuple[str, str, int], tuple[int, int]]
    ) -> PlaceNow:
        where = (group.name, one.topic, one.partition)
        if one.lag == 0 or self._moved.get(where) == now or where not in before:
            self._quiet.pop(where, None)
        quiet_since = self._quiet.setdefault(where, now) if one.lag else now
        rate_in, rate_out = self._rates(where)
        standing: Standing = "running"
        if not group.members:
            standing = "no_members"
        elif one.lag and now - quiet_since >= STUCK_AFTER:
            standing = "stuck"
        return PlaceNow(
            place=one,
            lag_s=one.lag_s(now),
            rate_in=rate_in,
            rate_out=rate_out,
            moved_at=self._moved.get(where),
            quiet_since=quiet_since,
            standing=standing,
        )

    def _rates(self, where: tuple[str, str, int]) -> tuple[float | None, float | None]:
        steps = [step for step in self._steps if where in step.ends]
        seconds = (steps[-1].at - steps[0].at).total_seconds() if steps else 0.0
        if seconds <= 0:
            return None, None
        (committed, end), (committed_now, end_now) = steps[0].ends[where], steps[-1].ends[where]
        return max(end_now - end, 0) / seconds, max(committed_now - committed, 0) / seconds


def _sum(rates: list[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
