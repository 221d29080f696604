"""A Kafka in memory behind the pipeline's ports: partitions, groups that rebalance, members that stall and die.

It is more cruel than the real one where that is allowed. A rebalance holds at once for everyone but those who haven't
noticed it yet: they read on as if nothing had happened, and learn of it with a refused commit or their next poll.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Literal
from uuid import uuid4

from workers.pipeline.clock import SystemClock
from workers.pipeline.kafka import partition_of
from workers.pipeline.ports import BrokerError, Clock, Outgoing, Partition, Record

Moment = Literal["start", "poll", "send", "sending", "sent", "commit", "committed"]
"""Points in a client's work at which something can be made to happen; `sending` lies before each single record."""
Hook = Callable[[], Awaitable[None]]
Headers = Sequence[tuple[str, bytes]]


class Hold:
    """Stops whoever comes by, after the first `let_by`, until let go; tells that somebody is held."""

    def __init__(self, let_by: int = 0) -> None:
        self.reached = asyncio.Event()
        self._let_by = let_by
        self._open = asyncio.Event()

    async def __call__(self) -> None:
        if self._let_by > 0:
            self._let_by -= 1
            return
        self.reached.set()
        await self._open.wait()

    def let_go(self) -> None:
        """Whoever is held goes on, and nobody is held any more."""
        self._open.set()


class Fails:
    """The broker can't do it now, `times` times after the first `let_by`."""

    def __init__(self, times: int, let_by: int = 0) -> None:
        self._times = times
        self._let_by = let_by

    async def __call__(self) -> None:
        if self._let_by > 0:
            self._let_by -= 1
        elif self._times > 0:
            self._times -= 1
            raise BrokerError("not now")


class _Topic:
    def __init__(self, partitions: int) -> None:
        self.id = str(uuid4())
        self.partitions: list[list[Record]] = [[] for _ in range(partitions)]


class _Group:
    def __init__(self) -> None:
        self.generation = 0
        self.members: list[MemoryConsumer] = []
        self.offsets: dict[Partition, int] = {}


class Broker:
    """Topics and groups. What every process sees alike; a process reaches it through its own `Client`."""

    def __init__(self, topics: Iterable[str] = (), partitions: int = 2) -> None:
        self.arrivals: list[Record] = []
        """Every record of every topic, in the order in which they arrived."""
        self.down = False
        self._topics: dict[str, _Topic] = {}
        self._groups: dict[str, _Group] = {}
        self._changed = asyncio.Event()
        for topic in topics:
            self.create(topic, partitions)

    def connect(self, clock: Clock | None = None) -> "Client":
        """For one process."""
        return Client(self, clock or SystemClock())

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

    def owned(self, member: "MemoryConsumer") -> frozenset[Partition]:
        """What a group gave a member, whether it knows or not."""
        group = self.group(member.group)
        if member not in group.members:
            return frozenset()
        places = [place for topic in member.topics for place in self.places(topic)]
        at, among = group.members.index(member), len(group.members)
        return frozenset(place for number, place in enumerate(places) if number % among == at)

    def join(self, member: "MemoryConsumer") -> None:
        """A member comes, and partitions are dealt anew."""
        group = self.group(member.group)
        if member not in group.members:
            group.members.append(member)
            self._rebalance(group)

    def expire(self, member: "MemoryConsumer") -> None:
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


