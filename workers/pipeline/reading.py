"""What a consumer reads, batch by batch: each partition is taken over first, and a consumer gone mute is made anew."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import msgspec
import structlog

from workers.pipeline.commits import Commits
from workers.pipeline.emit import Emitter
from workers.pipeline.holding import Hold
from workers.pipeline.messages import Handler, Incoming, Unreadable, read
from workers.pipeline.offsets import take_over
from workers.pipeline.ports import BrokerError, Clock, Consumer, Partition, by_partition
from workers.store.database import Database, is_passing

log = structlog.get_logger()
_LONGEST_WAIT_S: Final = 5.0
_LET_GO_S: Final = 5.0
_RENEW_S: Final = 30.0


class Batch(msgspec.Struct, frozen=True):
    """What was read, and on which offset of each partition it follows."""

    messages: list[Incoming | Unreadable]
    follows: dict[Partition, int]


class Reader:
    """Reads for several lanes at a time, each of which has partitions of its own."""

    def __init__(
        self,
        group: str,
        handler: Handler,
        consumer: Consumer,
        emitter: Emitter,
        database: Database,
        clock: Clock,
        commits: Commits,
        hold: Hold,
        *,
        prefix: str,
        lanes: int,
        batch_records: int,
        poll_s: float,
        renewed: Callable[[], None],
    ) -> None:
        self.positions: dict[Partition, int] = {}
        """How far each partition of ours is decided."""
        self.ready = asyncio.Event()
        self._group = group
        self._handler = handler
        self._consumer = consumer
        self._emitter = emitter
        self._database = database
        self._clock = clock
        self._commits = commits
        self._hold = hold
        self._decoders = {prefix + topic.name: topic.decoders() for topic in handler.topics}
        self._lanes = lanes
        self._batch_records = batch_records
        self._poll_s = poll_s
        self._renewed = renewed
        self._read_to: dict[Partition, int] = {}
        """How far it is read: ahead of what is decided by the batch that is being decided."""
        self._waiting = [0] * lanes
        self._full: set[int] = set()
        self._readings: dict[int, asyncio.Task[Batch]] = {}
        self._there = asyncio.Event()
        self._asked = asyncio.Event()

    async def join(self) -> None:
        """Returns once the consumer is a member of its group."""
        await self._insist(self._consumer.start)
        log.info("consumer.started", group=self._group)
        self._there.set()

    async def _insist(self, begin: Callable[[], Awaitable[None]]) -> None:
        wait_s = 0.2
        while True:
            try:
                await begin()
            except (BrokerError, TimeoutError) as error:
                told = str(error)[:200] or type(error).__name__
                log.warning("consumer.start_delayed", group=self._group, error=told)
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                return

    # ---------------------------------------------------------------- a consumer that went mute

    def renew(self) -> None:
        """Ask for another consumer; `renew_when_asked` sees to it."""
        self._asked.set()

    async def renew_when_asked(self) -> None:
        """Until cancelled. Nobody reads meanwhile; what was recorded is sent all the same."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._there.clear()
            await self._let_go()
            await self._insist(self._renew)
            self._renewed()
            log.warning("consumer.renewed", group=self._group)
            self._there.set()

    async def _renew(self) -> None:
        await self._clock.wait_for(self._consumer.renew(), _RENEW_S)

    async def _let_go(self) -> None:
        """Nobody waits for the consumer any more, and every partition is taken over anew, from PostgreSQL's offset."""
        readings = [reading for reading in self._readings.values() if not reading.done()]
        for reading in readings:
            reading.cancel()
        if readings:
            await self._clock.wait_for(asyncio.wait(readings, timeout=_LET_GO_S), 2 * _LET_GO_S)
        self.positions.clear()
        self._read_to.clear()

    # ---------------------------------------------------------------- batches

    async def read(self, lane: int) -> Batch:
        """The next records of a lane's partitions; none after a while without any, or where the consumer is renewed."""
        await self._there.wait()
        reading = self._readings[lane] = asyncio.create_task(self._read(lane))
        try:
            await asyncio.wait((reading,))
        except asyncio.CancelledError:
            reading.cancel()
            await asyncio.wait((reading,))
            raise
        return Batch([], {}) if reading.cancelled() else reading.result()

    async def _read(self, lane: int) -> Batch:
        try:
            room = await self._room(lane)
            ours = await self._take_over(lane)
            if room == 0 or self._hold.held:
                with self.excused(lane):
                    await self._consumer.poll(1, self._poll_s, frozenset())
                return Batch([], {})
            records = await self._consumer.poll(min(room, self._batch_records), self._poll_s, ours)
        except BrokerError as error:
            log.warning("consumer.poll_delayed", group=self._group, error=str(error)[:200])
            await self._clock.sleep(0.5)
            return Batch([], {})
        follows = dict(self._read_to)
        taken = [record for record in records if record.offset >= follows.get(record.source, record.offset + 1)]
        self._read_to.update(by_partition(taken))
        return Batch([read(record, self._decoders[record.source.topic]) for record in taken], follows)

    async def _room(self, lane: int) -> int:
        self._full.add(lane)
        try:
            return await self._handler.room()
        finally:
            self._full.discard(lane)

    async def _take_over(self, lane: int) -> frozenset[Partition]:
        """The lane's partitions of those assigned, each taken up where its last owner left it."""
        ours = frozenset(place for place in self._consumer.assignment() if self.is_of(lane, place))
        for known in (self.positions, self._read_to):
            for gone in [place for place in known if self.is_of(lane, place) and place not in ours]:
                del known[gone]
        for partition in sorted(ours - self.positions.keys()):
            try:
                # Who can't tell the group's offset hangs, and nobody outside is to blame.
                await self._consumer.committed(partition)
                with self.excused(lane):
                    offset = await take_over(partition, self._group, self._database, self._consumer, self._emitter)
            except Exception as error:
                if not (isinstance(error, BrokerError) or is_passing(error)):
                    raise
                log.warning("partition.take_over_delayed", group=self._group, error=type(error).__name__)
                await self._clock.sleep(0.5)
                return ours & self.positions.keys()
            self._commits.forget(partition)
            self._consumer.seek(partition, offset)
            self.positions[partition] = self._read_to[partition] = offset
            log.info("partition.taken_over", group=self._group, partition=list(partition), offset=offset)
        self.ready.set()
        return ours

    def take_over_anew(self, partition: Partition) -> None:
        """What is read no longer follows on what is decided: PostgreSQL says where to go on."""
        self.positions.pop(partition, None)

    # ---------------------------------------------------------------- what a watchdog is shown

    @contextmanager
    def excused(self, lane: int) -> Iterator[None]:
        """Something outside is waited for; that is not being stuck."""
        self._waiting[lane] += 1
        try:
            yield
        finally:
            self._waiting[lane] -= 1

    def lane(self, number: int) -> "Lane":
        """One lane, as its watchdog sees it."""
        return Lane(self, self._consumer, number)

    def is_waiting(self, lane: int) -> bool:
        """Whether a lane waits for something outside just now."""
        return self._waiting[lane] > 0

    def is_full(self, lane: int) -> bool:
        """Whether a lane reads nothing because its handler can take nothing just now, or because a person says so."""
        return lane in self._full or self._hold.held

    def is_of(self, lane: int, place: Partition) -> bool:
        """Whether a partition, if it is ours, is a lane's."""
        return place.partition % self._lanes == lane


class Lane:
    """One lane, as its watchdog sees it."""

    def __init__(self, reader: Reader, consumer: Consumer, number: int) -> None:
        self._reader = reader
        self._consumer = consumer
        self._number = number

    def positions(self) -> Mapping[Partition, int]:
        """How far each of its partitions is decided."""
        return self._ours(self._reader.positions)

    async def ends(self) -> Mapping[Partition, int]:
        """The end offset of each of its partitions that may have something left. Raises BrokerError."""
        return self._ours(await self._consumer.ends())

    def excused(self) -> bool:
        """Whether something outside is waited for."""
        return self._reader.is_waiting(self._number)

    def joined(self) -> bool:
        """Whether the group has dealt its partitions."""
        return self._consumer.joined()

    async def answers(self) -> bool:
        """Whether the broker tells others what it doesn't tell us."""
        return await self._consumer.answers()

    def renew(self) -> bool:
        """Ask for another consumer; False where this one has no need to read."""
        if self._reader.is_full(self._number):
            return False
        self._reader.renew()
        return True

    def _ours(self, offsets: Mapping[Partition, int]) -> dict[Partition, int]:
        return {place: offset for place, offset in offsets.items() if self._reader.is_of(self._number, place)}
