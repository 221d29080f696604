"""What was measured was done: a run that skips work would be fast. Read from the topics that each fills."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from schemas.sellers import SellerStatistics
from schemas.topics import SELLERS_STATISTICS
from workers.bench.sellers.fold import KINDS, unpack
from workers.bench.sellers.load import Truth
from workers.insight.topic_reader import reading
from workers.settings import Settings

_row = msgspec.json.Decoder(SellerStatistics)


class SkippedError(Exception):
    """A measured process did not fold everything."""


async def check_ours(settings: Settings, truth: Truth) -> None:
    """The last row of every seller, as other services read it."""
    found: Counter[str] = Counter()
    rows = await _last(settings, settings.topic_prefix + SELLERS_STATISTICS.name)
    for value in rows.values():
        lifetime = _row.decode(value).lifetime
        found.update({kind: getattr(lifetime, kind) for kind in KINDS})
    _compare("ours", truth, len(rows), found)


async def check_changelog(settings: Settings, name: str, topic: str, truth: Truth) -> None:
    """The last value of every seller in a changelog of the bench's own fold: the lifetime, and the sum of all days."""
    lifetimes: Counter[str] = Counter()
    days: Counter[str] = Counter()
    rows = await _last(settings, topic)
    for value in rows.values():
        counts = unpack(value)
        lifetimes.update(dict(zip(KINDS, counts.lifetime, strict=True)))
        for day in counts.days.values():
            days.update(dict(zip(KINDS, day, strict=True)))
    _compare(name, truth, len(rows), lifetimes)
    _compare(name, truth, len(rows), days)


async def _last(settings: Settings, topic: str) -> dict[bytes, bytes]:
    rows: dict[bytes, bytes] = {}
    async with reading(settings, topic) as reader:
        async for batch in reader.batches():
            rows.update((one.key, one.value) for one in batch if one.key and one.value)
    return rows


def _compare(name: str, truth: Truth, sellers: int, found: Mapping[str, int]) -> None:
    if sellers != truth.sellers or dict(found) != truth.counts:
        raise SkippedError(f"{name}: {sellers} sellers with {dict(found)}, not {truth.sellers} with {truth.counts}")
