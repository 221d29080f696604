"""What comes of no outcome: the others' average, days that go by, advice that had to wait."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from workers.pipeline.ports import Clock
from workers.sellers.advice import read_above, read_waiting, record_standings
from workers.sellers.asking import Asking
from workers.sellers.held import Held
from workers.sellers.sending import Sender, judged_of
from workers.sellers.shard import Shard
from workers.sellers.shares import Shares

CHANGED_MOST: Final = 2_500
"""Sellers of a partition that wait to be sent, at most."""
EXCHANGE_EVERY_S: Final = 1.0
_LOOK_EVERY_S: Final = 5.0
_STANDINGS_EVERY_S: Final = 60.0


class Looker:
    """Looks at every seller of ours, a slice at a time, and marks those that are to be sent."""

    def __init__(self, held: Held, shares: Shares, sender: Sender, asking: Asking, clock: Clock) -> None:
        self._held = held
        self._shares = shares
        self._sender = sender
        self._asking = asking
        self._clock = clock

    async def exchange(self) -> None:
        """Once a second: what our partitions add to the average, and what the others' add."""
        while True:
            judged = self._shares.caught_up
            await self._asking.until(lambda: self._shares.exchange(self._held))
            if self._shares.caught_up and not judged:
                await self._over_all(Shard.note_above)
            await self._clock.sleep(EXCHANGE_EVERY_S)

    async def look(self) -> None:
        """Tell every row again that isn't right any more since a day went by or the average moved."""
        looked: tuple[Any, ...] = ()
        while True:
            await self._clock.sleep(_LOOK_EVERY_S)
            others, today = self._shares.others, self._clock.now().toordinal()
            if others is None:
                continue
            state = (today, self._held.taken_at, others.rates, others.sellers)
            if state != looked:
                started = self._clock.monotonic()
                await self._over_all(partial(self._note_due, today=today))
                looked = state
                await self._clock.sleep(2 * (self._clock.monotonic() - started))

    def _note_due(self, shard: Shard, keys: Iterable[bytes], *, today: int) -> None:
        # As they are by now: each seller that is settled meanwhile counts in them otherwise.
        shard.note_due(keys, today, self._shares.others)

    async def _over_all(self, note: Callable[[Shard, Iterable[bytes]], None]) -> None:
        """Go over all sellers, at about a third of a core: others work in this process."""
        for shard in list(self._held.shards.values()):
            for keys in shard.slices():
                started = self._clock.monotonic()
                note(shard, keys)
                spent_s = self._clock.monotonic() - started
                if len(shard.changed) > CHANGED_MOST:
                    await self._sender.send()
                await self._clock.sleep(2 * spent_s)

    async def keep_standings(self) -> None:
        """Advice that had to wait, and standings that a crash left behind."""
        while True:
            await self._clock.sleep(_STANDINGS_EVERY_S)
            if self._shares.caught_up:
                await self._judge_waiting()
                async with self._sender.one_at_a_time:
                    await self._asking.until(self._close_standings)

    async def _judge_waiting(self) -> None:
        ask = partial(read_waiting, self._asking.database, self._clock.now(), self._held.has)
        for seller_id in await self._asking.until(ask):
            shard = self._held.shard_of(seller_id)
            if shard is not None and shard.known(seller_id) is not None:
                shard.touch(seller_id)

    async def _close_standings(self) -> None:
        """A process that recorded a crossing and died before it told the row may have left one that never was."""
        async for seller_ids in read_above(self._asking.database):
            fallen = [
                judged_of(seller_id, told)
                for seller_id in seller_ids
                if (told := self._held.told(seller_id)) is not None and told.average is not None and not told.above
            ]
            if fallen:
                await record_standings(self._asking.database, fallen, self._clock.now())
