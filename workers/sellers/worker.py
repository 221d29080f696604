"""Worker `sellers`: a faust table of every seller's counts, folded from numbered outcomes, sent on as statistics.

faust carries, PostgreSQL decides: an outcome is a repeat, the next one, or shows that some are missing, and then the
seller's counts are read from PostgreSQL. So the table comes right whatever is lost or repeated on the way.

What was folded is sent in one go about twice a second: the rows, then the table's changelog, then the offsets. A crash
before the offsets repeats it, and the numbers of the outcomes tell what was repeated.
"""

import asyncio
import os
from collections.abc import Awaitable
from typing import Any, Final

import structlog

from workers.consumers import group_of
from workers.pipeline.emit import Emitter
from workers.pipeline.holding import Hold, NoHold
from workers.pipeline.kafka import partition_of
from workers.pipeline.kafka_settings import KafkaSettings
from workers.pipeline.ports import Clock
from workers.pipeline.watchdog import EXIT_STUCK
from workers.sellers.asking import Asking
from workers.sellers.check import Checker
from workers.sellers.engine import Engine, record_of
from workers.sellers.fold import Folder
from workers.sellers.held import Held
from workers.sellers.looking import CHANGED_MOST, Looker
from workers.sellers.sending import Sender
from workers.sellers.shard import Shard, is_readable
from workers.sellers.shares import Shares
from workers.store.database import Database
from workers.telemetry import Metrics

log = structlog.get_logger()
_SEND_EVERY_S: Final = 0.4
_PULSE_S: Final = 0.5
_HELD_S: Final = 0.25
"""How often it is looked whether a person's pause is over."""
_HAND_OVER_S: Final = 4.0
_LAST_S: Final = 2.0


