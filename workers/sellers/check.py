"""Holding the table against PostgreSQL, and making it again: what no next outcome would heal is found here.

A pass goes over the sellers of our partitions some at a time. Each is compared as it is up to its own last outcome, so
the fold goes on meanwhile. A rebuild is a pass that puts every seller anew into the table and tells its row again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from workers.domain.statistics import Totals
from workers.pipeline.ports import Clock
from workers.sellers.asking import Asking
from workers.sellers.held import Held
from workers.sellers.shard import Shard, pack, unpack
from workers.sellers.snapshots import pages, read_latest, read_totals
from workers.telemetry import Metrics

log = structlog.get_logger()
_AT_ONCE: Final = 500
_PAGE: Final = 5_000
_MOST_BEHIND: Final = 10_000
_LOOK_EVERY_S: Final = 1.0
_GRACE_S: Final = 10.0
"""A seller may be behind PostgreSQL for as long as its outcomes are on their way."""


class Found(msgspec.Struct):
    """What a pass came to."""

    sellers: int = 0
    differing: int = 0
    """Other counts than PostgreSQL's up to the same outcome, or a seller that PostgreSQL doesn't know."""
    behind: int = 0
    """Outcomes that are in PostgreSQL and did not come."""


class Checker:
    """Compares and repairs what is held; `send` sends what was changed."""

    def __init__(
        self,
        held: Held,
        asking: Asking,
        clock: Clock,
        metrics: Metrics,
        send: Callable[[], Awaitable[None]],
        *,
        process: str,
        every_s: float,
    ) -> None:
        self._held = held
        self._asking = asking
        self._clock = clock
        self._metrics = metrics
        metrics.expect_alarms(("statistics.differed", "statistics.outcomes_lost"), ("none",))
        self._send = send
        self._process = process
        self._every_s = every_s

    async def run(self) -> None:
        """Catch up after each take-over, compare from time to time, rebuild when asked to."""
        caught_up_at: float | None = None
        checked_at = self._clock.monotonic()
        while True:
            if self._held.shards and caught_up_at != self._held.taken_at:
                caught_up_at = self._held.taken_at
                await self.catch_up()
            if self._clock.monotonic() - checked_at >= self._every_s:
                await self.check()
                checked_at = self._clock.monotonic()
            await self._rebuild_if_asked()
            await self._clock.sleep(_LOOK_EVERY_S)

    async def catch_up(self) -> Found:
        """After a take-over: take from PostgreSQL what the restored table doesn't have; no fault in that."""
        found, shards = Found(), self._held.shards
        async for shard, behind in self._behind():
            await self._adopt(shard, behind)
            found.behind += len(behind)
        for one in shards.values():
            one.adopted = True
        if found.behind:
            log.info("statistics.caught_up", sellers=found.behind)
        return found

    async def check(self) -> Found:
        """Compare all, repair what differs, and alarm."""
        found = Found()
        for shard in list(self._held.shards.values()):
            for keys in shard.slices():
                await self._compare(shard, keys, found)
        late: list[tuple[Shard, dict[str, int]]] = []
        async for shard, behind in self._behind():
            if found.behind + len(behind) > _MOST_BEHIND:
                break  # the next pass finds the rest
            late.append((shard, {seller_id: _seq(shard, seller_id) for seller_id in behind}))
            found.behind += len(behind)
        if late:
            await self._clock.sleep(_GRACE_S)
        found.behind = 0
        for shard, seqs in late:
            lost = [seller_id for seller_id, seq in seqs.items() if _seq(shard, seller_id) == seq]
            for seller_id in lost:
                log.error("statistics.outcomes_lost", seller_id=seller_id, seq=seqs[seller_id])
                self._metrics.alarm("statistics.outcomes_lost", "none")
            await self._adopt(shard, lost)
            found.behind += len(lost)
        self._tell(found)
        return found

    async def _rebuild_if_asked(self) -> None:
        wanted = await self._asking.fetch("read_rebuild_wanted", list(self._held.shards))
        for rebuild_id, number in wanted:
            shard = self._held.shards.get(number)
            if shard is None:
                continue
            found = await self.rebuild(shard)
            if self._held.shards.get(number) is shard:  # else it went away meanwhile, and its next owner makes it again
                answer = (rebuild_id, number, self._process, found.sellers, found.differing)
                await self._asking.until(partial(self._asking.database.execute, "answer_rebuild", *answer))

    async def rebuild(self, shard: Shard) -> Found:
        """Make one partition's part again from PostgreSQL, beside the live one; each slice is compared and swapped."""
        found = Found()
        for keys in shard.slices():
            await self._compare(shard, keys, found)
            for key in keys:
                if key in shard.rows:
                    shard.touch(key.decode())
            await self._send()
        async for one, behind in self._behind():
            if one is shard:
                found.sellers += sum(shard.known(seller_id) is None for seller_id in behind)
                found.behind += len(behind)
                await self._adopt(shard, behind)
        await self._send()
        self._tell(found)
        return found

    def _tell(self, found: Found) -> None:
        self._metrics.checked_sellers(found.sellers, found.differing, found.behind)
        log.info("statistics.checked", **msgspec.structs.asdict(found))

    async def _compare(self, shard: Shard, keys: Iterable[bytes], found: Found) -> None:
        today = self._clock.now().toordinal()
        held = {key.decode(): unpack(pack(totals)) for key in keys if (totals := shard.known(key.decode())) is not None}
        counted = await read_totals(self._asking, {one: totals.seq for one, totals in held.items()}, today)
        found.sellers += len(held)
        wrong = [one for one, totals in held.items() if not _agree(totals, counted.get(one), today)]
        if not wrong:
            return
        found.differing += len(wrong)
        for seller_id in wrong:
            log.error("statistics.differed", seller_id=seller_id, seq=held[seller_id].seq)
            self._metrics.alarm("statistics.differed", "none")
        while wrong:
            before = {seller_id: _seq(shard, seller_id) for seller_id in wrong}
            latest = await read_latest(self._asking, wrong, today)
            wrong = [one for one in wrong if not _repair(shard, one, latest.get(one), before[one])]

    async def _behind(self) -> AsyncIterator[tuple[Shard, list[str]]]:
        """Sellers of ours of whom PostgreSQL has outcomes that the table doesn't have, some at a time."""
        after = ""
        while rows := await self._asking.fetch("read_sellers_after", after, _PAGE):
            after = rows[-1]["seller_id"]
            behind: dict[int, list[str]] = {}
            for seller_id, seq in rows:
                shard = self._held.shard_of(seller_id)
                if shard is not None and _seq(shard, seller_id) < seq:
                    behind.setdefault(shard.number, []).append(seller_id)
            for number, some in behind.items():
                if (shard := self._held.shards.get(number)) is not None:
                    yield shard, some

    async def _adopt(self, shard: Shard, seller_ids: Sequence[str]) -> None:
        """Take these sellers from PostgreSQL, unless the fold has come further meanwhile."""
        for some in pages(seller_ids, _AT_ONCE):
            latest = await read_latest(self._asking, some, self._clock.now().toordinal())
            for seller_id, totals in latest.items():
                if totals.seq > _seq(shard, seller_id):
                    shard.replace(seller_id, totals)
            await self._send()


def _seq(shard: Shard, seller_id: str) -> int:
    known = shard.known(seller_id)
    return known.seq if known is not None else 0


def _repair(shard: Shard, seller_id: str, right: Totals | None, before: int) -> bool:
    """False where the fold went on meanwhile, further than what was read: it must be read again."""
    if right is None:
        shard.drop(seller_id)
        return True
    seq = _seq(shard, seller_id)
    if seq > right.seq and seq != before:
        return False
    shard.replace(seller_id, right)
    return True


def _agree(held: Totals, counted: Totals | None, today: int) -> bool:
    return counted is not None and held.seq == counted.seq and held.same_counts(counted, today)
