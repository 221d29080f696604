"""Every seller's current row, held in memory: read from the compacted topic once, and followed from then on.

PostgreSQL has no table of them. Each dashboard process has its own, without a consumer group: nobody's offsets move.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from schemas.sellers import SellerStatistics
from schemas.topics import SELLERS_STATISTICS
from workers.domain.averages import wilson_lower
from workers.insight.topic_reader import NoTopicError, topics_there
from workers.pipeline.messages import Unreadable, read
from workers.pipeline.ports import Partition, Record
from workers.settings import Settings

log = structlog.get_logger()
MOST_SELLERS: Final = 200_000
"""What is held; sellers beyond it are left out, and the page says so."""
PAGE: Final = 50
BINS: Final = 20
"""Bars of the distribution: rates of 5 % each."""
WINDOW: Final = "60d"
_BATCH: Final = 2_000
_POLL_MS: Final = 500
_AGAIN_S: Final = 2.0
_SORTED_FOR_S: Final = 2.0
"""Pages within it share one order of the table."""

Sort = Literal["rate", "closed", "lower", "id"]
Key = tuple[float, str]


class SellerLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the table shows of a seller; counts and rate of the last 60 days."""

    seller_id: str
    seq: int
    as_of: datetime
    cancelled: int
    closed: int
    rate: float | None
    lower: float | None
    """Of the 95 % Wilson interval; None without a closed order."""
    lifetime_rate: float | None
    others_average: float | None
    above: bool


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the table, and the key after which the next begins; None at the end."""

    rows: Sequence[SellerLine]
    after: Key | None


class Table:
    """The rows; `full` where there are more sellers than it holds."""

    def __init__(self, most: int = MOST_SELLERS) -> None:
        self.rows: dict[str, SellerLine] = {}
        self.full = False
        self._most = most
        self._sorted: dict[Sort, tuple[float, list[SellerLine]]] = {}

    def take(self, row: SellerStatistics) -> None:
        """A row; a late copy of an older one changes nothing."""
        known = self.rows.get(row.seller_id)
        if known is None and len(self.rows) >= self._most:
            self.full = True
            return
        if known is None or (row.seq, row.as_of) >= (known.seq, known.as_of):
            self.rows[row.seller_id] = _line(row)

    def forget(self, seller_id: str) -> None:
        """There is no row of them any more."""
        self.rows.pop(seller_id, None)

    def page(self, sort: Sort, prefix: str, after: Key | None, now_s: float) -> Part:
        """Rows whose id begins so, from a key on; the highest first, ids from a."""
        rows = self._order(sort, now_s)
        key = KEYS[sort]
        start = bisect_right(rows, after, key=key) if after is not None else 0
        found: list[SellerLine] = []
        for place in range(start, len(rows)):
            if rows[place].seller_id.startswith(prefix):
                found.append(rows[place])
                if len(found) > PAGE:
                    return Part(rows=found[:PAGE], after=key(found[PAGE - 1]))
        return Part(rows=found, after=None)

    def spread(self) -> list[int]:
        """How many sellers with a closed order have which rate, in `BINS` equal parts."""
        bins = [0] * BINS
        for row in self.rows.values():
            if row.rate is not None:
                bins[bin_of(row.rate)] += 1
        return bins

    def _order(self, sort: Sort, now_s: float) -> list[SellerLine]:
        made = self._sorted.get(sort)
        if made is None or now_s - made[0] > _SORTED_FOR_S:
            made = now_s, sorted(self.rows.values(), key=KEYS[sort])
            self._sorted[sort] = made
        return made[1]


def bin_of(rate: float) -> int:
    """Which bar a rate is in."""
    return min(int(rate * BINS + 1e-9), BINS - 1)


KEYS: Final[dict[Sort, Callable[[SellerLine], Key]]] = {
    "rate": lambda row: (2.0 if row.rate is None else -row.rate, row.seller_id),
    "closed": lambda row: (-float(row.closed), row.seller_id),
    "lower": lambda row: (2.0 if row.lower is None else -row.lower, row.seller_id),
    "id": lambda row: (0.0, row.seller_id),
}


def _line(row: SellerStatistics) -> SellerLine:
    span = row.windows[WINDOW]
    cancelled = span.cancelled_before_acceptance + span.cancelled_after_acceptance
    closed = span.completed + cancelled
    return SellerLine(
        seller_id=row.seller_id,
        seq=row.seq,
        as_of=row.as_of,
        cancelled=cancelled,
        closed=closed,
        rate=span.cancellation_rate,
        lower=round(wilson_lower(cancelled, closed), 6) if closed else None,
        lifetime_rate=row.lifetime.cancellation_rate,
        others_average=row.others_average,
        above=row.above_average,
    )


class Following:
    """Keeps the table. While Kafka is away, what was read last stays, with the time it is from."""

    def __init__(self, settings: Settings) -> None:
        self.table = Table()
        self.at: datetime | None = None
        """When it was last known to hold all; None: it was not read to the end yet."""
        self.away_since: datetime | None = None
        self.ready = asyncio.Event()
        """It was read to the end once."""
        self._turn = asyncio.Event()
        self._settings = settings
        self._decoders = SELLERS_STATISTICS.decoders()

    async def turned(self) -> None:
        """Wait until Kafka was asked once more, whatever came of it."""
        await self._turn.wait()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._follow()
            except (KafkaError, NoTopicError, OSError, TimeoutError) as error:
                self._miss(type(error).__name__)
            except Exception as error:
                log.exception("ops.sellers_failed", error=type(error).__name__)
                self.away_since = self.away_since or datetime.now(UTC)
            self._turned()
            await asyncio.sleep(_AGAIN_S)

    def _turned(self) -> None:
        self._turn.set()
        self._turn = asyncio.Event()

    def _miss(self, error: str) -> None:
        if self.away_since is None:
            log.warning("ops.sellers_away", error=error)
            self.away_since = datetime.now(UTC)

    async def _follow(self) -> None:
        """Read it from the beginning, beside what is shown, and put it in its place once it is whole."""
        topic = self._settings.topic_prefix + SELLERS_STATISTICS.name
        if topic not in await topics_there(self._settings):
            raise NoTopicError(topic)
        consumer = AIOKafkaConsumer(
            topic, **self._settings.kafka().client(), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            table, whole = Table(), False
            while True:
                found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
                for records in found.values():
                    self._take(table, records)
                whole = whole or all([await consumer.position(place) >= end for place, end in ends.items()])
                if whole:
                    self._show(table)
                self._turned()
                await asyncio.sleep(0)
        finally:
            await consumer.stop()

    def _show(self, table: Table) -> None:
        if table is not self.table:
            self.table = table
            log.info("ops.sellers_read", sellers=len(table.rows), full=table.full)
        self.at, self.away_since = datetime.now(UTC), None
        self.ready.set()

    def _take(self, table: Table, records: Sequence[Any]) -> None:
        for raw in records:
            if raw.value is None:
                table.forget((raw.key or b"").decode(errors="replace"))
                continue
            record = Record(Partition(raw.topic, raw.partition), raw.offset, raw.key, raw.value, tuple(raw.headers))
            message = read(record, self._decoders)
            if not isinstance(message, Unreadable):
                table.take(message.data)
