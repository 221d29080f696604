"""What can't be processed is kept byte for byte, in PostgreSQL and on its topic, and the partition goes on."""

import random
from datetime import datetime
from typing import Any

import pytest
from kit.broker import Broker
from kit.builders import cancelled, cancelled_json, tender
from kit.notes import header, put_message
from kit.process import Process

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.topics import CATALOGUE, ORDERS_EVENTS, PARKED, REFUNDS_COMMANDS, REFUNDS_RESULTS
from workers.cancellations import Cancellations
from workers.consumers import group_of
from workers.domain.policy import Policy, RefundPolicy
from workers.pipeline.messages import unpack_headers
from workers.pipeline.parking import REDRIVEN_FROM
from workers.pipeline.ports import Record
from workers.refunds import Refunds

GROUP = group_of("cancellations")
IN = ORDERS_EVENTS.name
SPOILT = PARKED.name
ADDED = (
    "annul_parked_id annul_reason annul_field annul_detail annul_stage annul_topic annul_partition annul_offset"
    " annul_parked_at"
).split()
ODD_HEADERS = [("ce_id", b"\xff\xfe"), ("x-empty", b""), ("x-twice", b"1"), ("x-twice", b"\0"), ("ünïcode", b"2")]


@pytest.fixture
def broker() -> Broker:
    return Broker([topic.name for topic in CATALOGUE], partitions=1)


def _bad_money() -> bytes:
    return encode(cancelled_json(escrow={"currency": "XXX", "tenders": []}))


RECORDS: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]], str]] = [
    (None, None, [], "tombstone"),
    (b"ord_1", None, [("any", b"thing")], "tombstone"),
    (None, b"{", headers_of("order.placed", "evt_1", datetime.now().astimezone()), "malformed_json"),
    (b"\0\xff", b"\0\xff", ODD_HEADERS, "bad_envelope"),
    (b"", b"", [], "bad_envelope"),
    (b"ord_1", b"x" * 1_000_000, [], "too_large"),
    (b"ord_1", b"{}", headers_of("order.e\0aten", "evt_1", datetime.now().astimezone()), "unknown_type"),
    (b"ord_1", _bad_money(), headers_of("order.cancelled", "evt_1", datetime.now().astimezone()), "invalid_field"),
]


@pytest.mark.parametrize(("key", "value", "headers", "reason"), RECORDS)
async def test_the_row_and_the_copy_hold_the_original_bytes_and_say_why(
    broker: Broker,
    database_url: str,
    observer: Any,
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes]],
    reason: str,
) -> None:
    broker.put(IN, value, key=key, headers=headers)
    put_message(broker, IN, "order.cancelled", cancelled("ord_after"))
    async with Process(broker, database_url) as process:
        process.pipeline(Cancellations(Policy()))
        await broker.until_read(GROUP, IN)
    (row,) = await observer.fetch("SELECT * FROM parked_messages")
    assert (row["key"], row["value"], unpack_headers(row["headers"])) == (key, value, headers)
    assert (row["reason"], row["stage"], row["parked_id"], row["status"]) == (reason, "decode", f"{IN}:0:0", "parked")
    assert (row["topic_id"], row["consumer_group"]) == (broker.topic_id(IN), GROUP)
    (copy,) = broker.records(SPOILT)
    assert (copy.key, copy.value, list(copy.headers[: len(headers)])) == (key, value, headers)
    assert [name for name, _ in copy.headers[len(headers) :]] == ADDED
    told = {name: header(copy, name) for name in ADDED}
    assert datetime.fromisoformat(told.pop("annul_parked_at")) == row["parked_at"]
    assert told == {
        "annul_parked_id": row["parked_id"],
        "annul_reason": reason,
        "annul_field": row["field"],
        "annul_detail": row["detail"],
        "annul_stage": "decode",
        "annul_topic": IN,
        "annul_partition": "0",
        "annul_offset": "0",
    }
    assert await observer.fetchval("SELECT count(*) FROM orders WHERE order_id = 'ord_after'") == 1


async def test_a_cancellation_with_other_money_is_parked_and_refunds_nothing_twice(
    broker: Broker, database_url: str, observer: Any
) -> None:
    put_message(broker, IN, "order.cancelled", cancelled())
    other = put_message(broker, IN, "order.cancelled", cancelled("ord_1", tender(captured_minor=9999)))
    async with Process(broker, database_url) as process:
        process.pipeline(Cancellations(Policy()))
        await broker.until_read(GROUP, IN)
    (row,) = await observer.fetch("SELECT * FROM parked_messages")
    assert (row["reason"], row["stage"], row["value"]) == ("contradicts_recorded", "decide", other.value)
    assert (row["order_id"], row["message_id"], row["message_type"]) == ("ord_1", "evt_ord_1", "order.cancelled")
    assert await observer.fetchval("SELECT sum(amount_minor) FROM refunds") == 4500
    assert len(broker.records(REFUNDS_COMMANDS["card"].name)) == 1


async def test_a_redriven_message_says_under_which_id_it_was_parked_before(
    broker: Broker, database_url: str, observer: Any
) -> None:
    first = broker.put(IN, b"{", key=b"ord_1", headers=[("x", b"y")])
    broker.put(IN, first.value, key=first.key, headers=[*first.headers, (REDRIVEN_FROM, b"orders\0:\xff0:0")])
    async with Process(broker, database_url) as process:
        process.pipeline(Cancellations(Policy()))
        await broker.until_read(GROUP, IN)
    rows = await observer.fetch("SELECT earlier_parked_id FROM parked_messages ORDER BY record_offset")
    assert [row[0] for row in rows] == [None, "orders:�0:0"]


async def test_a_number_that_fits_the_message_but_no_column_holds_up_nobody(
    broker: Broker, database_url: str, observer: Any
) -> None:
    """`attempt` may be as large as 2^53 in the contract; the driver refuses it before PostgreSQL sees it."""
    put_message(broker, IN, "order.cancelled", cancelled())
    async with Process(broker, database_url) as process:
        process.pipeline(Cancellations(Policy()))
        await broker.until_read(GROUP, IN)
        (refund_id,) = await observer.fetchrow("SELECT refund_id FROM refunds")
        for attempt in (1, 2**53, 1):
            _put_result(broker, refund_id, attempt)
        process.pipeline(Refunds(RefundPolicy(), random.Random(1)))
        await broker.until_read(group_of("refunds"), REFUNDS_RESULTS.name)
    (row,) = await observer.fetch("SELECT * FROM parked_messages")
    assert (row["reason"], row["record_offset"]) == ("cannot_be_recorded", 1)
    assert await observer.fetchval("SELECT count(*) FROM refund_observations") == 2


def _put_result(broker: Broker, refund_id: str, attempt: int) -> Record:
    said = {
        "refund_id": refund_id,
        "order_id": "ord_1",
        "provider": "card",
        "attempt": attempt,
        "outcome": "retryable",
        "observed_at": "2026-11-23T09:15:00Z",
        "via": "call",
    }
    headers = headers_of("refund.result", f"msg_{attempt}", datetime.now().astimezone())
    return broker.put(REFUNDS_RESULTS.name, encode(said), key=b"ord_1", headers=headers)
