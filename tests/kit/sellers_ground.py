"""The worker `sellers` on a real Kafka and PostgreSQL: outcomes go in, rows come out and are held against the truth."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from kit.kafka import World
from kit.sellers_running import TODAY, MovableClock, Running
from kit.sellers_truth import facts_of, is_same, truth_of
from schemas.sellers import Replaced, SellerOutcome, SellerStatistics
from schemas.topics import PARKED, SELLERS_OUTCOMES, SELLERS_STATISTICS
from workers.domain.seller import told
from workers.pipeline.kafka import KafkaProducer, partition_of
from workers.pipeline.messages import outgoing
from workers.pipeline.ports import Outgoing

_PATIENCE_S: Final = 40.0
_row_of = msgspec.json.Decoder(SellerStatistics).decode


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
        self._by_id: dict[str, SellerStatistics] = {}
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
                await self._reading  # raises what it found wrong
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
                    # Who takes a message for a copy by its id must not miss what was repaired.
                    same = self._by_id.setdefault(dict(record.headers)["ce_id"].decode(), row)
                    assert facts_of(row) == facts_of(same), "two messages have one id"
                self._read.set()
        finally:
            await consumer.stop()

    # ------------------------------------------------------------ workers

    async def start(
        self,
        name: str = "one",
        *,
        partitions: int | None = None,
        check_every_s: float = 3600,
        hold: str | None = None,
    ) -> Running:
        """Start a worker; returns once it has partitions. A query of PostgreSQL may be held from the beginning on."""
        made = Running(
            self.world.settings,
            self.url,
            MovableClock(self.clock),
            process=name,
            partitions=partitions or self._partitions,
            check_every_s=check_every_s,
        )
        made.database.held = hold
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

    async def put(self, topic: str, key: str, value: bytes | None) -> None:
        """Bytes of a foreign hand, where they belong."""
        await self._producer.send_all([Outgoing(topic, key.encode(), value, [])])

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
                    for task in (self._reading, *(one.task for one in self.running)):
                        if task is not None and task.done():
                            task.result()
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
        wanted = await truth_of(self.observer, self.clock.now().toordinal())
        today = self.clock.now().date()

        def differing() -> list[str]:
            sellers = wanted.keys() | self.rows.keys()
            return [one for one in sellers if not is_same(self.rows.get(one), wanted.get(one))]

        try:
            await self.until(lambda: not differing(), "rows are right")
        except AssertionError as error:
            found = [(one, facts_of(self.rows.get(one)), wanted.get(one)) for one in differing()[:3]]
            raise AssertionError(f"{error} on {today}: {found}") from None

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
