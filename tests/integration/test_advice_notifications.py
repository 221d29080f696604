"""An advice on its way to the seller: through timers and its topic to one notification, in their language."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from kit import builders
from kit.advising import HELP_URL, TIPS, advice, judged
from kit.broker import Broker
from kit.builders import NOW, SELLER
from kit.database import set_clock
from kit.process import Process

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.sellers import SellerAdvice
from schemas.topics import NOTIFICATIONS_REQUESTED, ORDERS_EVENTS, SELLERS_ADVICE
from workers.cancellations import Cancellations
from workers.consumers import group_of
from workers.domain.policy import Policy
from workers.notifications import Notifications
from workers.sellers.advice import record_standings


@pytest.fixture
async def running(broker: Broker, database_url: str, observer: Any) -> AsyncIterator[Process]:
    """What decides orders, sends what is due and tells people, at NOW."""
    await set_clock(observer, NOW)
    async with Process(broker, database_url) as process:
        process.pipeline(Cancellations(Policy()))
        process.pipeline(Notifications(HELP_URL))
        process.timers()
        yield process


def told(broker: Broker) -> list[dict[str, Any]]:
    """Notifications about an advice."""
    every = [json.loads(record.value or b"") for record in broker.records(NOTIFICATIONS_REQUESTED.name)]
    return [one for one in every if one["about"] == "advice"]


async def cancel(broker: Broker, order_id: str, locale: str | None, minutes: int = 0) -> None:
    """An order of the seller is cancelled, who reads in `locale`."""
    cancelled = builders.cancelled(order_id, seller_locale=locale, cancelled_at=builders.at(minutes))
    headers = headers_of("order.cancelled", f"evt_{order_id}", NOW)
    broker.put(ORDERS_EVENTS.name, encode(cancelled), key=b"key", headers=headers, partition=0)
    await broker.until_read(group_of("cancellations"), ORDERS_EVENTS.name)


async def advise(broker: Broker, *advices: SellerAdvice) -> None:
    """What the sellers' worker decided, as it is on the topic."""
    for number, one in enumerate(advices):
        headers = headers_of("seller.advice", f"msg_{number}", NOW)
        broker.put(SELLERS_ADVICE.name, encode(one), key=one.seller_id.encode(), headers=headers, partition=0)
    await broker.until_read(group_of("notifications"), SELLERS_ADVICE.name)


async def test_from_a_crossing_to_the_seller(broker: Broker, running: Process) -> None:
    await cancel(broker, "ord_1", "fr-FR")
    assert await record_standings(running.database, [judged()], NOW, HELP_URL) == 1
    await broker.until(lambda: len(told(broker)) == 1)
    (one,) = told(broker)
    assert one["recipient"] == {"kind": "seller", "id": SELLER}
    assert (one["order_id"], one["locale"]) == (None, "fr-FR")
    assert one["subject"] == "Vos annulations dépassent la moyenne des autres vendeurs"
    assert [tip for tip in TIPS["fr"] if tip not in one["body"]] == []
    assert "soit 35\u00a0%" in one["body"].replace("\u202f", "\u00a0")
    assert HELP_URL in one["body"]
    (record,) = broker.records(SELLERS_ADVICE.name)
    assert json.loads(record.value or b"")["numbers"]["cancelled"] == one["facts"]["cancelled"] == 7


async def test_an_advice_is_told_once_however_often_it_comes(broker: Broker, running: Process, observer: Any) -> None:
    await cancel(broker, "ord_1", "en-GB")
    await advise(broker, advice(), advice())
    await advise(broker, advice())
    (one,) = told(broker)
    assert one["locale"] == "en-GB"
    assert "7 were cancelled: 35%" in one["body"]
    rows = await observer.fetch("SELECT order_id, recipient_kind FROM notices WHERE about = 'advice'")
    assert [tuple(row) for row in rows] == [(None, "seller")]
    await advise(broker, advice(issued_at=NOW + timedelta(days=40)))
    assert len(told(broker)) == 2, "the next advice is news"


async def test_the_last_known_locale_of_the_seller_counts(broker: Broker, running: Process) -> None:
    await cancel(broker, "ord_1", "en-GB", minutes=5)
    await cancel(broker, "ord_2", "fr-CH")
    await cancel(broker, "ord_3", None)
    await advise(broker, advice())
    assert [one["locale"] for one in told(broker)] == ["fr-CH"]


async def test_a_seller_of_unknown_locale_reads_english(broker: Broker, running: Process) -> None:
    await cancel(broker, "ord_1", None)
    await advise(broker, advice(), advice("sel_unknown"))
    assert [(one["recipient"]["id"], one["locale"]) for one in told(broker)] == [(SELLER, "en"), ("sel_unknown", "en")]
    assert all(one["body"].startswith("Of your 20 orders") for one in told(broker))


async def test_advice_and_an_orders_news_in_one_batch_are_both_told(broker: Broker, running: Process) -> None:
    await cancel(broker, "ord_1", "fr-FR")
    await advise(broker, advice("sel_2"))
    await broker.until(lambda: len(broker.records(NOTIFICATIONS_REQUESTED.name)) == 3)
    about = [json.loads(record.value or b"")["about"] for record in broker.records(NOTIFICATIONS_REQUESTED.name)]
    assert sorted(about) == ["advice", "cancellation", "cancellation"]
