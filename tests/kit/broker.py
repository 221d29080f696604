"""A Kafka in memory: topics, partitions, and groups that rebalance. `kit.members` fills the pipeline's ports with it.

It is more cruel than the real one where that is allowed. A rebalance holds at once for everyone but those who haven't
noticed it yet: they read on as if nothing had happened, and learn of it with a refused commit or their next poll.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol
from uuid import uuid4

import pytest

from schemas.topics import CATALOGUE
from workers.pipeline.kafka import partition_of
from workers.pipeline.ports import Partition, Record

Headers = Sequence[tuple[str, bytes]]


class Member(Protocol):
    """One that a group gives partitions to."""

    group: str
    topics: tuple[str, ...]


class _Topic:
    def __init__(self, partitions: int) -> None:
        self.id = str(uuid4())
        self.partitions: list[list[Record]] = [[] for _ in range(partitions)]


class _Group:
    def __init__(self) -> None:
        self.generation = 0
        self.members: list[Member] = []
        self.offsets: dict[Partition, int] = {}


class Broker:
    """Topics and groups. What every process sees alike; a process reaches them through its own `Client`."""

    def __init__(self, topics: Iterable[str] = (), partitions: int = 2) -> None:
        self.arrivals: list[Record] = []
        """Every record of every topic, in the order in which they arrived."""
        self.down = False
        self._topics: dict[str, _Topic] = {}
        self._groups: dict[str, _Group] = {}
        self._changed = asyncio.Event()
        for topic in topics:
            self.create(topic, partitions)

    # ---------------------------------------------------------------- topics

    def create(self, topic: str, partitions: int) -> None:
        """Make a topic, or make it anew: under another id, empty, and no group remembers the old one."""
        self._topics[topic] = _Topic(partitions)
        for group in self._groups.values():
            group.offsets = {place: offset for place, offset in group.offsets.items() if place.topic != topic}
        self._rebalance_all()

    def add_partitions(self, topic: str, total: int) -> None:
        """Let a topic have `total` partitions."""
        there = self._topics[topic].partitions
        there += [[] for _ in range(total - len(there))]
        self._rebalance_all()

    def put(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> Record:
        """Add a record, where its key says or to `partition`."""
        partitions = self._topics[topic].partitions
        number = partition_of(key, len(partitions)) if partition is None else partition
        log = partitions[number]
        record = Record(Partition(topic, number), len(log), key, value, tuple(headers))
        log.append(record)
        self.arrivals.append(record)
        self.tell()
        return record

    def records(self, topic: str) -> list[Record]:
        """All that a topic holds, in the order of arrival."""
        return [record for record in self.arrivals if record.source.topic == topic]

    def places(self, topic: str) -> list[Partition]:
        """A topic's partitions."""
        return [Partition(topic, number) for number in range(len(self._topics[topic].partitions))]

    def log(self, place: Partition) -> list[Record]:
        """One partition."""
        return self._topics[place.topic].partitions[place.partition]

    def topic_id(self, topic: str) -> str:
        """Under which it was made."""
        return self._topics[topic].id

    # ---------------------------------------------------------------- groups

    def group(self, name: str) -> _Group:
        """By its name; made at first use."""
        return self._groups.setdefault(name, _Group())

    def committed(self, group: str, topic: str) -> list[int | None]:
        """A group's offsets in a topic, partition by partition."""
        return [self.group(group).offsets.get(place) for place in self.places(topic)]

    def commit(self, group: str, place: Partition, offset: int | None) -> None:
        """Set a group's offset by hand, as an operator's tool would; None forgets it."""
        self.group(group).offsets.pop(place, None)
        if offset is not None:
            self.group(group).offsets[place] = offset
        self.tell()

    def owned(self, member: Member) -> frozenset[Partition]:
        """What a group gave a member, whether it knows or not."""
        group = self.group(member.group)
        if member not in group.members:
            return frozenset()
        places = [place for topic in member.topics for place in self.places(topic)]
        at, among = group.members.index(member), len(group.members)
        return frozenset(place for number, place in enumerate(places) if number % among == at)

    def join(self, member: Member) -> None:
        """A member comes, and partitions are dealt anew."""
        group = self.group(member.group)
        if member not in group.members:
            group.members.append(member)
            self._rebalance(group)

    def expire(self, member: Member) -> None:
        """The session ran out: others get its partitions, and nobody tells it."""
        group = self.group(member.group)
        if member in group.members:
            group.members.remove(member)
            self._rebalance(group)

    def _rebalance(self, group: _Group) -> None:
        group.generation += 1
        self.tell()

    def _rebalance_all(self) -> None:
        for group in self._groups.values():
            self._rebalance(group)

    # ---------------------------------------------------------------- what happens

    async def until(self, holds: Callable[[], bool], within_s: float = 20) -> None:
        """Wait until something holds; looked at after every record, commit, rebalance and step of a client."""
        async with asyncio.timeout(within_s):
            while not holds():
                await self.next_change()

    async def until_read(self, group: str, topic: str, within_s: float = 20) -> None:
        """Wait until a group has committed everything that a topic holds."""
        await self.until(lambda: self.is_read(group, topic), within_s)

    def is_read(self, group: str, topic: str) -> bool:
        """Whether a group has committed everything that a topic holds."""
        ends = [len(self.log(place)) for place in self.places(topic)]
        return [offset or 0 for offset in self.committed(group, topic)] == ends

    async def next_change(self) -> None:
        """Wait for the next record, commit or rebalance."""
        await self._changed.wait()

    def tell(self) -> None:
        """Wake everyone who waits for something to happen."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


@pytest.fixture
def broker() -> Broker:
    """With every topic of ours, in two partitions."""
    return Broker([topic.name for topic in CATALOGUE], partitions=2)