class Sellers:
    """The faust app and the fold, as a worker like the others."""

    name = "sellers"

    def __init__(
        self,
        kafka: KafkaSettings,
        database: Database,
        emitter: Emitter,
        clock: Clock,
        metrics: Metrics,
        *,
        process: str,
        partitions: int,
        replication_factor: int,
        help_url: str | None,
        check_every_s: float,
        hold: Hold | None = None,
    ) -> None:
        self._emitter = emitter
        self._clock = clock
        self._metrics = metrics
        self._hold = hold or NoHold()
        self._session_s = kafka.session_timeout_s
        self._stopping = asyncio.Event()
        self._pulse_at = clock.monotonic()
        self.ready = asyncio.Event()
        self.group = group_of(self.name, kafka.topic_prefix)
        self._engine = Engine(
            kafka,
            self.group,
            partitions=partitions,
            replication_factor=replication_factor,
            fold=self._fold,
            recovered=self._take_over,
            revoked=self._hand_over,
        )
        asking = Asking(database, clock)
        self._held = Held(clock, partitions)
        self._folder = Folder(self.group, asking, clock)
        self._shares = Shares(database, process)
        self._sender = Sender(
            self._held,
            self._shares,
            self._folder,
            asking,
            emitter,
            clock,
            metrics,
            worker=self.name,
            changelog=self._engine.changelog,
            help_url=help_url,
            commit=self._engine.commit,
            may_send=lambda: not self._stood_still(),
        )
        self._looker = Looker(self._held, self._shares, self._sender, asking, clock)
        self._checker = Checker(
            self._held, asking, clock, metrics, self._sender.send, process=process, every_s=check_every_s
        )

    def stop(self) -> None:
        """Take nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`; raises where faust gave up."""
        # faust gives up where Kafka can't be reached at its start; the other workers wait, and so does this one.
        await self._emitter.connect()
        await self._engine.start()
        self._pulse_at = self._clock.monotonic()
        looker = self._looker
        duties = (
            self._pulse,
            self._hold.watch,
            self._send_on_time,
            looker.exchange,
            looker.look,
            looker.keep_standings,
            self._checker.run,
        )
        tasks = [asyncio.create_task(_or_end(duty())) for duty in duties]
        stopping = asyncio.create_task(self._stopping.wait())
        ended = asyncio.create_task(self._engine.ended())
        try:
            await asyncio.wait((stopping, ended), return_when=asyncio.FIRST_COMPLETED)
            if not self._stopping.is_set():
                raise RuntimeError("faust stopped by itself") from ended.result()
        finally:
            for task in (stopping, *tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._send_last()
            await self._engine.stop()
            ended.cancel()

    async def _take_over(self, numbers: frozenset[int]) -> None:
        """The table is restored: take up these partitions, as their changelog has them."""
        await _or_end(self._take_up(numbers))

    async def _take_up(self, numbers: frozenset[int]) -> None:
        parts, times_let_go = self._engine.parts, self._held.times_let_go
        shards = {number: Shard(number, parts.setdefault(number, {})) for number in sorted(numbers)}
        if shards:
            self._held.partitions = self._engine.partitions()
        for shard in shards.values():
            for keys in shard.slices():
                # Where the topic has more partitions than before, a seller may belong to another now, whose owner takes
                # it from PostgreSQL. Nothing is told of that here: the row and the other partition are not ours.
                # So does a value that this version can't read.
                for key in keys:
                    if partition_of(key, self._held.partitions) != shard.number or not is_readable(shard.rows[key]):
                        del shard.rows[key]
                shard.take_share(key for key in keys if key in shard.rows)
                await asyncio.sleep(0)
        if self._held.times_let_go != times_let_go:
            return  # they went while they came
        self._held.take(shards)
        self._shares.forget()
        self._sender.send_again()
        self.ready.set()
        sellers = sum(len(shard.rows) for shard in shards.values())
        log.info("statistics.taken_over", partitions=sorted(numbers), sellers=sellers)

    async def _hand_over(self) -> None:
        """What is folded is sent before it goes; what can't be sent in time is folded again by whoever comes next."""
        try:
            await self._clock.wait_for(self._sender.send(), _HAND_OVER_S)
        except TimeoutError:
            log.warning("statistics.handed_over_unsent")
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._held.let_go()
        self._sender.let_go()

    async def _pulse(self) -> None:
        """A process that stood still for its session's time isn't the owner any more, and must not send as one."""
        while True:
            if self._stood_still():
                log.warning("statistics.stood_still")
                self._let_go()
                self._engine.rejoin()
            self._pulse_at = self._clock.monotonic()
            await self._clock.sleep(_PULSE_S)

    def _stood_still(self) -> bool:
        return self._clock.monotonic() - self._pulse_at > self._session_s / 2

    async def _fold(self, number: int, raw: list[Any]) -> None:
        # faust acknowledges what an agent was given even where it fails; nothing may leave this but the process.
        await _or_end(self._fold_batch(number, raw))

    async def _fold_batch(self, number: int, raw: list[Any]) -> None:
        while self._hold.held:
            if self._stopping.is_set() or number not in self._held.shards:
                return  # not folded, so not committed: it is read again
            await self._clock.sleep(_HELD_S)
        shard = self._held.shards.get(number)
        if shard is None:
            return  # it went to another process, which reads this again
        if len(shard.changed) > CHANGED_MOST:
            await self._sender.send()
        started = self._clock.monotonic()
        await self._folder.fold(shard, [record_of(one) for one in raw], self._held.partitions)
        self._metrics.folded(self._clock.monotonic() - started)
        shard.done = raw[-1].offset + 1

    async def _send_on_time(self) -> None:
        while True:
            await self._clock.sleep(_SEND_EVERY_S)
            await self._sender.send()

    async def _send_last(self) -> None:
        try:
            await self._clock.wait_for(self._sender.send(), _LAST_S)
        except TimeoutError:
            log.warning("statistics.left_unsent")  # whoever takes over folds it again


async def _or_end(work: Awaitable[None]) -> None:
    try:
        await work
    except Exception as error:
        log.critical("statistics.failed", error=type(error).__name__, exc_info=True)
        os._exit(EXIT_STUCK)
