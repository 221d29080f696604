"""The worker `sellers` in this process, on a real Kafka and PostgreSQL, and what its rows should say by brute force."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from kit.kafka import World
from kit.outcomes import counts_of, windows_of
from schemas.sellers import Replaced, SellerOutcome, SellerStatistics
from schemas.topics import PARKED, SELLERS_OUTCOMES, SELLERS_STATISTICS
from workers.domain.averages import wilson_lower
from workers.domain.seller import told
from workers.domain.statistics import MOVED, WINDOWS
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka import KafkaProducer, partition_of
from workers.pipeline.messages import outgoing
from workers.pipeline.ports import Outgoing
from workers.sellers.worker import Sellers
from workers.store.database import Database
from workers.telemetry import Metrics

TODAY: Final = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
_PATIENCE_S: Final = 40.0
_LONGEST_SLEEP_S: Final = 0.5
_TIMES_FASTER: Final = 5
_row_of = msgspec.json.Decoder(SellerStatistics).decode


class MovableClock(SystemClock):
    """The real clock, set to `TODAY`, that can be moved; nobody sleeps for long on it, but in the same proportions."""

    def __init__(self) -> None:
        self._ahead = TODAY - datetime.now(UTC)
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
    """Counts what it is asked."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.asked: Counter[str] = Counter()

    async def fetch(self, name: str, *arguments: Any) -> list[Any]:
        self.asked[name] += 1
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

    def __init__(self, ground: "SellersGround", name: str, partitions: int, check_every_s: float) -> None:
        kafka = ground.world.settings
        self.clock = MovableClock()
        self.clock._ahead = ground.clock._ahead
        self.metrics = Metrics()
        self.database = CountingDatabase(ground.url, max_connections=3)
        self.emitter = WatchedEmitter(KafkaProducer(kafka), self.clock)
        self.worker = Sellers(
            kafka,
            self.database,
            self.emitter,
            self.clock,
            self.metrics,
            process=name,
            partitions=partitions,
            replication_factor=1,
            help_url=None,
            check_every_s=check_every_s,
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
        await asyncio.gather(self.task, return_exceptions=True)
        await self.emitter.close()
        await self.database.close()

    def counted(self, name: str, **labels: str) -> float:
        """What a counter stands at."""
        samples = (sample for metric in self.metrics.registry.collect() for sample in metric.samples)
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


class SellersGround:
    """Outcomes go in, rows come out."""

    def __init__(self, world: World, url: str, observer: Any) -> None:
        self.world = world
        self.url = url
        self.observer = observer
        self.clock = MovableClock()
        self.running: list[Running] = []
        self.rows: dict[str, SellerStatistics] = {}
        """The latest of each seller; late copies of older ones don't count."""
        self.told: list[SellerStatistics | str] = []
        """All rows in order; of a tombstone the seller's id."""
        self.ids: list[tuple[str, str]] = []
        """Of all rows: the seller's and the message's."""
        self._partitions = 0
        self._seqs: dict[str, int] = {}
        self._producer = KafkaProducer(world.settings)
        self._read = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def prepare(self, partitions: int = 2) -> None:
        """Make the topics and read what is told on them."""
        self._partitions = partitions
        await self.world.create(SELLERS_OUTCOMES.name, SELLERS_STATISTICS.name, PARKED.name, partitions=partitions)
        self._reading = asyncio.create_task(self._read_on())

    async def close(self) -> None:
        """End everything."""
        await asyncio.gather(*(one.stop() for one in self.running))
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading
        await self._producer.stop()

    async def _read_on(self) -> None:
        consumer = AIOKafkaConsumer(
            self.world.prefix + SELLERS_STATISTICS.name,
            bootstrap_servers=self.world.kafka.bootstrap,
            auto_offset_reset="earliest",
            metadata_max_age_ms=2_000,
        )
        await consumer.start()
        try:
            async for record in consumer:
                if record.value is None:
                    self.rows.pop(record.key.decode(), None)
                    self.told.append(record.key.decode())
                else:
                    row = _row_of(record.value)
                    known = self.rows.get(row.seller_id)
                    if known is None or (row.seq, row.as_of) >= (known.seq, known.as_of):
                        self.rows[row.seller_id] = row
                    self.told.append(row)
                    self.ids.append((row.seller_id, dict(record.headers)["ce_id"].decode()))
                self._read.set()
        finally:
            await consumer.stop()

    # ------------------------------------------------------------ workers

    async def start(self, name: str = "one", *, partitions: int | None = None, check_every_s: float = 3600) -> Running:
        """Start a worker; returns once it has partitions."""
        made = Running(self, name, partitions or self._partitions, check_every_s)
        self.running.append(made)
        await self.until(made.worker.ready.is_set, f"{name} runs")
        return made

    async def stop(self, *ended: Running) -> None:
        """Stop some, or all."""
        for one in ended or tuple(self.running):
            await one.stop()
            self.running.remove(one)

    def move(self, **by: float) -> None:
        """It is later for everybody."""
        self.clock.move(**by)
        for one in self.running:
            one.clock.move(**by)

    # ------------------------------------------------------------ outcomes

    def day(self, ago: float) -> datetime:
        """A moment so many days ago."""
        return TODAY - timedelta(days=ago)

    def seller_in(self, partition: int, number: int = 0) -> str:
        """A seller who belongs to a partition; `number` tells several apart."""
        names = (f"sel_{partition}_{number}_{n}" for n in range(10_000))
        return next(name for name in names if partition_of(name.encode(), self._partitions) == partition)

    def outcome(
        self, seller_id: str, kind: str = "completed", ago: float = 0, replaces: SellerOutcome | None = None
    ) -> SellerOutcome:
        """The seller's next outcome."""
        seq = self._seqs[seller_id] = self._seqs.get(seller_id, 0) + 1
        replaced = None
        if replaces is not None:
            replaced = Replaced(outcome=replaces.outcome, occurred_at=replaces.occurred_at)
        return SellerOutcome(
            seller_id=seller_id,
            order_id=f"ord_{seller_id}_{seq}",
            seq=seq,
            outcome=kind,  # type: ignore[arg-type]  # one of the kinds
            occurred_at=self.day(ago),
            replaces=replaced,
        )

    def skipped(self, seller_id: str, seq: int) -> SellerOutcome:
        """An outcome with a number that isn't its turn; nobody decided it."""
        known = self._seqs.get(seller_id, 0)
        self._seqs[seller_id] = seq - 1
        made = self.outcome(seller_id)
        self._seqs[seller_id] = known
        return made

    def some(self, seller_id: str, cancelled: int, completed: int, ago: float = 0) -> list[SellerOutcome]:
        """So many orders that were cancelled and completed."""
        kinds = ["cancelled_before_acceptance"] * cancelled + ["completed"] * completed
        return [self.outcome(seller_id, kind, ago) for kind in kinds]

    async def record(self, *outcomes: SellerOutcome) -> None:
        """As the worker `cancellations` records them."""
        rows = [
            (
                one.seller_id,
                one.seq,
                one.order_id,
                one.outcome,
                one.occurred_at,
                one.replaces.outcome if one.replaces else None,
                one.replaces.occurred_at if one.replaces else None,
            )
            for one in outcomes
        ]
        await self.observer.executemany("INSERT INTO seller_outcomes VALUES ($1, $2, $3, $4, $5, $6, $7)", rows)
        await self.observer.executemany(
            "INSERT INTO sellers VALUES ($1, $2) ON CONFLICT (seller_id) DO UPDATE SET seq = GREATEST(sellers.seq, $2)",
            [(one.seller_id, one.seq) for one in outcomes],
        )

    async def send(self, *outcomes: SellerOutcome) -> None:
        """Onto the topic, without recording."""
        await self._producer.send_all([outgoing(told(one, self.clock.now()), None) for one in outcomes])

    async def tell(self, *outcomes: SellerOutcome) -> None:
        """Record and send."""
        await self.record(*outcomes)
        await self.send(*outcomes)

    async def put(self, topic: str, key: str, value: bytes | None, partition: int | None = None) -> None:
        """Bytes of a foreign hand."""
        if partition is None:
            await self._producer.send_all([Outgoing(topic, key.encode(), value, [])])
            return
        producer = AIOKafkaProducer(bootstrap_servers=self.world.kafka.bootstrap)
        await producer.start()
        try:
            await producer.send_and_wait(self.world.prefix + topic, value, key.encode(), partition=partition)
        finally:
            await producer.stop()

    async def misplace(self, one: SellerOutcome, partition: int) -> None:
        """Onto a partition where it doesn't belong."""
        message = outgoing(told(one, self.clock.now()), None)
        producer = AIOKafkaProducer(bootstrap_servers=self.world.kafka.bootstrap)
        await producer.start()
        try:
            await producer.send_and_wait(
                self.world.prefix + message.topic, message.value, message.key, partition, headers=message.headers
            )
        finally:
            await producer.stop()

    # ------------------------------------------------------------ what comes of them

    async def until(self, holds: Callable[[], Any], what: str) -> None:
        """Returns once `holds` is true; looks whenever a row came, and now and then."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while not holds():
                    for one in self.running:
                        if one.task.done():
                            one.task.result()
                    self._read.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._read.wait(), 0.1)
        except TimeoutError:
            raise AssertionError(f"not within {_PATIENCE_S:g} s: {what}") from None

    async def until_rows(self, query: str, count: int) -> list[Any]:
        """Rows of PostgreSQL, once there are so many."""
        found: list[Any] = []
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while len(found) != count:
                    found = await self.observer.fetch(query)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{len(found)} of {count} rows within {_PATIENCE_S:g} s: {query}") from None
        return found

    async def right(self) -> None:
        """Returns once every seller's row says what PostgreSQL has, and no other seller has one."""
        wanted = await self.truth()
        today = self.clock.now().date()

        def differing() -> list[str]:
            sellers = wanted.keys() | self.rows.keys()
            return [one for one in sellers if not _same(self.rows.get(one), wanted.get(one))]

        try:
            await self.until(lambda: not differing(), "rows are right")
        except AssertionError as error:
            found = [(one, _facts(self.rows.get(one)), wanted.get(one)) for one in differing()[:3]]
            raise AssertionError(f"{error} on {today}: {found}") from None

    async def truth(self) -> dict[str, dict[str, Any]]:
        """By brute force: what each seller's row should say."""
        outcomes: dict[str, list[SellerOutcome]] = {}
        for row in await self.observer.fetch("SELECT * FROM seller_outcomes ORDER BY seller_id, seq"):
            outcomes.setdefault(row["seller_id"], []).append(_outcome_of(row))
        today = self.clock.now().toordinal()
        facts: dict[str, dict[str, Any]] = {}
        rates: dict[str, float] = {}
        for seller_id, found in outcomes.items():
            windows = windows_of(found, today)
            _, before, completed, after = windows[60]
            if closed := before + completed + after:
                rates[seller_id] = (before + after) / closed
            facts[seller_id] = {
                "seq": len(found),
                "lifetime": counts_of(found),
                "windows": {name: windows[length] for name, length in WINDOWS.items()},
                "judged": (before + after, closed),
            }
        for seller_id, fact in facts.items():
            others = [rate for one, rate in rates.items() if one != seller_id]
            average = fact["others_average"] = sum(others) / len(others) if others else None
            cancelled, closed = fact.pop("judged")
            fact["above_average"] = bool(
                average is not None and closed and wilson_lower(cancelled, closed) > round(average, 6)
            )
        return facts

    def told_of(self, seller_id: str) -> list[SellerStatistics]:
        """All rows of a seller, in order."""
        return [one for one in self.told if isinstance(one, SellerStatistics) and one.seller_id == seller_id]

    async def parked(self) -> list[str]:
        """Reasons of what was parked."""
        rows = await self.observer.fetch("SELECT reason FROM parked_messages ORDER BY parked_at, record_offset")
        return [row["reason"] for row in rows]

    async def committed(self) -> int:
        """How many outcomes the worker's group is done with."""
        found = await self.world.admin.list_consumer_group_offsets(f"{self.world.prefix}annul.sellers")
        return sum(max(0, one.offset) for place, one in found.items() if place.topic.endswith(SELLERS_OUTCOMES.name))

    async def until_committed(self, count: int) -> None:
        """Returns once the group is done with so many."""
        async with asyncio.timeout(_PATIENCE_S):
            while await self.committed() < count:  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.05)

    @property
    def changelog(self) -> str:
        """The table's topic, without prefix."""
        return "annul.sellers-statistics-changelog"


