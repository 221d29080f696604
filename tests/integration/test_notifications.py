"""The worker `notifications` on a real database: what it reads, whom it tells, and that it tells it once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from kit import builders
from kit.broker import Broker
from kit.builders import CLIENT, NOW, ORDER, REFUND, SELLER, TENDER
from kit.database import set_clock, until_someone_waits
from kit.notes import message_id
from kit.notices import all_refunded, event, refund_now, refused
from kit.process import Process
from msgspec.structs import replace

from schemas.base import Message, encode
from schemas.envelope import Envelope, headers_of
from schemas.payouts import PayoutRequested
from schemas.refunds import RefundEvent
from schemas.topics import (
    CHATS_COMMANDS,
    NOTIFICATIONS_REQUESTED,
    ORDERS_EVENTS,
    ORDERS_REFUSED,
    PAYOUTS_DECIDED,
    PAYOUTS_REQUESTED,
    REFUNDS_EVENTS,
)
from workers.cancellations import Cancellations
from workers.consumers import CONSUMERS, group_of
from workers.domain.policy import Policy
from workers.notifications import Notifications
from workers.payouts import Payouts
from workers.pipeline.messages import Incoming
from workers.pipeline.ports import Partition, Record
from workers.store.database import Database
from workers.store.queries import sql

OUT = NOTIFICATIONS_REQUESTED.name
WORKER = "notifications"
HELP_URL = "https://help.example/statistics"
VISIBLE = date(2026, 11, 30)


@pytest.fixture
async def running(broker: Broker, database_url: str, observer: Any) -> AsyncIterator[Process]:
    """What decides order events and payouts, and what tells people of it, at `NOW`."""
    await set_clock(observer, NOW)
    async with Process(broker, database_url) as process:
        process.pipeline(Cancellations(Policy()))
        process.pipeline(Payouts())
        process.pipeline(Notifications(HELP_URL))
        yield process


def put(broker: Broker, topic: str, type_: str, data: Any, ce_id: str = "", partition: int | None = None) -> None:
    """A message under an id of its own."""
    headers = headers_of(type_, ce_id or f"evt_{len(broker.arrivals)}", NOW)
    key = getattr(data, "order_id", "key").encode()
    broker.put(topic, encode(data), key=key, headers=headers, partition=partition)


async def until_told(broker: Broker) -> None:
    """Until all that was sent in is decided, and all that came of it is told."""
    for worker in ("cancellations", "payouts", "notifications"):
        for topic in CONSUMERS[worker]:
            await broker.until_read(group_of(worker), topic.name)


def told(broker: Broker) -> list[dict[str, Any]]:
    return [json.loads(record.value or b"") for record in broker.records(OUT)]


def who(broker: Broker) -> Counter[tuple[str, str]]:
    return Counter((one["recipient"]["kind"], one["facts"]["fact"]) for one in told(broker))


async def move(observer: Any, state: str, revision: int, settled_at: datetime | None = None) -> RefundEvent:
    """Bring the refund to a state as who decides refunds does it; the event that tells it."""
    visible = VISIBLE if settled_at else None
    before = await observer.fetchval("SELECT state FROM refunds WHERE refund_id = $1", REFUND)
    await observer.execute(
        "UPDATE refunds SET state = $2, revision = $3, settled_at = $4, visible_by = $5 WHERE refund_id = $1",
        *(REFUND, state, revision, settled_at, visible),
    )
    await observer.execute(
        "INSERT INTO refund_steps VALUES ($1, $2, $3, $4, NULL, $5, $6)", REFUND, revision, before, state, NOW, "evt"
    )
    return event(refund_now(state=state, revision=revision, visible_by=visible))


async def test_a_cancellation_is_told_to_both_each_in_their_language(broker: Broker, running: Process) -> None:
    put(broker, ORDERS_EVENTS.name, "order.cancelled", builders.cancelled(seller_locale="en-GB"))
    await until_told(broker)
    client, seller = sorted(told(broker), key=lambda one: one["recipient"]["kind"])
    assert (client["recipient"], client["locale"]) == ({"kind": "client", "id": CLIENT}, "fr-FR")
    assert (seller["recipient"], seller["locale"]) == ({"kind": "seller", "id": SELLER}, "en-GB")
    assert "lundi 30 novembre 2026 à 09:15 (UTC)" in client["body"]
    assert "45,00\u00a0€ sur votre carte bancaire" in client["body"]
    assert "until Monday, 30 November 2026 at 09:15 (UTC)" in seller["body"]
    assert HELP_URL in seller["body"]
    assert {(record.key or b"").decode() for record in broker.records(OUT)} == {CLIENT, SELLER}


async def test_an_order_on_which_nothing_is_due_is_told_as_well(broker: Broker, running: Process) -> None:
    event = builders.cancelled(ORDER, builders.tender(refunded_minor=4500))
    put(broker, ORDERS_EVENTS.name, "order.cancelled", event)
    await until_told(broker)
    assert who(broker) == {("client", "order.cancelled"): 1, ("seller", "order.cancelled"): 1}
    assert any("rien à vous rendre" in one["body"] for one in told(broker))


async def test_a_fact_that_comes_again_in_whatever_way_is_told_once(broker: Broker, running: Process) -> None:
    tenders = (builders.tender("tnd_1"), builders.tender("tnd_2", provider="wallet"))
    put(broker, ORDERS_EVENTS.name, "order.cancelled", builders.cancelled(ORDER, *tenders))
    await until_told(broker)
    first = [(message_id(record), record.value) for record in broker.records(OUT)]
    assert len(first) == 2, "two refunds, one cancellation"
    for number, record in enumerate(list(broker.records(REFUNDS_EVENTS.name))):
        # Itself again; under another id; and on another partition, where another process may read it.
        broker.put(REFUNDS_EVENTS.name, record.value, key=record.key, headers=record.headers)
        other = [(name, b"another" if name == "ce_id" else value) for name, value in record.headers]
        broker.put(REFUNDS_EVENTS.name, record.value, key=record.key, headers=other, partition=number % 2)
    await until_told(broker)
    await running.client.turns()
    assert [(message_id(record), record.value) for record in broker.records(OUT)] == first
    assert running.counted("annul_messages_total", worker=WORKER, label="duplicate") == 5


async def test_a_refund_is_told_corrected_and_told_again(broker: Broker, running: Process, observer: Any) -> None:
    put(broker, ORDERS_EVENTS.name, "order.cancelled", builders.cancelled())
    await until_told(broker)
    first = await move(observer, "succeeded", 2, settled_at=NOW)
    put(broker, REFUNDS_EVENTS.name, "refund.succeeded", first)
    await until_told(broker)
    assert "a été remboursée sur votre carte bancaire" in told(broker)[-1]["body"]
    assert "lundi 30 novembre 2026" in told(broker)[-1]["body"]
    assert told(broker)[-1]["facts"]["visible_by"] == "2026-11-30"

    bounce = await move(observer, "bounced", 3)
    put(broker, REFUNDS_EVENTS.name, "refund.bounced", bounce)
    put(broker, REFUNDS_EVENTS.name, "refund.succeeded", first)  # late, after it is no longer so
    await until_told(broker)
    assert told(broker)[-1]["facts"]["fact"] == "refund.bounced"
    assert "nous vous avons annoncé" in told(broker)[-1]["body"]
    assert who(broker)["seller", "refund.bounced"] == 0, "nobody had told the seller"

    put(broker, REFUNDS_EVENTS.name, "refund.succeeded", await move(observer, "succeeded", 5, settled_at=NOW))
    await until_told(broker)
    assert who(broker)["client", "refund.succeeded"] == 2
    assert len(told(broker)) == 5


async def test_the_seller_who_was_told_that_all_is_back_is_told_that_it_is_not(
    broker: Broker, running: Process, observer: Any
) -> None:
    put(broker, ORDERS_EVENTS.name, "order.cancelled", builders.cancelled())
    await until_told(broker)
    put(broker, REFUNDS_EVENTS.name, "refund.succeeded", await move(observer, "succeeded", 2, settled_at=NOW))
    put(broker, REFUNDS_EVENTS.name, "order.refunded", all_refunded())
    await until_told(broker)
    put(broker, REFUNDS_EVENTS.name, "refund.bounced", await move(observer, "bounced", 3))
    await until_told(broker)
    assert [one["facts"]["fact"] for one in told(broker) if one["recipient"]["kind"] == "seller"] == [
        "order.cancelled",
        "order.refunded",
        "refund.bounced",
    ]


async def test_a_redirect_is_told_as_what_is_to_come(broker: Broker, running: Process, observer: Any) -> None:
    put(broker, ORDERS_EVENTS.name, "order.cancelled", builders.cancelled())
    await until_told(broker)
    redirect = await move(observer, "redirected", 2)
    await observer.execute(
        """INSERT INTO refunds SELECT (jsonb_populate_record(r, jsonb_build_object('refund_id', 'rfd_wallet',
           'provider', 'wallet', 'idempotency_key', 'annul-2', 'state', 'requested', 'redirected_from', $1::text,
           'revision', 1))).* FROM refunds AS r WHERE refund_id = $1""",
        REFUND,
    )
    await observer.execute("UPDATE refunds SET redirected_to = 'rfd_wallet', revision = 3 WHERE refund_id = $1", REFUND)
    put(broker, REFUNDS_EVENTS.name, "refund.redirected", replace(redirect, redirected_to="rfd_wallet"))
    await until_told(broker)
    assert "Elle va à la place sur votre portefeuille" in told(broker)[-1]["body"]
    assert "remboursé" not in told(broker)[-1]["body"]


async def test_chat_words_reach_both_sides(broker: Broker, running: Process, observer: Any) -> None:
    put(broker, ORDERS_EVENTS.name, "order.cancelled", builders.cancelled())
    await until_told(broker)
    (scheduled,) = [json.loads(record.value or b"") for record in broker.records(CHATS_COMMANDS.name)]
    reminder = {**scheduled, "revision": scheduled["revision"] + 1}
    broker.put(
        CHATS_COMMANDS.name,
        json.dumps(reminder).encode(),
        key=b"cnv_1",
        headers=headers_of("chat.closing_soon", "evt_soon", NOW),
    )
    await until_told(broker)
    put(broker, ORDERS_EVENTS.name, "order.placed", builders.placed("ord_2", placed_at=builders.at(5)))
    await until_told(broker)
    chats = [(one["recipient"]["kind"], one["facts"]["fact"]) for one in told(broker) if one["about"] == "chat"]
    assert sorted(chats[:2]) == [("client", "chat.closing_soon"), ("seller", "chat.closing_soon")]
    assert sorted(chats[2:]) == [("client", "chat.stays_open"), ("seller", "chat.stays_open")]


async def test_an_order_placed_before_its_cancellation_is_known_is_told_once(broker: Broker, running: Process) -> None:
    put(broker, ORDERS_EVENTS.name, "order.placed", builders.placed("ord_2", placed_at=builders.at(5)))
    await until_told(broker)
    put(broker, ORDERS_EVENTS.name, "order.cancelled", builders.cancelled())
    await until_told(broker)
    cancelled = [one for one in told(broker) if one["about"] == "cancellation"]
    assert len(cancelled) == 2
    assert all("Le chat reste ouvert" in one["body"] for one in cancelled)


async def test_refusals_are_explained(broker: Broker, running: Process) -> None:
    put(broker, ORDERS_EVENTS.name, "order.cancelled", builders.cancelled())
    await until_told(broker)
    put(broker, ORDERS_EVENTS.name, "order.reactivation_requested", builders.reactivation())
    put(broker, ORDERS_EVENTS.name, "order.delivered", builders.delivered(occurred_at=builders.at(1)))
    request = PayoutRequested(
        payout_id="pay_1", order_id=ORDER, seller_id=SELLER, amount_minor=4_000, currency="EUR", requested_at=NOW
    )
    put(broker, PAYOUTS_REQUESTED.name, "payout.requested", request)
    await until_told(broker)
    refused = [one for one in told(broker) if one["about"] == "refused"]
    found = Counter((one["recipient"]["kind"], one["facts"].get("attempted", "payout")) for one in refused)
    assert found == {
        ("client", "order.reactivation_requested"): 1,
        ("seller", "order.reactivation_requested"): 1,
        ("seller", "order.delivered"): 1,
        ("seller", "payout"): 1,
    }
    assert all("40,00" in one["body"] for one in refused if "payout_id" in one["facts"])


async def test_of_orders_and_payouts_nobody_knows_nothing_is_told_and_nothing_breaks(
    broker: Broker, running: Process, observer: Any
) -> None:
    put(broker, REFUNDS_EVENTS.name, "refund.requested", event(refund_now()))
    put(broker, REFUNDS_EVENTS.name, "refund.succeeded", event(refund_now(state="succeeded")))
    broker.put(
        ORDERS_REFUSED.name,
        json.dumps(
            {"order_id": "ord_9", "attempted": "order.accepted", "reason": "x", "occurred_at": "2026-11-23T09:15:00Z"}
        ).encode(),
        headers=headers_of("order.refused", "evt_r", NOW),
    )
    broker.put(
        PAYOUTS_DECIDED.name,
        json.dumps(
            {"payout_id": "pay_9", "order_id": "ord_9", "reason": "not_completed", "decided_at": "2026-11-23T09:15:00Z"}
        ).encode(),
        headers=headers_of("payout.refused", "evt_p", NOW),
    )
    await until_told(broker)
    await running.client.turns()
    assert told(broker) == []
    assert running.counted("annul_messages_total", worker=WORKER, label="unaddressed") == 3
    assert await observer.fetchval("SELECT count(*) FROM parked_messages") == 0


def incoming(type_: str, *datas: Message) -> list[Incoming]:
    return [
        Incoming(
            Record(Partition("anywhere", 0), number, None, b"", ()),
            Envelope(f"evt_{number}", "/x", type_, None, None),
            data,
        )
        for number, data in enumerate(datas)
    ]


async def test_of_two_processes_that_read_one_fact_at_once_one_tells_it(
    broker: Broker, running: Process, database: Database, observer: Any
) -> None:
    put(broker, ORDERS_EVENTS.name, "order.cancelled", builders.cancelled())
    await until_told(broker)
    attempted = "order.reactivation_requested"

    async def decide(connection: Any) -> str:
        now = await connection.fetchval(sql("read_clock"))
        (verdict,) = await Notifications(None).record(connection, incoming("order.refused", refused(attempted)), now)
        return verdict.label

    async with database.transaction() as second:
        async with database.transaction() as first:
            assert await decide(first) == "applied"
            waiting = asyncio.create_task(decide(second))
            await until_someone_waits(observer)
        assert await waiting == "duplicate"


class Counting:
    """A connection that counts its statements."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.statements = 0

    async def fetch(self, *arguments: Any) -> Any:
        self.statements += 1
        return await self._connection.fetch(*arguments)


async def test_a_batch_of_any_size_takes_the_same_number_of_statements(
    broker: Broker, running: Process, database: Database
) -> None:
    many = [f"ord_{number}" for number in range(50)]
    for order_id in many:
        put(broker, ORDERS_EVENTS.name, "order.cancelled", builders.cancelled(order_id))
    await broker.until_read(group_of("cancellations"), ORDERS_EVENTS.name)
    events = [event(refund_now(refund_id=f"rfd_{order_id}", order_id=order_id), tender_id=TENDER) for order_id in many]
    counts = []
    for batch in (events[:1], events):
        async with database.transaction() as connection:
            counting = Counting(connection)
            await Notifications(None).record(counting, incoming("refund.requested", *batch), NOW + timedelta(hours=1))
            counts.append(counting.statements)
    assert counts[1] <= counts[0] + 1, "one more: there is something to insert"
    assert max(counts) < 10
