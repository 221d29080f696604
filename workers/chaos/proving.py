"""Waiting until the table is as SQL says, for a bounded time, and what is left that is not."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from workers.chaos import group
from workers.chaos.compare import MOST_TOLD, Difference, compare_rows, compare_table
from workers.chaos.tails import Tail, tail_of
from workers.chaos.truth import Truth, read_truth
from workers.settings import Settings

_LOOK_EVERY_S: Final = 1.0
_LOOKS: Final = 2
"""So many looks in turn find no difference before it counts: one who wakes late may still write."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """How one comparison came out."""

    after: str
    sellers: int
    rows: int
    """Read from the statistics topic so far."""
    lag_gone_s: float | None
    equal_s: float | None
    """None: never, within the time that was given."""
    differing: int
    differences: list[Difference]


class Stage:
    """What a run has in hands."""

    def __init__(self, settings: Settings, connection: Any, within_s: float, tell: Callable[[str], None]) -> None:
        self.settings = settings
        self.connection = connection
        self.proofs: list[Proof] = []
        self._within_s = within_s
        self._tell = tell
        self._truths: dict[str, Truth] = {}
        self._truths_at: tuple[date, int] | None = None

    async def truths(self, decided: int) -> Mapping[str, Truth]:
        """SQL's word on today, asked again once there is more, or the day is another."""
        now = (datetime.now(UTC).date(), decided)
        if now != self._truths_at:
            self._truths = await read_truth(self.connection, now[0])
            self._truths_at = now
        return self._truths

    async def prove(self, after: str, rows: Tail, decided: int) -> None:
        """Wait until nothing is left to read and all is equal, as long as wished, and note how it came out."""
        began = time.monotonic()
        lag_gone_s = equal_s = None
        differences: list[Difference] = []
        looks = 0
        while looks < _LOOKS and time.monotonic() - began < self._within_s:
            await asyncio.sleep(_LOOK_EVERY_S)
            if await group.lag(self.settings):
                looks, lag_gone_s = 0, None
                continue
            lag_gone_s = lag_gone_s or time.monotonic() - began
            differences = await self._differences(rows, decided)
            looks = 0 if differences else looks + 1
            equal_s = None if differences else equal_s or time.monotonic() - began
        if looks < _LOOKS and not differences:
            differences = [Difference("group", "", "lag", "0", str(await group.lag(self.settings)))]
        self.proofs.append(
            Proof(
                after=after,
                sellers=len(await self.truths(decided)),
                rows=rows.records,
                lag_gone_s=lag_gone_s,
                equal_s=equal_s if looks >= _LOOKS else None,
                differing=len({(one.where, one.seller_id) for one in differences}),
                differences=differences[:MOST_TOLD],
            )
        )
        self._tell(f"after {after}: {len(differences)} differences, {time.monotonic() - began:.1f} s")

    async def _differences(self, rows: Tail, decided: int) -> list[Difference]:
        truths = await self.truths(decided)
        await rows.advance()
        found = [*compare_rows(rows.last, truths)]
        found += [Difference("row", key, "partition", "the key's own", "another") for key in sorted(rows.astray)]
        names = await group.changelogs(self.settings)
        if len(names) != 1:
            return [*found, Difference("table", "", "changelog topics", "1", str(names))]
        async with tail_of(self.settings, names[0]) as table:
            await table.advance()
        found += compare_table(table.last, truths, datetime.now(UTC).date())
        found += [Difference("table", key, "partition", "the key's own", "another") for key in sorted(table.astray)]
        return found
