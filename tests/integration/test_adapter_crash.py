"""An adapter dies between its claim and the provider's answer: the money moves once, whatever the provider did."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from kit.broker import Broker
from kit.builders import cancelled
from kit.database import set_clock
from kit.notes import put_message
from kit.process import Process
from kit.provider import NOT_FOUND, SUCCEEDED, PlayedProvider, adapter_of

from schemas.refunds import RefundCommand, RefundIssue, RefundLookUp
from schemas.topics import ORDERS_EVENTS, REFUNDS_COMMANDS, REFUNDS_DUE, REFUNDS_RESULTS
from workers.adapter import Adapter
from workers.cancellations import Cancellations
from workers.consumers import group_of
from workers.domain.policy import Policy
from workers.pipeline.run import Limits
from workers.providers.port import Answer
from workers.refunds import Refunds

COMMANDS = REFUNDS_COMMANDS["card"].name
RESULTS = REFUNDS_RESULTS.name
GROUP = group_of("card")
LIMITS = Limits(batch_records=100, poll_s=0.05, drain_s=0.8)
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


async def lives_on(
    broker: Broker, url: str, observer: Any, answer: Callable[[RefundCommand], Answer]
) -> PlayedProvider:
    """An adapter dies with a call in flight; all workers go on, and time with them."""
    await set_clock(observer, START)
    policy = Policy()
    put_message(broker, ORDERS_EVENTS.name, "order.cancelled", cancelled(cancelled_at=START))
    silent = PlayedProvider()
    async with Process(broker, url) as dying:
        dying.pipeline(adapter_of(dying, silent), limits=LIMITS)
        async with Process(broker, url) as others:
            others.pipeline(Cancellations(policy), limits=LIMITS)
            await silent.until_asked(1)
    provider = PlayedProvider(answer=answer)
    async with Process(broker, url) as process:
        adapter = adapter_of(process, provider)
        process.pipeline(Refunds(policy.refunds, random.Random(1)), limits=LIMITS)
        process.pipeline(adapter, limits=LIMITS)
        process.timers()
        for step in range(1, 20):
            await set_clock(observer, START + timedelta(seconds=5 * step))
            await nothing_left_to_do(broker, observer, adapter)
    provider.asked[:0] = silent.asked
    return provider


async def nothing_left_to_do(broker: Broker, observer: Any, adapter: Adapter) -> None:
    """Everything due was sent, everything sent was read, and no call runs."""
    due = "SELECT count(*) FROM scheduled_messages WHERE state IN ('waiting', 'firing') AND due_at <= annul_now()"
    read = [(group_of("refunds"), RESULTS), (group_of("refunds"), REFUNDS_DUE.name), (GROUP, COMMANDS)]
    while await observer.fetchval(due) or adapter._calls or not all(broker.is_read(*one) for one in read):
        await broker.next_change()


async def test_a_crash_in_mid_call_is_looked_up_and_sent_again_under_the_same_key_where_nothing_is_found(
    broker: Broker, database_url: str, observer: Any
) -> None:
    provider = await lives_on(
        broker, database_url, observer, lambda one: SUCCEEDED if isinstance(one, RefundIssue) else NOT_FOUND
    )
    assert [(type(one), one.attempt) for one in provider.asked] == [
        (RefundIssue, 1),
        (RefundLookUp, 1),
        (RefundIssue, 2),
    ]
    assert len({one.idempotency_key for one in provider.asked}) == 1
    assert await observer.fetchval("SELECT state FROM refunds") == "succeeded"
    states = await observer.fetch("SELECT outcome, state_after FROM refund_observations ORDER BY observation_id")
    assert [tuple(row) for row in states] == [("not_found", "retrying"), ("succeeded", "succeeded")]
    assert await observer.fetchval("SELECT count(*) FROM ledger_transfers WHERE kind = 'refund_settled'") == 1


async def test_a_crash_in_mid_call_is_not_sent_again_where_the_look_up_finds_the_refund(
    broker: Broker, database_url: str, observer: Any
) -> None:
    provider = await lives_on(broker, database_url, observer, lambda _: SUCCEEDED)
    assert [(type(one), one.attempt) for one in provider.asked] == [(RefundIssue, 1), (RefundLookUp, 1)]
    assert await observer.fetchval("SELECT state FROM refunds") == "succeeded"
    assert await observer.fetchval("SELECT count(*) FROM ledger_transfers WHERE kind = 'refund_settled'") == 1