class Client:
    """One process's connections to the broker, which `crash` cuts all at once."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self.broker = broker
        self.clock = clock
        self.at: dict[Moment, Hook] = {}
        self.passed: Counter[Moment] = Counter()
        self.members: list[MemoryConsumer] = []
        self._dead = False

    def consumer(self, group: str, topics: Iterable[str]) -> "MemoryConsumer":
        """A member to be of `group`."""
        member = MemoryConsumer(self, group, tuple(topics))
        self.members.append(member)
        return member

    def producer(self) -> "MemoryProducer":
        """A producer."""
        return MemoryProducer(self)

    def crash(self) -> None:
        """The process is gone: nothing of it reaches the broker, and its groups go on without it."""
        self._dead = True
        for member in self.members:
            self.broker.expire(member)

    async def reach(self, moment: Moment) -> None:
        """Come to a point of the work; raises BrokerError where it can't be passed."""
        self.check()
        self.passed[moment] += 1
        self.broker.tell()
        if hook := self.at.get(moment):
            await hook()
            self.check()

    async def turns(self, more: int = 3) -> None:
        """Wait until the client has polled so many times more: what it had begun before is done then."""
        polls = self.passed["poll"] + more
        await self.broker.until(lambda: self.passed["poll"] >= polls)

    def check(self) -> None:
        """Raises BrokerError where the broker can't be reached."""
        if self._dead or self.broker.down:
            raise BrokerError("the broker can't be reached")


class MemoryConsumer:
    """A member of a group: knows of its partitions what it knew at its last poll."""

    def __init__(self, client: Client, group: str, topics: tuple[str, ...]) -> None:
        self.group = group
        self.topics = topics
        self.deaf = False
        """Doesn't notice that its session ran out, as a process that was stopped for long and goes on."""
        self.mute: set[Partition] = set()
        """Gives nothing of these, though it stays in the group: aiokafka after a broker's restart."""
        self._client = client
        self._broker = client.broker
        self._generation = -1
        self._positions: dict[Partition, int | None] = {}

    async def start(self) -> None:
        await self._client.reach("start")
        self._broker.join(self)
        self._notice()

    async def stop(self) -> None:
        self._broker.expire(self)

    async def poll(self, max_records: int, timeout_s: float, among: frozenset[Partition]) -> list[Record]:
        await self._client.reach("poll")
        if not self.deaf:
            self._broker.join(self)
            self._notice()
        clock = self._client.clock
        end_by = clock.monotonic() + timeout_s
        while not (found := self._fetch(max_records, among)):
            left_s = end_by - clock.monotonic()
            try:
                await clock.wait_for(self._broker.next_change(), max(left_s, 0.0))
            except TimeoutError:
                return []
            self._client.check()
        return found

    def _notice(self) -> None:
        generation = self._broker.group(self.group).generation
        if generation == self._generation:
            return
        self._generation = generation
        offsets = self._broker.group(self.group).offsets
        # As eager rebalancing does it: whatever was read ahead is read again from the committed offset.
        self._positions = {place: offsets.get(place) for place in sorted(self._broker.owned(self))}

    def _fetch(self, max_records: int, among: frozenset[Partition]) -> list[Record]:
        found: list[Record] = []
        for place, position in self._positions.items():
            if position is not None and place in among - self.mute:
                batch = self._broker.log(place)[position : position + max_records - len(found)]
                self._positions[place] = position + len(batch)
                found += batch
        return found

    def assignment(self) -> frozenset[Partition]:
        return frozenset(self._positions)

    def seek(self, partition: Partition, offset: int) -> None:
        self._positions[partition] = offset

    async def committed(self, partition: Partition) -> int | None:
        self._client.check()
        return self._broker.group(self.group).offsets.get(partition)

    async def beginning(self, partition: Partition) -> int:
        self._client.check()
        return 0

    async def ends(self) -> Mapping[Partition, int]:
        self._client.check()
        return {place: len(self._broker.log(place)) for place in self._positions}

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        await self._client.reach("commit")
        group = self._broker.group(self.group)
        if self not in group.members or self._generation != group.generation:
            return False
        for place, offset in offsets.items():
            self._broker.commit(self.group, place, offset)
        await self._client.reach("committed")
        return True

    async def topic_id(self, topic: str) -> str:
        self._client.check()
        return self._broker.topic_id(topic)


class MemoryProducer:
    """Sends in order; what fails half way leaves a part behind, as a real one may."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self) -> None:
        self._client.check()

    async def stop(self) -> None:
        """Nothing to give back."""

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        await self._client.reach("send")
        for record in records:
            await self._client.reach("sending")
            self._client.broker.put(record.topic, record.value, key=record.key, headers=record.headers)
        await self._client.reach("sent")
