"""A foreign Kafka client: it knows topic names and JSON, and nothing of this code base."""

import asyncio
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

ORDERS = "orders.events.v1"
WATCHED = (
    "refunds.commands.wallet.v1",
    "refunds.commands.paypal.v1",
    "refunds.commands.card.v1",
    "refunds.results.v1",
    "refunds.events.v1",
    "chats.commands.v1",
    "sellers.outcomes.v1",
    "sellers.statistics.v1",
    "sellers.advice.v1",
    "orders.refused.v1",
    "payouts.decided.v1",
    "notifications.requested.v1",
    "annul.parked.v1",
)


class Seen(NamedTuple):
    """A record on one of Annul's topics."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    @property
    def type(self) -> str:
        return self.headers["ce_type"].decode()

    @property
    def data(self) -> dict[str, Any]:
        assert self.value is not None
        found: dict[str, Any] = json.loads(self.value)
        return found


class ForeignClient:
    """Publishes order events and watches everything that Annul publishes from now on."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=2_000_000)
        self._consumer = AIOKafkaConsumer(*WATCHED, bootstrap_servers=bootstrap, auto_offset_reset="latest")
        self.seen: list[Seen] = []
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._consumer.start()
        for place in self._consumer.assignment():
            await self._consumer.position(place)  # from here on nothing is missed
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    async def _watch(self) -> None:
        async for record in self._consumer:
            async with self._news:
                self.seen.append(Seen(record.topic, record.key, record.value, dict(record.headers)))
                self._news.notify_all()

    async def publish(self, type_: str, data: dict[str, Any], *, structured: bool = False, topic: str = ORDERS) -> str:
        """Send an order event; gives its id."""
        message_id = f"evt_{uuid.uuid4().hex}"
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        attributes = {"specversion": "1.0", "id": message_id, "source": "/orders", "type": type_, "time": now}
        if structured:
            body = {**attributes, "datacontenttype": "application/json", "data": data}
            headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]
        else:
            body = data
            headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
            headers.append(("content-type", b"application/json"))
        await self.send(data["order_id"].encode(), json.dumps(body).encode(), headers, topic)
        return message_id

    async def send(
        self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], topic: str = ORDERS
    ) -> Any:
        """Send bytes to the orders topic; gives where they lie."""
        return await self._producer.send_and_wait(topic, value, key=key, headers=headers)

    async def send_soon(self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> Any:
        """Send bytes; gives a future of where they lie."""
        return await self._producer.send(ORDERS, value, key=key, headers=headers)

    async def wait_for(self, wanted: Callable[[Seen], bool], what: str, within_s: float = 30) -> Seen:
        """The first record that is wanted, seen already or still to come."""
        return (await self.wait_for_all(wanted, 1, what, within_s))[0]

    async def wait_for_all(
        self, wanted: Callable[[Seen], bool], count: int, what: str, within_s: float = 30
    ) -> list[Seen]:
        """The first `count` records that are wanted."""
        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(lambda: sum(map(wanted, self.seen)) >= count), within_s)
            except TimeoutError:
                found = sum(map(wanted, self.seen))
                raise AssertionError(f"{what}: {found} of {count} within {within_s:g} s") from None
        return [record for record in self.seen if wanted(record)][:count]

    async def event(self, order_id: str, type_: str, within_s: float = 30) -> Seen:
        """The first message of a type about an order."""
        return await self.wait_for(
            lambda seen: seen.headers.get("ce_type") == type_.encode() and seen.data.get("order_id") == order_id,
            f"{type_} of {order_id}",
            within_s,
        )

    async def event_of_refund(self, refund_id: str, type_: str) -> Seen:
        """The first message of a type about one refund."""
        return await self.wait_for(
            lambda seen: seen.headers.get("ce_type") == type_.encode() and seen.data.get("refund_id") == refund_id,
            f"{type_} of {refund_id}",
        )

    async def notification(self, order_id: str, kind: str, about: str) -> Seen:
        """The first thing that the client or the seller of an order is told about something."""

        def is_it(seen: Seen) -> bool:
            if seen.headers.get("ce_type") != b"notification.requested" or seen.data["order_id"] != order_id:
                return False
            return (seen.data["recipient"]["kind"], seen.data["about"]) == (kind, about)

        return await self.wait_for(is_it, f"the {kind} of {order_id} is told about {about}")

    def of(self, order_id: str, type_: str | None = None) -> list[Seen]:
        """What was seen about an order so far."""
        return [
            seen
            for seen in self.seen
            if "ce_type" in seen.headers
            and seen.topic != "annul.parked.v1"
            and seen.data.get("order_id") == order_id
            and type_ in (None, seen.type)
        ]


def fresh(prefix: str) -> str:
    """An id that no other test uses."""
    return f"{prefix}_{uuid.uuid4().hex[:12]}"


def now_text() -> str:
    """Now, as messages write it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def cancellation(*tenders: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A cancel message as the contract shows it."""
    return {
        "order_id": fresh("ord"),
        "conversation_id": fresh("cnv"),
        "client_id": fresh("cli"),
        "seller_id": fresh("sel"),
        "cancelled_at": now_text(),
        "cancelled_by": "client",
        "reason": "We agreed to stop, says Zoé.",
        "stage": "in_progress",
        "escrow": {"currency": "EUR", "tenders": list(tenders)},
        "client_locale": "fr-FR",
        "seller_locale": "fr-FR",
        **changes,
    }


def tender(provider: str, reference: str, captured: int = 4500, refunded: int = 0) -> dict[str, Any]:
    """One tender."""
    return {
        "tender_id": fresh("tnd"),
        "provider": provider,
        "reference": reference,
        "captured_minor": captured,
        "refunded_minor": refunded,
    }
