"""Consumer groups as Kafka has them at one moment."""

from datetime import datetime

import msgspec


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A process of a group, as Kafka knows it."""

    member_id: str
    client_id: str
    host: str
    partitions: int


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A partition that a group reads."""

    topic: str
    partition: int
    committed: int
    """Where the group reads on; the partition's beginning where it never committed."""
    end: int
    owner: str | None = None
    """The member that has it."""
    empty: bool = False
    """What lies between the two is no message: marks of other people's transactions."""
    oldest_at: datetime | None = None
    """When the oldest message that is not committed was written; None where there is none, or it isn't known."""

    @property
    def lag(self) -> int:
        """Messages that wait."""
        return 0 if self.empty else max(self.end - self.committed, 0)

    def lag_s(self, now: datetime) -> float | None:
        """How long the oldest of them has waited, in seconds; 0 where none waits, None where it isn't known."""
        if self.lag == 0:
            return 0.0
        return max((now - self.oldest_at).total_seconds(), 0.0) if self.oldest_at is not None else None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's group. `missing`: topics of its that are not there."""

    worker: str
    name: str
    members: tuple[Member, ...]
    places: tuple[Place, ...]
    missing: tuple[str, ...] = ()


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """All groups of which Kafka could tell, at one moment."""

    at: datetime
    groups: dict[str, Group]
