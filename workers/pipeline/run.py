"""The loops of a worker: one reads, the lanes decide and record, one sends and commits, each a step ahead."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import msgspec
import structlog

from workers.pipeline.commits import Commits
from workers.pipeline.emit import Emitter
from workers.pipeline.holding import Hold, NoHold
from workers.pipeline.messages import Handler
from workers.pipeline.ports import Clock, Consumer
from workers.pipeline.reading import Batch, Reader
from workers.pipeline.record import FencedError, Recorded, Recorder
from workers.pipeline.watchdog import Watchdog
from workers.store.database import Database, is_passing
from workers.telemetry import Metrics
from workers.tracing.port import TracedBatch, Traces

log = structlog.get_logger()
T = TypeVar("T")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a pipeline."""

    batch_records: int = 500
    poll_s: float = 0.25
    lanes: int = 2
    """Transactions at a time, each for partitions of its own: while PostgreSQL writes one, the other is decided."""
    batches_ahead: int = 2
    """Batches that are recorded but not yet sent, at most."""
    drain_s: float = 7.0
    """What was begun may take this long to end once the pipeline is told to stop."""


class _Ahead(msgspec.Struct, frozen=True):
    """What is recorded and not yet sent; `traced` with the last part of a batch."""

    part: Recorded
    traced: TracedBatch | None


class Pipeline:
    """One consumer group's way from records to commits."""

    def __init__(
        self,
        group: str,
        handler: Handler,
        consumer: Consumer,
        emitter: Emitter,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        *,
        prefix: str = "",
        limits: Limits | None = None,
        watchdog: Watchdog | None = None,
        hold: Hold | None = None,
        traces: Traces | None = None,
    ) -> None:
        self.name = handler.name
        self.group = group
        self._handler = handler
        self._consumer = consumer
        self._emitter = emitter
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._limits = limits or Limits()
        self._watchdog = watchdog
        self._hold = hold or NoHold()
        self._traces = traces
        self._recorder = Recorder(self.group, handler, database, clock)
        self._ahead: asyncio.Queue[_Ahead | None] = asyncio.Queue(self._limits.batches_ahead)
        self._lanes = self._limits.lanes if handler.reads_ahead else 1
        self._commits = Commits(group, consumer, self._recorder, clock)
        self._reader = Reader(
            group,
            handler,
            consumer,
            emitter,
            database,
            clock,
            self._commits,
            self._hold,
            prefix=prefix,
            lanes=self._lanes,
            batch_records=self._limits.batch_records,
            poll_s=self._limits.poll_s,
            renewed=lambda: metrics.consumer_renewed(handler.name),
        )
        self._stopping = asyncio.Event()
        self._end_by: float | None = None
        self.ready = self._reader.ready

    def stop(self) -> None:
        """Take nothing more; `run` returns once what was taken is done, after `drain_s` at the latest."""
        if self._end_by is None:
            self._end_by = self._clock.monotonic() + self._limits.drain_s
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`; raises what can't be waited out."""
        await self._unless_stopping(self._reader.join())
        lanes = [asyncio.create_task(self._lane(number)) for number in range(self._lanes)]
        ends = [asyncio.create_task(part) for part in (self._send(), self._give_up_late())]
        tasks = [*lanes, asyncio.create_task(self._close(lanes)), *ends, asyncio.create_task(self._commits.catch_up())]
        tasks.append(asyncio.create_task(self._hold.watch()))
        if (watchdog := self._watchdog) is not None:
            tasks.append(asyncio.create_task(self._reader.renew_when_asked()))
            tasks += [asyncio.create_task(watchdog.watch(self._reader.lane(number))) for number in range(self._lanes)]
        pending = set(tasks)
        try:
            while pending.issuperset(ends):
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            self.stop()
            await self._end(tasks)

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Whoever doesn't answer must not keep the process: what is left undone here is done by the next owner."""
        moment_s = self._limits.drain_s / 8
        for task in tasks:
            task.cancel()
        if not await self._within(moment_s, asyncio.wait(tasks)):
            # A driver that waits for PostgreSQL's word waits for it even when it is cancelled.
            self._database.abandon()
            await self._within(moment_s / 2, asyncio.wait(tasks))
        left_s = (self._end_by or 0.0) - self._clock.monotonic() - moment_s
        await self._handler.drain(max(left_s, 0.0))
        await self._within(moment_s / 2, self._consumer.stop())

    async def _within(self, seconds: float, ending: Awaitable[Any]) -> bool:
        try:
            await self._clock.wait_for(ending, seconds)
        except TimeoutError:
            log.warning("pipeline.end_delayed", group=self.group)
            return False
        return True

    async def _unless_stopping(self, work: Coroutine[Any, Any, T] | asyncio.Task[T]) -> T | None:
        """What `work` comes to; None where it was not there when the pipeline was told to stop."""
        working = asyncio.ensure_future(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            stopping.cancel()
            working.cancel()

    async def _give_up_late(self) -> None:
        """What isn't sent when the time to drain is over is sent by whoever takes the partition over."""
        await self._stopping.wait()
        await self._clock.sleep(self._limits.drain_s / 2)

    async def _lane(self, number: int) -> None:
        """Decide batch after batch of some partitions; the next is read while PostgreSQL works on this one."""
        reading = asyncio.create_task(self._reader.read(number))
        try:
            while (batch := await self._unless_stopping(reading)) is not None and not self._stopping.is_set():
                if self._handler.reads_ahead:
                    reading = asyncio.create_task(self._reader.read(number))
                await self._decide(number, batch)
                if not self._handler.reads_ahead:
                    reading = asyncio.create_task(self._reader.read(number))
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _close(self, lanes: list[asyncio.Task[None]]) -> None:
        """Once no lane decides any more, what they decided is sent and the sending ends."""
        await asyncio.wait(lanes)
        await self._ahead.put(None)

    async def _decide(self, lane: int, batch: Batch) -> None:
        # What was read before its partition was taken over anew does not follow on what is decided: it is read again.
        expected = {
            place: offset for place, offset in self._reader.positions.items() if batch.follows.get(place) == offset
        }
        messages = [message for message in batch.messages if message.record.source in expected]
        for stray in {message.record.source for message in batch.messages} - expected.keys():
            self._reader.take_over_anew(stray)
        if not messages:
            await self._prune()
            return
        started = self._clock.monotonic()
        traced = self._traces.begin(messages) if self._traces is not None else None
        try:
            with self._reader.excused(lane):
                recorded = await self._recorder.record(traced.messages if traced else messages, expected)
        except FencedError:
            log.warning("batch.fenced", group=self.group)
            self._reader.positions.clear()
            return
        self._metrics.batch(self.name, self._clock.monotonic() - started)
        if traced is not None:
            traced.recorded(recorded)
        for part in recorded:
            self._reader.positions.update(
                (place, end) for place, end in part.offsets.items() if place in self._reader.positions
            )
            self._handler.perform(part.effects)
            with self._reader.excused(lane):
                await self._ahead.put(_Ahead(part, traced if part is recorded[-1] else None))

    async def _prune(self) -> None:
        try:
            await self._recorder.prune()
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("emissions.prune_delayed", group=self.group, error=type(error).__name__)

    async def _send(self) -> None:
        while (ahead := await self._ahead.get()) is not None:
            part = ahead.part
            await self._emitter.emit(part.messages)
            if ahead.traced is not None:
                ahead.traced.sent()
            await self._commits.commit(part.offsets)
            self._metrics.messages(self.name, part.labels, len(part.messages))
