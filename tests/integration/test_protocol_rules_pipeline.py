"""The rules about transactions and redelivery (9 and 10), with processes that meet and die."""

import asyncio
import random
from typing import Any

import pytest
from kit import builders
from kit.broker import Broker
from kit.database import until_someone_waits
from kit.desk import Desk, messages_of
from kit.hooks import Hold
from kit.notes import put_message
from kit.process import Process

from schemas.payouts import PayoutRequested
from schemas.refunds import RefundIssue
from schemas.topics import CATALOGUE, REFUNDS_COMMANDS, REFUNDS_RESULTS
from workers.cancellations import Cancellations
from workers.consumers import group_of
from workers.domain.policy import Policy, RefundPolicy
from workers.payouts import Payouts
from workers.refunds import Refunds
from workers.store.database import Database

RESULTS = REFUNDS_RESULTS.name
WALLET = REFUNDS_COMMANDS["wallet"].name
REQUEST = PayoutRequested(
    payout_id="pay_1",
    order_id=builders.ORDER,
    seller_id=builders.SELLER,
    amount_minor=4500,
    currency="EUR",
    requested_at=builders.NOW,
)


async def both_ways(observer: Any) -> tuple[int, int]:
    """How many refunds and how many payouts of the order there are."""
    refunds = await observer.fetchval("SELECT count(*) FROM refunds")
    return refunds, await observer.fetchval("SELECT count(*) FROM payouts WHERE allowed")


async def test_rule_9_a_cancellation_under_way_keeps_a_completion_and_its_payout_waiting(
    database: Database, observer: Any
) -> None:
    """Loaded before the lock, the order would look as if nobody had cancelled it: refund *and* payout."""
    desk, orders = Desk(database), Cancellations(Policy())
    await desk.decide(orders, builders.accepted())
    async with desk.transaction() as cancelling:
        verdicts = await desk.decide_in(cancelling, orders, builders.cancelled())
        assert [type(one) for one in messages_of(verdicts)].count(RefundIssue) == 1
        completing = asyncio.create_task(desk.decide(orders, builders.completed()))
        await until_someone_waits(observer)
    await completing
    await desk.decide(Payouts(), REQUEST)
    assert await both_ways(observer) == (1, 0)


async def test_rule_9_a_payout_under_way_keeps_a_cancellation_waiting(database: Database, observer: Any) -> None:
    desk, orders = Desk(database), Cancellations(Policy())
    await desk.decide(orders, builders.completed())
    async with desk.transaction() as paying:
        await desk.decide_in(paying, Payouts(), REQUEST)
        cancelling = asyncio.create_task(desk.decide(orders, builders.cancelled()))
        await until_someone_waits(observer)
    (verdict,) = await cancelling
    assert verdict.label == "parked"
    assert await both_ways(observer) == (0, 1)


async def test_rule_9_of_two_decisions_on_one_refund_the_second_sees_what_the_first_did(
    database: Database, observer: Any
) -> None:
    """A success and a decline at once: decided on the same row, the wallet would be paid beside the card."""
    desk, handler = Desk(database), Refunds(RefundPolicy(), random.Random(1))
    await desk.cancel()
    async with desk.transaction() as first:
        await desk.decide_in(first, handler, builders.result(provider_refund_id="re_1"))
        second = asyncio.create_task(desk.decide(handler, builders.result("declined", provider_code="stolen")))
        await until_someone_waits(observer)
    assert messages_of(await second) == []
    assert await observer.fetchval("SELECT state FROM refunds") == "succeeded"


@pytest.fixture
def broker() -> Broker:
    return Broker([topic.name for topic in CATALOGUE], partitions=1)


async def test_rule_10_a_crash_between_commit_and_emit_of_a_redirect_leaves_the_wallets_command_to_the_next_owner(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    """Decided again, the redelivered answer would change nothing any more, and the wallet would never hear of it."""
    await Desk(database).cancel()
    declined = builders.result("declined", provider_code="expired_or_canceled_card")
    absent = builders.result("not_found", via="look_up", look_up_no=2)
    hold = Hold(let_by=1)
    async with Process(broker, database_url) as dying:
        dying.client.at["send"] = hold
        dying.pipeline(Refunds(RefundPolicy(), random.Random(1)))
        put_message(broker, RESULTS, "refund.result", declined, 0, "evt_1")
        await broker.until_read(group_of("refunds"), RESULTS)
        put_message(broker, RESULTS, "refund.result", absent, 0, "evt_2")
        await hold.reached.wait()
    assert await observer.fetchval("SELECT count(*) FROM refunds WHERE state = 'redirected'") == 1
    assert broker.records(WALLET) == []
    async with Process(broker, database_url) as next_owner:
        next_owner.pipeline(Refunds(RefundPolicy(), random.Random(1)))
        await broker.until(lambda: len(broker.records(WALLET)) == 1)
        await broker.until_read(group_of("refunds"), RESULTS)
    (record,) = broker.records(WALLET)
    command = REFUNDS_COMMANDS["wallet"].decoders()["refund.issue"].decode(record.value or b"")
    successor = await observer.fetchval("SELECT refund_id FROM refunds WHERE redirected_from IS NOT NULL")
    assert command.refund_id == successor
    assert await observer.fetchval("SELECT count(*) FROM refund_observations") == 2


async def test_burn_12_a_frozen_process_wakes_with_rows_of_work_that_another_one_has_done(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    """It is refused at the offsets before it loads or decides anything."""
    await Desk(database).cancel()
    frozen_at = Hold()
    async with Process(broker, database_url) as frozen, Process(broker, database_url) as other:
        frozen.database.before_transaction = frozen_at
        frozen.pipeline(Refunds(RefundPolicy(), random.Random(1)))
        put_message(broker, RESULTS, "refund.result", builders.result("retryable"), 0, "evt_1")
        await frozen_at.reached.wait()
        member = frozen.client.members[0]
        member.deaf = True
        broker.expire(member)
        other.pipeline(Refunds(RefundPolicy(), random.Random(1)))
        await broker.until_read(group_of("refunds"), RESULTS)
        frozen_at.let_go()
        await frozen.client.turns()
    assert await observer.fetchval("SELECT count(*) FROM refund_observations") == 1
    assert await observer.fetchval("SELECT revision FROM refunds") == 2
