"""What a process has of the broker in memory: a client, its members of groups and its producers."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from kit.broker import Broker
from kit.hooks import Hook, Moment
from workers.pipeline.clock import SystemClock
from workers.pipeline.ports import BrokerError, Clock, Outgoing, Partition, Record

Fault = Literal["hangs", "joins"]
"""Whoever asks it waits for ever; it never gets back into its group, and whoever polls waits for that."""


class Client:
    """One process's connections to the broker, which `crash` cuts all at once."""

    def __init__(self, broker: Broker, clock: Clock | None = None) -> None:
        self.broker = broker
        self.clock = clock or SystemClock()
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
        self.fault: Fault | None = None
        """What is wrong with it until it is renewed."""
        self.incurable = False
        """It stays mute when it is renewed."""
        self.renewals = 0
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

    async def renew(self) -> None:
        self._broker.expire(self)
        self._positions = {}
        self.renewals += 1
        if not self.incurable:
            self.mute.clear()
            self.fault = None
        await self.start()

    async def poll(self, max_records: int, timeout_s: float, among: frozenset[Partition]) -> list[Record]:
        if self.fault is not None:
            self._client.broker.tell()
            await asyncio.Event().wait()
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
            if position is not None and place in among - self.mute and self.fault is None:
                batch = self._broker.log(place)[position : position + max_records - len(found)]
                self._positions[place] = position + len(batch)
                found += batch
        return found

    def assignment(self) -> frozenset[Partition]:
        return frozenset(self._positions)

    def joined(self) -> bool:
        return self.fault != "joins"

    async def answers(self) -> bool:
        try:
            self._client.check()
        except BrokerError:
            return False
        return True

    def seek(self, partition: Partition, offset: int) -> None:
        self._positions[partition] = offset

    async def committed(self, partition: Partition) -> int | None:
        self._client.check()
        return self._broker.group(self.group).offsets.get(partition)

    async def beginning(self, partition: Partition) -> int:
        self._client.check()
        return 0

    async def ends(self) -> Mapping[Partition, int]:
        if self.fault == "hangs":
            await asyncio.Event().wait()
        self._client.check()
        return {place: len(self._broker.log(place)) for place in self._positions}

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        if not offsets:
            raise ValueError("aiokafka takes no empty commit")
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
