"""Messages that could not be processed: kept in PostgreSQL with their bytes and the reason, and told on a topic.

The partition goes on. Parking never marks the message as seen, so that putting it back processes it afresh.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from schemas.base import Fault
from schemas.topics import PARKED
from workers.pipeline.messages import Incoming, Unreadable, pack
from workers.pipeline.ports import Outgoing, Record
from workers.store.database import Database, columns
from workers.store.queries import sql

REDRIVEN_FROM: Final = "annul_redriven_from"
"""Header on a message that was put back: the id under which it was parked before."""


class Parked(msgspec.Struct, frozen=True):
    """A record to be parked, and why."""

    record: Record
    fault: Fault
    stage: str
    message_id: str | None
    message_type: str | None
    order_id: str | None


def parked_id(record: Record) -> str:
    """Where the record lies: topic, partition, offset."""
    return f"{record.source.topic}:{record.source.partition}:{record.offset}"


def park(message: Incoming | Unreadable, fault: Fault, stage: str) -> Parked:
    """A message to be parked with what is known of it."""
    envelope = message.envelope
    data = message.data if isinstance(message, Incoming) else None
    return Parked(
        record=message.record,
        fault=fault,
        stage=stage,
        message_id=envelope.id if envelope else None,
        # An unknown type is a stranger's text: it is in the record's own headers, not in our columns.
        message_type=envelope.type if envelope and fault.reason != "unknown_type" else None,
        order_id=getattr(data, "order_id", None),
    )


def parked_copy(parked: Parked, now: datetime) -> Outgoing:
    """The original bytes with headers that say why: any Kafka tool can put the record back."""
    record, fault = parked.record, parked.fault
    added = {
        "annul_parked_id": parked_id(record),
        "annul_reason": fault.reason,
        "annul_field": fault.field,
        "annul_detail": fault.detail,
        "annul_stage": parked.stage,
        "annul_topic": record.source.topic,
        "annul_partition": str(record.source.partition),
        "annul_offset": str(record.offset),
        "annul_parked_at": now.isoformat().replace("+00:00", "Z"),
    }
    headers = [*record.headers, *((name, text.encode()) for name, text in added.items())]
    return Outgoing(PARKED.name, record.key, record.value, headers)


async def record_parked(connection: Any, group: str, all_parked: Sequence[Parked], now: datetime) -> None:
    """Keep the parked messages, in the transaction that moves the offsets past them."""
    rows = [
        (
            parked_id(one.record),
            one.record.source.topic,
            one.record.source.partition,
            one.record.offset,
            one.record.key,
            one.record.value,
            pack(one.record.headers),
            one.fault.reason,
            one.fault.field[:200],
            one.fault.detail[:500],
            one.stage,
            one.message_id,
            one.message_type,
            one.order_id,
            _redriven_from(one.record),
        )
        for one in all_parked
    ]
    await connection.execute(sql("add_parked"), group, now, *columns(rows, 15))


async def park_alone(database: Database, group: str, parked: Parked) -> Outgoing:
    """Park one message of a consumer that keeps its offsets elsewhere; gives the copy to send."""
    source = parked.record.source
    async with database.transaction() as connection:
        now: datetime = await connection.fetchval(sql("read_clock"))
        await connection.execute(sql("add_offset"), group, source.topic, source.partition, "", 0)
        if not await connection.fetchval(sql("is_parked"), parked_id(parked.record)):
            await record_parked(connection, group, [parked], now)
    return parked_copy(parked, now)


def _redriven_from(record: Record) -> str | None:
    for name, value in reversed(record.headers):
        if name == REDRIVEN_FROM:
            return value.decode(errors="replace").replace("\0", "")[:300]
    return None
