"""`annul verify --topics` against a real Kafka: what was read from the orders topic."""

import re

import pytest
from kit.fed_topics import FedTopics
from kit.feed import break_rows
from kit.population import settings_for

from schemas.topics import ORDERS_EVENTS
from workers.insight.topic_reader import NoTopicError
from workers.insight.verify import verify
from workers.local.kafka import LocalKafka


async def test_topics_that_agree_break_nothing(topics: FedTopics) -> None:
    await topics.tell(*(await topics.rows()).values())
    async with topics.at_work():
        assert await topics.violations() == []


async def test_a_cancellation_neither_recorded_nor_parked_is_told(topics: FedTopics) -> None:
    await break_rows(topics.url, "DELETE FROM orders WHERE order_id = 'ord_pending'", "DELETE FROM parked_messages")
    found = [one for one in await topics.violations() if "recorded nor parked" in one[2]]
    unread = f"{topics.prefix}orders.events.v1:0:22"
    assert {invariant for invariant, _, _ in found} == {"I4"}
    assert {subject for _, subject, _ in found} == {"ord_pending", "ord_refunded", unread}
    assert all(re.search(r"orders\.events\.v1:0:\d+", detail) for _, _, detail in found)


async def test_another_topic_of_that_name_is_no_excuse(topics: FedTopics) -> None:
    await break_rows(topics.url, "UPDATE parked_messages SET topic_id = 'of the topic before'")
    assert {subject for _, subject, _ in await topics.violations()} == {
        "ord_refunded",
        f"{topics.prefix}orders.events.v1:0:22",
    }


async def test_only_what_the_database_decided_is_asked_after(topics: FedTopics) -> None:
    (record, *_) = [one for one in topics.feed.records(ORDERS_EVENTS.name) if b"ord_pending" in (one.value or b"")]
    other = (record.value or b"").replace(b"ord_pending", b"ord_not_yet")
    await topics.send(ORDERS_EVENTS.name, other, record.key, record.headers)
    assert await topics.violations() == []
    await break_rows(
        topics.url, "UPDATE consumer_offsets SET next_offset = next_offset + 1 WHERE topic LIKE '%orders.events.v1'"
    )
    assert [subject for _, subject, _ in await topics.violations()] == ["ord_not_yet"]


async def test_a_topic_that_ends_before_what_was_decided_is_told(topics: FedTopics) -> None:
    await break_rows(topics.url, "UPDATE consumer_offsets SET next_offset = 500 WHERE topic LIKE '%orders.events.v1'")
    ((invariant, subject, detail),) = await topics.violations()
    assert (invariant, subject) == ("I4", f"{topics.prefix}orders.events.v1:0")
    assert detail == "decided up to 500, and the topic ends at 23"


async def test_a_missing_topic_is_said(kafka: LocalKafka, database_url: str) -> None:
    settings = settings_for(database_url, kafka_bootstrap_servers=kafka.bootstrap, topic_prefix="nowhere.")
    with pytest.raises(NoTopicError, match="nowhere"):
        await verify(settings, topics=True)
