"""The loop of a worker: poll, decode, record, then send and commit, one batch ahead of the other."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from workers.pipeline.emit import Emitter
from workers.pipeline.messages import Handler, read
from workers.pipeline.offsets import take_over
from workers.pipeline.ports import BrokerError, Clock, Consumer, Partition, Record
from workers.pipeline.record import FencedError, Recorded, Recorder
from workers.pipeline.watchdog import Watchdog
from workers.store.database import Database, is_passing
from workers.telemetry import Metrics

log = structlog.get_logger()
_LONGEST_WAIT_S = 5.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a pipeline."""

    batch_records: int = 500
    poll_s: float = 0.25
    batches_ahead: int = 2
    """Batches that are recorded but not yet sent, at most."""
    drain_s: float = 8.0


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
        self._recorder = Recorder(self.group, handler, database, clock)
        self._decoders = {prefix + topic.name: topic.decoders() for topic in handler.topics}
        self._positions: dict[Partition, int] = {}
        self._ahead: asyncio.Queue[Recorded | None] = asyncio.Queue(self._limits.batches_ahead)
        self._waiting = False
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()

    def stop(self) -> None:
        """Take nothing more; `run` returns once what was taken is done."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`; raises what can't be waited out."""
        await self._join()
        tasks = [asyncio.create_task(part) for part in (self._take(), self._send(), self._give_up_late())]
        if self._watchdog is not None:
            watching = self._watchdog.watch(lambda: self._positions, self._ends, lambda: self._waiting)
            tasks.append(asyncio.create_task(watching))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0] in done and tasks[0].exception() is None:
                done, _ = await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._handler.drain(self._limits.drain_s / 2)
            await self._consumer.stop()

    async def _join(self) -> None:
        wait_s = 0.2
        while not self._stopping.is_set():
            try:
                await self._consumer.start()
            except BrokerError as error:
                log.warning("consumer.start_delayed", group=self.group, error=str(error)[:200])
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                log.info("consumer.started", group=self.group)
                return

    async def _give_up_late(self) -> None:
        """What isn't sent when the time to drain is over is sent by whoever takes the partition over."""
        await self._stopping.wait()
        await self._clock.sleep(self._limits.drain_s)

    def _ends(self) -> Any:
        return self._consumer.ends()

    async def _take(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._take_batch()
            except FencedError:
                log.warning("batch.fenced", group=self.group)
                self._positions.clear()
            except BrokerError as error:
                log.warning("consumer.poll_delayed", group=self.group, error=str(error)[:200])
                await self._clock.sleep(0.5)
        await self._ahead.put(None)

    async def _take_batch(self) -> None:
        room = await self._handler.room()
        await self._take_over()
        records = await self._consumer.poll(min(room, self._limits.batch_records), self._limits.poll_s)
        taken = [record for record in records if self._is_next(record)]
        if not taken:
            return
        started = self._clock.monotonic()
        batch = [read(record, self._decoders[record.source.topic]) for record in taken]
        self._waiting = True
        try:
            recorded = await self._recorder.record(batch, self._positions)
        finally:
            self._waiting = False
        self._metrics.batch(self.name, len(batch), self._clock.monotonic() - started)
        for part in recorded:
            self._handler.perform(part.effects)
            self._waiting = True
            await self._ahead.put(part)
            self._waiting = False

    def _is_next(self, record: Record) -> bool:
        """Records of a partition that came after this poll began are read again once it is taken over."""
        return record.source in self._positions and record.offset >= self._positions[record.source]

    async def _take_over(self) -> None:
        assigned = self._consumer.assignment()
        for gone in self._positions.keys() - assigned:
            del self._positions[gone]
        for partition in sorted(assigned - self._positions.keys()):
            self._waiting = True
            try:
                offset = await take_over(partition, self.group, self._database, self._consumer, self._emitter)
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("partition.take_over_delayed", group=self.group, error=type(error).__name__)
                await self._clock.sleep(0.5)
                return
            finally:
                self._waiting = False
            self._consumer.seek(partition, offset)
            self._positions[partition] = offset
            log.info("partition.taken_over", group=self.group, partition=list(partition), offset=offset)
        self.ready.set()

    async def _send(self) -> None:
        while (part := await self._ahead.get()) is not None:
            await self._emitter.emit(part.messages)
            await self._commit(part.offsets)
            self._metrics.messages(self.name, part.labels, len(part.messages))

    async def _commit(self, offsets: Mapping[Partition, int]) -> None:
        """Kafka's offset only tells others how far we are; PostgreSQL's decides, so a lost commit costs nothing."""
        try:
            if await self._consumer.commit(offsets):
                self._recorder.note_committed(offsets)
        except BrokerError as error:
            log.warning("offsets.commit_delayed", group=self.group, error=str(error)[:200])
