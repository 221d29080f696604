"""A handler small enough to see through: every message becomes a row and one message out, and some can't."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

from kit import builders
from kit.broker import Broker
from schemas.base import Fault, encode
from schemas.envelope import headers_of
from schemas.orders import OrderPlaced, OrderRefused
from schemas.topics import ORDERS_EVENTS, ORDERS_REFUSED, Topic
from workers.consumers import group_of
from workers.domain.emission import emission
from workers.handler import DatabaseHandler
from workers.pipeline.messages import Incoming, Verdict
from workers.pipeline.ports import Outgoing, Record

IN: Final = ORDERS_EVENTS.name
OUT: Final = ORDERS_REFUSED.name
GROUP: Final = group_of("notes")

NUL: Final = "nul"
"""Begins the ids of orders that PostgreSQL can't take: the server refuses the text."""
WIDE: Final = "wide"
"""The driver can't put the number into its column."""
TWICE: Final = "twice"
"""A constraint refuses the row."""
BUG: Final = "bug"
"""The handler has a bug with it."""
ODD: Final = "odd"
"""A person must look."""


class Notes(DatabaseHandler):
    """Writes down every message it is given; `before` happens first, inside the transaction."""

    name = "notes"
    topics: tuple[Topic, ...] = (ORDERS_EVENTS,)

    def __init__(self, before: Callable[[Any], Awaitable[None]] | None = None) -> None:
        self.before = before
        self.tried: list[list[str]] = []

    async def record(self, connection: Any, batch: Sequence[Incoming], now: datetime) -> Sequence[Verdict]:
        """One row and one message out each."""
        self.tried.append([message.data.order_id for message in batch])
        if self.before is not None:
            await self.before(connection)
        verdicts = []
        for message in batch:
            order_id = message.data.order_id
            if order_id.startswith(BUG):
                raise KeyError(order_id)
            data = OrderRefused(order_id=order_id, attempted="note", reason="noted", occurred_at=now)
            told = emission(ORDERS_REFUSED, order_id, "order.refused", data, now, message.envelope.id)
            fault = Fault("odd", "order_id", "it is odd") if order_id.startswith(ODD) else None
            verdicts.append(Verdict("parked" if fault else "applied", (told,), fault))
        rows = [(one.record.source.partition, one.record.offset, *_written(one.data.order_id)) for one in batch]
        await connection.executemany("INSERT INTO notes VALUES ($1, $2, $3, $4)", rows)
        return verdicts


def _written(order_id: str) -> tuple[str, int]:
    if order_id.startswith(NUL):
        return "a\0b", 1
    if order_id.startswith(WIDE):
        return order_id, 2**40
    return order_id, 0 if order_id.startswith(TWICE) else 1


async def make_table(observer: Any) -> None:
    """The table that `Notes` writes to; a message decided twice makes a second row, nothing forbids that."""
    await observer.execute(
        "CREATE TABLE notes (partition int NOT NULL, record_offset bigint NOT NULL, order_id text NOT NULL,"
        " weight int NOT NULL CHECK (weight > 0))"
    )


async def noted(observer: Any) -> list[str]:
    """The orders written down, in the order of partition and offset."""
    rows = await observer.fetch("SELECT order_id FROM notes ORDER BY partition, record_offset")
    return [row[0] for row in rows]


def put(broker: Broker, *order_ids: str, topic: str = IN, partition: int | None = None) -> list[Record]:
    """Messages for `Notes`, one an order."""
    return [put_message(broker, topic, "order.placed", placed(order_id), partition) for order_id in order_ids]


def placed(order_id: str) -> OrderPlaced:
    """What `Notes` is told of an order."""
    return builders.placed(order_id)


def put_message(
    broker: Broker, topic: str, type_: str, data: Any, partition: int | None = None, message_id: str | None = None
) -> Record:
    """A message as another service sends it, keyed by its order."""
    given = message_id or f"evt_{data.order_id}"
    headers = headers_of(type_, given, builders.NOW)
    return broker.put(topic, encode(data), key=data.order_id.encode(), headers=headers, partition=partition)


def told(broker: Broker, topic: str = OUT) -> list[tuple[str, bytes | None]]:
    """What was sent to a topic: id and bytes, in the order of arrival."""
    return [(message_id(record), record.value) for record in broker.records(topic)]


def told_orders(broker: Broker, topic: str = OUT) -> list[str]:
    """The keys of what was sent to a topic, in the order of arrival."""
    return [(record.key or b"").decode() for record in broker.records(topic)]


def message_id(record: Record | Outgoing) -> str:
    """Its `ce_id`."""
    return header(record, "ce_id")


def header(record: Record | Outgoing, name: str) -> str:
    """The last header of that name, as text."""
    return dict(record.headers)[name].decode()
