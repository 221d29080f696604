"""A worker's process: what runs in it, and what a crash takes with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

from kit.broker import Broker
from kit.hooks import Hook
from kit.members import Client
from workers.consumers import group_of
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.holding import Hold
from workers.pipeline.messages import Handler
from workers.pipeline.ports import Clock
from workers.pipeline.run import Limits, Pipeline
from workers.pipeline.watchdog import Watchdog
from workers.store.database import Database
from workers.telemetry import Metrics
from workers.timers import Timers

LIMITS = Limits(batch_records=100, poll_s=0.05, drain_s=2.0)


class HeldDatabase(Database):
    """A database at whose door a process can be held, as one that is frozen between reading and deciding."""

    before_transaction: Hook | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        if self.before_transaction is not None:
            await self.before_transaction()
        async with super().transaction() as connection:
            yield connection


class Process:
    """A process with a broker client, a connection pool and an emitter; leaving its block is a crash."""

    def __init__(self, broker: Broker, url: str, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.client = Client(broker, self.clock)
        self.database = HeldDatabase(url, max_connections=3)
        self.emitter = Emitter(self.client.producer(), self.clock)
        self.metrics = Metrics()
        self.workers: list[Pipeline | Timers] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.crash()

    def pipeline(
        self, handler: Handler, *, limits: Limits = LIMITS, watchdog: Watchdog | None = None, hold: Hold | None = None
    ) -> "asyncio.Task[None]":
        """Start a handler on its way; the task that runs it."""
        group = group_of(handler.name)
        consumer = self.client.consumer(group, [topic.name for topic in handler.topics])
        made = Pipeline(
            group,
            handler,
            consumer,
            self.emitter,
            self.database,
            self.clock,
            self.metrics,
            limits=limits,
            watchdog=watchdog,
            hold=hold,
        )
        return self._start(made)

    def timers(self, drain_s: float = 2.0, hold: Hold | None = None) -> "asyncio.Task[None]":
        """Start the worker `timers`; the task that runs it."""
        return self._start(Timers(self.database, self.emitter, self.clock, self.metrics, drain_s=drain_s, hold=hold))

    def _start(self, worker: Pipeline | Timers) -> "asyncio.Task[None]":
        self.workers.append(worker)
        task = asyncio.create_task(worker.run())
        self._tasks.append(task)
        return task

    async def stop(self) -> None:
        """As SIGTERM does it."""
        await self.stop_workers()
        await self.database.close()

    async def stop_workers(self) -> None:
        """The first part of it."""
        for worker in self.workers:
            worker.stop()
        await asyncio.gather(*self._tasks)

    async def crash(self) -> None:
        """As SIGKILL does it: nothing is finished, nothing is said, and PostgreSQL rolls back what was open."""
        self.client.crash()
        if self.database._pool is not None:
            self.database._pool.terminate()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(Exception, asyncio.CancelledError):
                await task

    def counted(self, name: str, **labels: str) -> float:
        """What a counter of this process stands at."""
        found = 0.0
        for metric in self.metrics.registry.collect():
            for sample in metric.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    found += sample.value
        return found
