"""Consumer groups as a look at Kafka finds them, made up."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from workers.consumers import CONSUMERS
from workers.insight.groups import Group, Look, Member, Place
from workers.insight.pace import Pace
from workers.ops.watching import Seen

AT: Final = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def member(name: str = "one") -> Member:
    """A process."""
    return Member(member_id=name, client_id="annul", host="10.0.0.1", partitions=1)


def place(committed: int, end: int, oldest_at: datetime | None = None, **fields: Any) -> Place:
    """A partition of orders."""
    given = {"topic": "orders.events.v1", "partition": 0, **fields}
    return Place(committed=committed, end=end, oldest_at=oldest_at, **given)


def group(worker: str, *places: Place, members: Iterable[Member] = (member(),)) -> Group:
    """A worker's group."""
    return Group(worker=worker, name=f"annul.{worker}", members=tuple(members), places=places)


def look(at: datetime, *groups: Group) -> Look:
    """One look."""
    return Look(at=at, groups={one.worker: one for one in groups})


def all_well(at: datetime = AT, **others: Group) -> Look:
    """Every consumer runs and nothing waits, but for those given."""
    return look(at, *(others.get(worker) or group(worker, place(5, 5)) for worker in CONSUMERS))


def seen(*looks: Look) -> Seen:
    """What a watcher knows after these."""
    pace, groups = Pace(), {}
    for one in looks:
        groups = pace.take(one)
    return Seen(at=looks[-1].at, groups=groups)


def later(seconds: float) -> datetime:
    """So long after `AT`."""
    return AT + timedelta(seconds=seconds)