def _outcome_of(row: Any) -> SellerOutcome:
    replaced = None
    if row["replaces_outcome"] is not None:
        replaced = Replaced(outcome=row["replaces_outcome"], occurred_at=row["replaces_occurred_at"])
    return SellerOutcome(
        seller_id=row["seller_id"],
        order_id=row["order_id"],
        seq=row["seq"],
        outcome=row["outcome"],
        occurred_at=row["occurred_at"],
        replaces=replaced,
    )


def _counts(span: Any) -> list[int]:
    return [
        span.accepted,
        span.cancelled_before_acceptance,
        span.completed,
        span.cancelled_after_acceptance,
    ]


def _facts(row: SellerStatistics | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "seq": row.seq,
        "lifetime": _counts(row.lifetime),
        "windows": {name: _counts(span) for name, span in row.windows.items()},
        "others_average": row.others_average,
        "above_average": row.above_average,
    }


def _same(row: SellerStatistics | None, wanted: dict[str, Any] | None) -> bool:
    """The average may be off by what it may move before a row is told again."""
    facts = _facts(row)
    if facts is None or wanted is None:
        return facts is wanted
    have, should = facts.pop("others_average"), wanted["others_average"]
    near = have is should if have is None or should is None else abs(have - should) <= MOVED + 1e-6
    return near and facts == {name: value for name, value in wanted.items() if name != "others_average"}


def sellers_of(outcomes: Iterable[SellerOutcome]) -> set[str]:
    """Whose outcomes they are."""
    return {one.seller_id for one in outcomes}


@pytest.fixture
async def arena(
    world: World, database_url: str, observer: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SellersGround]:
    """Topics and database of the test's own; no worker runs yet."""
    ends: list[int] = []

    def end(code: int) -> None:
        ends.append(code)
        raise SystemError(f"the worker ended its process with {code}")

    # A worker that can't go on ends its process, which here is the tests'.
    monkeypatch.setattr("workers.sellers.worker.os", SimpleNamespace(_exit=end))
    made = SellersGround(world, database_url, observer)
    await made.prepare()
    yield made
    await made.close()
    assert not ends, "the worker ended its process"
