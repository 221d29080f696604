"""A worker `sellers` that runs in this process: on a clock that can be moved, and watched where it asks and sends."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka import KafkaProducer
from workers.pipeline.kafka_settings import KafkaSettings
from workers.pipeline.ports import Outgoing
from workers.sellers.worker import Sellers
from workers.store.database import Database
from workers.telemetry import Metrics

TODAY: Final = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
_LONGEST_SLEEP_S: Final = 0.5
_TIMES_FASTER: Final = 5


class MovableClock(SystemClock):
    """The real clock, set to `TODAY`, that can be moved; nobody sleeps for long on it, but in the same proportions."""

    def __init__(self, like: "MovableClock | None" = None) -> None:
        self._ahead: timedelta = like._ahead if like is not None else TODAY - datetime.now(UTC)
        self._skipped_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped_s

    def now(self) -> datetime:
        return super().now() + self._ahead

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds / _TIMES_FASTER, _LONGEST_SLEEP_S))

    def move(self, **by: float) -> None:
        """It is later all at once, for what is written on rows."""
        self._ahead += timedelta(**by)

    def skip(self, seconds: float) -> None:
        """Nothing ran for so long."""
        self._skipped_s += seconds


class CountingDatabase(Database):
    """Counts what it is asked, and may keep one question waiting."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.asked: Counter[str] = Counter()
        self.held: str | None = None
        """The query that waits."""
        self.go_on = asyncio.Event()

    async def fetch(self, name: str, *arguments: Any) -> list[Any]:
        self.asked[name] += 1
        if name == self.held:
            await self.go_on.wait()
        return await super().fetch(name, *arguments)


class WatchedEmitter(Emitter):
    """Tells when it sent, and can be held before it sends to a topic."""

    def __init__(self, producer: KafkaProducer, clock: MovableClock) -> None:
        super().__init__(producer, clock)
        self._watch = clock
        self.held: dict[str, asyncio.Event] = {}
        self.waiting: set[str] = set()
        """Topics before which it is held now."""
        self.at: list[float] = []
        """When it sent, on its monotonic clock."""

    async def emit(self, messages: Sequence[Outgoing]) -> None:
        for topic in {one.topic for one in messages} & self.held.keys():
            self.waiting.add(topic)
            await self.held[topic].wait()
            self.waiting.discard(topic)
        if messages:
            self.at.append(self._watch.monotonic())
        await super().emit(messages)

    def hold(self, topic: str) -> asyncio.Event:
        """Until the event is set."""
        return self.held.setdefault(topic, asyncio.Event())


class Running:
    """A worker that runs, with connections of its own."""

    def __init__(self, kafka: KafkaSettings, url: str, clock: MovableClock, **options: Any) -> None:
        self.clock = clock
        self.metrics = Metrics()
        self.database = CountingDatabase(url, max_connections=3)
        self.emitter = WatchedEmitter(KafkaProducer(kafka), self.clock)
        self.worker = Sellers(
            kafka,
            self.database,
            self.emitter,
            self.clock,
            self.metrics,
            replication_factor=1,
            help_url=None,
            **options,
        )
        self.task = asyncio.create_task(self.worker.run())

    @property
    def holds(self) -> set[int]:
        """The partitions that it has now."""
        return set(self.worker._held.shards)

    @property
    def taken_at(self) -> float:
        """When it got them, on its monotonic clock."""
        return self.worker._held.taken_at

    async def stop(self) -> None:
        """As SIGTERM does it."""
        self.worker.stop()
        try:
            await self.task
        finally:
            await self.emitter.close()
            await self.database.close()

    def counted(self, name: str, **labels: str) -> float:
        """What a counter stands at."""
        samples = (sample for metric in self.metrics.registry.collect() for sample in metric.samples)
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())
