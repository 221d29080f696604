"""I4 with the orders topic at hand: every cancellation that was read is its order's, or parked."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from schemas.orders import OrderCancelled
from schemas.topics import ORDERS_EVENTS
from workers.consumers import group_of
from workers.domain.cancellation import canonical_escrow
from workers.insight.topic_reader import reading
from workers.insight.violations import MOST_VIOLATIONS, Violation
from workers.pipeline.messages import Unreadable, read
from workers.pipeline.parking import parked_id
from workers.pipeline.ports import Record
from workers.settings import Settings
from workers.store.database import columns
from workers.store.queries import sql


async def check_cancellations(connection: Any, settings: Settings) -> list[Violation]:
    """I4: every cancellation up to the recorded offsets is in its order's row, or parked. In the offsets' snapshot."""
    rows = await offsets_of_orders(connection, settings)
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


async def offsets_of_orders(connection: Any, settings: Settings) -> list[Any]:
    """How far order events were decided, by partition."""
    topic = settings.topic_prefix + ORDERS_EVENTS.name
    group = group_of("cancellations", settings.topic_prefix)
    rows: list[Any] = await connection.fetch(sql("read_offsets_of_topic"), group, topic)
    return rows
