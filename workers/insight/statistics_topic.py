"""The rows on the statistics topic, and who has not yet read what they follow from."""

from typing import Any

import msgspec

from schemas.sellers import SellerStatistics
from schemas.topics import ORDERS_EVENTS, SELLERS_OUTCOMES, SELLERS_STATISTICS
from workers.consumers import group_of
from workers.insight.topic_checks import offsets_of_orders
from workers.insight.topic_reader import committed_offsets, reading
from workers.insight.violations import Violation
from workers.pipeline.kafka import partition_of
from workers.pipeline.messages import Unreadable, read
from workers.pipeline.parking import parked_id
from workers.settings import Settings
from workers.store.queries import sql


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What the database knows: each seller's last outcome, and how far order events were decided."""

    seqs: dict[str, int]
    offsets: dict[int, int]


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """Who has not read everything yet."""

    unemitted: bool
    """Outcomes that are decided may not be on their topic."""
    lagging: frozenset[int]
    """Partitions of outcomes that are not folded to their end."""
    partitions: int

    def excuses(self, seller_id: str) -> bool:
        """Whether a seller's row may be behind."""
        return self.unemitted or partition_of(seller_id.encode(), self.partitions) in self.lagging


async def decided_so_far(connection: Any, settings: Settings) -> Decided:
    """What the statistics on the topic will be held against, read in the snapshot."""
    rows = await offsets_of_orders(connection, settings)
    return Decided(
        seqs=dict(await connection.fetch(sql("read_sellers_seq"))),
        offsets={row["partition"]: row["next_offset"] for row in rows},
    )


async def who_is_behind(settings: Settings, decided: Decided) -> Behind:
    """As of now, by what the groups have committed."""
    prefix = settings.topic_prefix
    orders, outcomes = prefix + ORDERS_EVENTS.name, prefix + SELLERS_OUTCOMES.name
    emitted = await committed_offsets(settings, group_of("cancellations", prefix), orders)
    async with reading(settings, outcomes) as reader:
        ends = reader.ends
    folded = await committed_offsets(settings, group_of("sellers", prefix), outcomes)
    return Behind(
        unemitted=any(emitted.get(number, 0) < offset for number, offset in decided.offsets.items()),
        lagging=frozenset(number for number, end in ends.items() if folded.get(number, 0) < end),
        partitions=len(ends),
    )


async def read_rows(settings: Settings) -> tuple[dict[str, SellerStatistics], list[Violation]]:
    """Each seller's latest row: a late copy of an older one may lie after it. And what can't be read."""
    rows: dict[str, SellerStatistics] = {}
    unreadable = []
    decoders = SELLERS_STATISTICS.decoders()
    async with reading(settings, settings.topic_prefix + SELLERS_STATISTICS.name) as reader:
        async for batch in reader.batches():
            for record in batch:
                if record.value is None:
                    rows.pop((record.key or b"").decode(errors="replace"), None)
                    continue
                message = read(record, decoders)
                if isinstance(message, Unreadable):
                    unreadable.append(Violation("I7", parked_id(record), f"unreadable: {message.fault}"))
                    continue
                row: SellerStatistics = message.data
                known = rows.get(row.seller_id)
                if known is None or (row.seq, row.as_of) >= (known.seq, known.as_of):
                    rows[row.seller_id] = row
    return rows, unreadable
