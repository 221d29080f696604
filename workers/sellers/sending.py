"""Sending what was folded: standings, rows, the table's changelog, and then the offsets.

Each only after the one before it is acknowledged, so that a crash in between repeats and loses nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Final

from schemas.base import encode
from schemas.topics import SELLERS_STATISTICS
from workers.domain.advice import Judged
from workers.domain.emission import emission
from workers.domain.statistics import Told
from workers.pipeline.emit import Emitter
from workers.pipeline.messages import outgoing
from workers.pipeline.ports import Clock, Outgoing
from workers.sellers.advice import record_standings
from workers.sellers.asking import Asking
from workers.sellers.fold import Folder
from workers.sellers.held import Held
from workers.sellers.shard import Changed
from workers.sellers.shares import Shares
from workers.telemetry import Metrics

_NO_HEADERS: Final[list[tuple[str, bytes]]] = []
_UNKNOWN_S: Final = 10.0
"""How long rows wait for the others' average to be known, once partitions came."""


class Sender:
    """Sends for one process, one go at a time."""

    def __init__(
        self,
        held: Held,
        shares: Shares,
        folder: Folder,
        asking: Asking,
        emitter: Emitter,
        clock: Clock,
        metrics: Metrics,
        *,
        worker: str,
        changelog: str,
        help_url: str | None,
        commit: Callable[[Mapping[int, int]], Awaitable[None]],
        may_send: Callable[[], bool],
    ) -> None:
        self._held = held
        self._shares = shares
        self._folder = folder
        self._asking = asking
        self._emitter = emitter
        self._clock = clock
        self._metrics = metrics
        self._worker = worker
        self._changelog = changelog
        self._help_url = help_url
        self._commit = commit
        self._may_send = may_send
        self.one_at_a_time = asyncio.Lock()
        """Held from a seller's verdict to the row that tells it."""
        self._in_flight: asyncio.Task[int] | None = None
        self._unsent: set[str] = set()
        self._unsent_gone: set[str] = set()

    async def send(self) -> None:
        """Everything that was folded so far is sent and committed, unless its partitions are let go meanwhile."""
        async with self.one_at_a_time:
            if self._shares.others is None and self._clock.monotonic() - self._held.taken_at < _UNKNOWN_S:
                return  # the shares of all partitions will be known in a moment
            if not self._may_send():
                return
            now, done, started = self._clock.now(), dict[int, int](), self._clock.monotonic()
            changed: list[Changed] = []
            gone: list[str] = []
            labels = self._folder.take_labels()
            shards = self._held.shards
            for number, shard in shards.items():
                changed += shard.settle(now, self._shares.others)
                gone += shard.settle_gone(self._shares.others)
                shard.caught_up = shard.adopted
                if shard.done is not None:
                    done[number] = shard.done
                await asyncio.sleep(0)
            aside = self._folder.take_aside()
            here = self._held.shards is shards and self._may_send()
            sent = await self._unless_let_go(changed, gone, aside, now) if here else None
            if sent is None:
                self._unsent.update(one.seller_id for one in changed)
                self._unsent_gone.update(gone)
                return
            await self._commit(done)
            if changed or gone:
                self._metrics.sellers_sent(len(changed) + len(gone), self._clock.monotonic() - started)
            if labels or sent:
                self._metrics.messages(self._worker, labels, sent)

    def send_again(self) -> None:
        """After a take-over: what was not sent when partitions were let go, of those that are here again."""
        unsent, self._unsent = self._unsent, set()
        for seller_id in unsent:
            shard = self._held.shard_of(seller_id)
            if shard is not None and shard.known(seller_id) is not None:
                shard.touch(seller_id)
        gone, self._unsent_gone = self._unsent_gone, set()
        for seller_id in gone:
            shard = self._held.shard_of(seller_id)
            if shard is not None:
                shard.drop(seller_id)

    def let_go(self) -> None:
        """What is on its way is not sent again and again: whoever comes next folds it anew."""
        if self._in_flight is not None:
            self._in_flight.cancel()

    async def _unless_let_go(
        self, changed: Sequence[Changed], gone: Sequence[str], aside: Sequence[Outgoing], now: datetime
    ) -> int | None:
        self._in_flight = asyncio.create_task(self._emit(changed, gone, aside, now))
        try:
            return await self._in_flight
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                self._in_flight.cancel()
                raise
            return None

    async def _emit(
        self, changed: Sequence[Changed], gone: Sequence[str], aside: Sequence[Outgoing], now: datetime
    ) -> int:
        """Returns once all is acknowledged; how many messages that were."""
        # Nobody is judged by less than all that is known of everybody.
        judged = [judged_of(one.seller_id, one.told) for one in changed if _is_judged(one)]
        if judged and self._shares.caught_up:
            await self._asking.until(lambda: record_standings(self._asking.database, judged, now, self._help_url))
        rows = [_row(one, now) for one in changed]
        rows += [Outgoing(SELLERS_STATISTICS.name, seller_id.encode(), None, _NO_HEADERS) for seller_id in gone]
        self._stay_owner()
        await self._emitter.emit([*rows, *aside])
        log = [Outgoing(self._changelog, one.seller_id.encode(), one.value, _NO_HEADERS) for one in changed]
        log += [Outgoing(self._changelog, seller_id.encode(), None, _NO_HEADERS) for seller_id in gone]
        self._stay_owner()
        await self._emitter.emit(log)
        return len(rows) + len(aside)

    def _stay_owner(self) -> None:
        """Ends what is being sent where this process stood still: it will be let go in a moment."""
        if not self._may_send():
            raise asyncio.CancelledError


def _row(changed: Changed, now: datetime) -> Outgoing:
    told, before = changed.told, changed.before
    # The same counts, told of the same day beside the same average, are the same message however often they are sent.
    cause = [changed.seller_id, str(told.seq), str(told.day), str(told.average), str(told.above)]
    if before is not None and before.seq == told.seq:
        # Told again without an outcome. Counts that were repaired are another message than the wrong ones were.
        cause.append(encode([changed.row.lifetime, changed.row.windows]).decode())
    return outgoing(
        emission(SELLERS_STATISTICS, changed.seller_id, "seller.statistics", changed.row, now, *cause), None
    )


def _is_judged(changed: Changed) -> bool:
    """Whether a seller's standing may have changed: without an average nobody is judged."""
    told, before = changed.told, changed.before
    if told.average is None:
        return False
    return told.above or (before is not None and (before.above or before.average is None))


def judged_of(seller_id: str, told: Told) -> Judged:
    """What a row said, for the seller's standing."""
    assert told.average is not None
    return Judged(
        seller_id=seller_id,
        above=told.above,
        cancelled=told.cancelled,
        closed=told.closed,
        others_average=told.average,
        as_of=date.fromordinal(told.day),
    )
