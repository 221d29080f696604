"""The invariants that need a topic's word beside the tables': I4 by the orders topic, I7 by the statistics topic."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from schemas.orders import OrderCancelled
from schemas.sellers import SellerStatistics, Span
from schemas.topics import ORDERS_EVENTS, SELLERS_OUTCOMES, SELLERS_STATISTICS
from workers.consumers import group_of
from workers.domain.cancellation import canonical_escrow
from workers.domain.statistics import Counts, span_of
from workers.insight.topic_reader import committed_offsets, reading
from workers.insight.violations import MOST_VIOLATIONS, Violation
from workers.pipeline.kafka import partition_of
from workers.pipeline.messages import Unreadable, read
from workers.pipeline.parking import parked_id
from workers.pipeline.ports import Record
from workers.settings import Settings
from workers.store.database import columns
from workers.store.queries import sql

_SELLERS_AT_ONCE: Final = 1000


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot of the database knows: each seller's last outcome, and how far order events were decided."""

    seqs: dict[str, int]
    offsets: dict[int, int]


async def decided_so_far(connection: Any, settings: Settings) -> Decided:
    """What the statistics on the topic will be held against, read in the snapshot."""
    rows = await _offsets(connection, settings)
    return Decided(
        seqs=dict(await connection.fetch(sql("read_sellers_seq"))),
        offsets={row["partition"]: row["next_offset"] for row in rows},
    )


async def check_cancellations(connection: Any, settings: Settings) -> list[Violation]:
    """I4: every cancellation up to the recorded offsets is in its order's row, or parked. In the offsets' snapshot."""
    rows = await _offsets(connection, settings)
    decided = {row["partition"]: row["next_offset"] for row in rows if row["next_offset"]}
    if not decided:
        return []
    topic, decoders = settings.topic_prefix + ORDERS_EVENTS.name, ORDERS_EVENTS.decoders()
    async with reading(settings, topic) as reader:
        found = [
            Violation("I4", f"{topic}:{number}", f"decided up to {offset}, and the topic ends at {ends}")
            for number, offset in decided.items()
            if (ends := reader.ends.get(number, 0)) < offset
        ]
        async for batch in reader.batches(decided):
            claims = list(_cancellations(batch, decoders))
            missing = await connection.fetch(
                sql("find_unaccounted_cancellations"), *columns(claims, 3), rows[0]["topic_id"]
            )
            found += [
                Violation("I4", order_id or place, f"the message at {place} is neither recorded nor parked")
                for place, order_id in missing
            ]
            if len(found) >= MOST_VIOLATIONS:
                break
    return found[:MOST_VIOLATIONS]


def _cancellations(
    batch: Sequence[Record], decoders: Mapping[str, msgspec.json.Decoder[Any]]
) -> Iterator[tuple[str, str | None, bytes | None]]:
    for record in batch:
        message = read(record, decoders)
        if isinstance(message, Unreadable):
            yield parked_id(record), None, None
        elif isinstance(message.data, OrderCancelled):
            yield parked_id(record), message.data.order_id, canonical_escrow(message.data.escrow)


async def check_statistics(connection: Any, settings: Settings, decided: Decided) -> list[Violation]:
    """I7: each seller's row is what SQL counts up to its `seq`; it may be behind only where somebody still reads.

    The order of the questions matters: what was decided is emitted before its offset is committed, and told of as
    statistics before the outcome's is. So with both caught up, the rows read afterwards hold all that was decided.
    """
    behind = await _who_is_behind(settings, decided)
    rows, found = await _read_rows(settings)
    for seller_id, seq in decided.seqs.items():
        row = rows.get(seller_id)
        if (row.seq if row else 0) < seq and not behind(seller_id):
            told = f"is at outcome {row.seq}" if row else "is missing"
            found.append(Violation("I7", seller_id, f"the seller is at outcome {seq}, the row {told}, and nobody lags"))
    remaining = iter(rows.values())
    while some := list(islice(remaining, _SELLERS_AT_ONCE)):
        asked = [(row.seller_id, row.seq) for row in some]
        counted = {
            found_row["seller_id"]: _counts_of(found_row)
            for found_row in await connection.fetch(sql("read_counts_up_to"), *columns(asked, 2))
        }
        found += [wrong for row in some if (wrong := _compare(row, counted[row.seller_id]))]
    return found[:MOST_VIOLATIONS]


def _counts_of(row: Any) -> Counts:
    return Counts(**{name: row[name] for name in Counts.__struct_fields__})


def _compare(row: SellerStatistics, counts: Counts) -> Violation | None:
    if counts.seq != row.seq:
        detail = f"the row is at outcome {row.seq}, the database knows up to {counts.seq}"
    elif row.lifetime != span_of(counts):
        detail = f"at outcome {row.seq} the row says {_told(row.lifetime)}, SQL counts {_told(span_of(counts))}"
    else:
        return None
    return Violation("I7", row.seller_id, detail)


def _told(span: Span) -> str:
    return ", ".join(f"{name} {value}" for name, value in msgspec.structs.asdict(span).items())


async def _who_is_behind(settings: Settings, decided: Decided) -> Callable[[str], bool]:
    prefix = settings.topic_prefix
    orders, outcomes = prefix + ORDERS_EVENTS.name, prefix + SELLERS_OUTCOMES.name
    emitted = await committed_offsets(settings, group_of("cancellations", prefix), orders)
    all_emitted = all(emitted.get(number, 0) >= offset for number, offset in decided.offsets.items())
    async with reading(settings, outcomes) as reader:
        ends = reader.ends
    folded = await committed_offsets(settings, group_of("sellers", prefix), outcomes)
    lagging = {number for number, end in ends.items() if folded.get(number, 0) < end}
    return lambda seller_id: not all_emitted or partition_of(seller_id.encode(), len(ends)) in lagging


async def _read_rows(settings: Settings) -> tuple[dict[str, SellerStatistics], list[Violation]]:
    """Each seller's latest row: a late copy of an older one may lie after it."""
    rows: dict[str, SellerStatistics] = {}
    unreadable = []
    decoders = SELLERS_STATISTICS.decoders()
    async with reading(settings, settings.topic_prefix + SELLERS_STATISTICS.name) as reader:
        async for batch in reader.batches():
            for record in batch:
                if record.value is None:
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


async def _offsets(connection: Any, settings: Settings) -> list[Any]:
    topic = settings.topic_prefix + ORDERS_EVENTS.name
    group = group_of("cancellations", settings.topic_prefix)
    rows: list[Any] = await connection.fetch(sql("read_offsets_of_topic"), group, topic)
    return rows
