"""Events about our refunds become results of theirs: each once, in whatever order, never by a guess."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit.broker import Broker
from kit.desk import Desk as CancelDesk
from kit.process import Process
from kit.provider import PlayedProvider, adapter_of
from kit.translating import GROUP, Desk
from kit.webhooks import (
    TOPIC,
    add_fact,
    add_refund,
    paypal_event,
    paypal_refund,
    put_event,
    stripe_event,
    stripe_refund,
)

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.refunds import RefundResult
from schemas.topics import CATALOGUE, REFUNDS_COMMANDS, REFUNDS_RESULTS
from workers.store.database import Database
from workers.webhooks.translator import Translator


async def test_a_refund_of_ours_becomes_a_result_of_its_present_attempt(desk: Desk, observer: Any) -> None:
    """Before any answer to the call, and before anybody knew the provider's id: a webhook may be the first to tell."""
    await add_refund(observer)
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=3)
    await desk.take(stripe_event("evt_1", "refund.created", stripe_refund(), at))
    assert desk.results() == [
        RefundResult(
            refund_id="rfd_1",
            order_id="ord_1",
            provider="card",
            attempt=2,
            outcome="succeeded",
            provider_refund_id="re_1",
            provider_code=None,
            message=None,
            observed_at=at,
            via="webhook",
        )
    ]
    assert (desk.flags(), desk.parked(), desk.labels()) == ([], [], {"applied": 1})


async def test_paypals_refund_is_found_by_its_custom_id(desk: Desk, observer: Any) -> None:
    await add_refund(observer, provider="paypal", reference="8AC1")
    failed = paypal_refund(status="FAILED", status_details={"reason": "PAYER_ACCOUNT_LOCKED_OR_CLOSED"})
    await desk.take(paypal_event("WH-1", "PAYMENT.REFUND.FAILED", failed), sender="paypal")
    (result,) = desk.results()
    assert (result.refund_id, result.provider, result.outcome) == ("rfd_1", "paypal", "declined")
    assert (result.provider_refund_id, result.provider_code) == ("1Y1", "PAYER_ACCOUNT_LOCKED_OR_CLOSED")


@pytest.mark.parametrize("ours", [None, "rfd_of_somebody", "not an id"])
async def test_without_a_usable_id_of_ours_it_is_found_by_the_providers(desk: Desk, observer: Any, ours: Any) -> None:
    await add_refund(observer)
    await add_refund(observer, "rfd_2", order_id="ord_2", reference="pi_2")
    await add_fact(observer, "rfd_2", "re_2")
    await desk.take(stripe_event("evt_1", "refund.failed", stripe_refund(ours, id="re_2", payment_intent="pi_2")))
    assert [(one.refund_id, one.order_id) for one in desk.results()] == [("rfd_2", "ord_2")]
    assert desk.parked() == []


async def test_an_id_of_the_providers_that_only_the_refund_itself_knows_will_do(desk: Desk, observer: Any) -> None:
    await add_refund(observer, provider_refund_id="re_1", state="pending")
    await desk.take(stripe_event("evt_1", "refund.updated", stripe_refund(None)))
    assert [one.refund_id for one in desk.results()] == ["rfd_1"]


async def test_the_refunds_that_a_charge_carries_become_a_result_each(desk: Desk, observer: Any) -> None:
    await add_refund(observer)
    await add_refund(observer, "rfd_2", order_id="ord_2")
    refunds = [stripe_refund("rfd_1"), stripe_refund("rfd_2", id="re_2", status="pending")]
    charge = {"id": "ch_1", "payment_intent": "pi_1", "refunds": {"data": refunds}}
    await desk.take(stripe_event("evt_1", "charge.refunded", charge))
    assert [(one.refund_id, one.outcome) for one in desk.results()] == [("rfd_1", "succeeded"), ("rfd_2", "pending")]


@pytest.mark.parametrize("off", [timedelta(days=-1000), timedelta(days=1)])
async def test_a_time_that_makes_no_sense_is_taken_for_now(desk: Desk, observer: Any, off: timedelta) -> None:
    await add_refund(observer)
    before = datetime.now(UTC)
    await desk.take(stripe_event("evt_1", "refund.updated", stripe_refund(), before + off))
    assert before - timedelta(seconds=5) < desk.results()[0].observed_at < datetime.now(UTC) + timedelta(seconds=5)


async def test_a_webhook_that_outruns_the_answer_to_the_call_is_told_before_it(
    database_url: str, database: Database
) -> None:
    broker = Broker([topic.name for topic in CATALOGUE], partitions=2)
    (command,) = await CancelDesk(database).cancel()
    commands, provider = REFUNDS_COMMANDS["card"].name, PlayedProvider()
    async with Process(broker, database_url) as process:
        process.pipeline(adapter_of(process, provider))
        process.pipeline(Translator(process.metrics))
        headers = headers_of("refund.issue", "cmd_1", command.issued_at)
        broker.put(commands, encode(command), key=command.order_id.encode(), headers=headers)
        await provider.until_asked(1)
        refund = stripe_refund(command.refund_id, payment_intent=command.reference)
        put_event(broker, stripe_event("evt_1", "refund.created", refund))
        await broker.until(lambda: len(broker.records(REFUNDS_RESULTS.name)) == 1)
        provider.answer_all()
        await broker.until(lambda: len(broker.records(REFUNDS_RESULTS.name)) == 2)
        results = Desk(broker, process, None).results()
    assert [one.via for one in results] == ["webhook", "call"]
    said = {(one.refund_id, one.attempt, one.outcome, one.provider_refund_id) for one in results}
    assert said == {(command.refund_id, 1, "succeeded", "re_1")}, "both say the same of the same"


async def test_an_event_that_comes_again_says_nothing_new(desk: Desk, observer: Any) -> None:
    await add_refund(observer)
    event = stripe_event("evt_1", "refund.updated", stripe_refund())
    await desk.take(event, event, {**event, "type": "refund.failed"})
    put_event(desk.broker, event)
    put_event(desk.broker, event)
    await desk.broker.until_read(GROUP, TOPIC)
    await desk.process.client.turns()
    assert len(desk.results()) == 1
    assert desk.labels() == {"applied": 1, "duplicate": 4}


async def test_of_copies_in_one_batch_one_counts(database_url: str, observer: Any) -> None:
    broker = Broker([topic.name for topic in CATALOGUE], partitions=2)
    await add_refund(observer)
    for _ in range(3):
        put_event(broker, stripe_event("evt_1", "refund.updated", stripe_refund()))
    async with Process(broker, database_url) as process:
        process.pipeline(Translator(process.metrics))
        await broker.until_read(GROUP, TOPIC)
    assert len(broker.records(REFUNDS_RESULTS.name)) == 1


async def test_the_same_id_at_another_provider_is_another_event(desk: Desk, observer: Any) -> None:
    await add_refund(observer)
    await add_refund(observer, "rfd_2", order_id="ord_2", provider="paypal", reference="8AC1")
    await desk.take(stripe_event("evt_1", "refund.updated", stripe_refund()))
    await desk.take(paypal_event("evt_1", "PAYMENT.CAPTURE.REFUNDED", paypal_refund("rfd_2")), sender="paypal")
    assert [one.refund_id for one in desk.results()] == ["rfd_1", "rfd_2"]


async def test_events_out_of_order_are_all_told_each_under_its_own_id(desk: Desk, observer: Any) -> None:
    """Which of them still counts is decided where refunds are, by what only moves forward."""
    await add_refund(observer)
    failed = stripe_refund(status="failed", failure_reason="expired_or_canceled_card")
    await desk.take(
        stripe_event("evt_3", "refund.failed", failed),
        stripe_event("evt_1", "refund.created", stripe_refund(status="pending")),
        stripe_event("evt_2", "refund.updated", stripe_refund()),
    )
    assert [one.outcome for one in desk.results()] == ["declined", "pending", "succeeded"]
    ids = [dict(record.headers)["ce_id"] for record in desk.broker.records(REFUNDS_RESULTS.name)]
    assert len(set(ids)) == 3


async def test_what_was_recorded_is_sent_by_the_next_process_where_the_first_died(
    database_url: str, observer: Any
) -> None:
    broker = Broker([topic.name for topic in CATALOGUE], partitions=2)
    await add_refund(observer)
    put_event(broker, stripe_event("evt_1", "refund.updated", stripe_refund()))
    async with Process(broker, database_url) as first:
        first.client.at["send"] = first.crash
        first.pipeline(Translator(first.metrics))
        await broker.until(lambda: first.client._dead)
    assert broker.records(REFUNDS_RESULTS.name) == []
    async with Process(broker, database_url) as second:
        second.pipeline(Translator(second.metrics))
        await broker.until_read(GROUP, TOPIC)
    assert len(broker.records(REFUNDS_RESULTS.name)) == 1


@pytest.mark.parametrize(
    ("event", "sender", "reason"),
    [
        (b"{", "stripe", "malformed_json"),
        (b'{"id":"evt_1","data":' + b"[" * 100_000, "stripe", "malformed_json"),
        (b"{}", "stripe", "missing_field"),
        (b'{"id":"a b","type":"refund.updated"}', "stripe", "invalid_field"),
        (b'{"id":"evt_1"}', "stripe", "missing_field"),
        (b'{"id":"evt_1","type":"refund.updated","data":7}', "stripe", "invalid_field"),
        (stripe_event("evt_1", "refund.updated", stripe_refund(status="on_hold")), "stripe", "invalid_field"),
        (stripe_event("evt_1", "refund.updated", stripe_refund(id="\0")), "stripe", "invalid_field"),
        (stripe_event("evt_1", "charge.dispute.created", {"id": "dp_1"}), "stripe", "missing_field"),
        (paypal_event("WH-1", "PAYMENT.REFUND.FAILED", None), "paypal", "invalid_field"),
        (stripe_event("evt_1", "refund.updated", stripe_refund()), None, "bad_envelope"),
        (stripe_event("evt_1", "refund.updated", stripe_refund()), "klarna", "bad_envelope"),
    ],
)
async def test_what_can_not_be_read_is_parked_and_the_partition_goes_on(
    desk: Desk, observer: Any, event: Any, sender: Any, reason: str
) -> None:
    await add_refund(observer)
    await desk.take(event, sender=sender)
    await desk.take(stripe_event("evt_1", "refund.updated", stripe_refund()))
    assert desk.parked() == [reason]
    assert len(desk.results()) == 1, "nor is an event that was parked taken for seen"


async def test_an_event_of_no_concern_is_counted_and_kept_once(desk: Desk, observer: Any) -> None:
    await desk.take(
        stripe_event("evt_1", "payment_intent.succeeded", {"id": "pi_1"}),
        stripe_event("evt_1", "payment_intent.succeeded", {"id": "pi_1"}),
        stripe_event("evt_2", "x" * 500 + "\0", {"id": "pi_1"}),
    )
    assert desk.labels() == {"ignored": 2, "duplicate": 1}
    rows = await observer.fetch("SELECT provider, event_id, kind FROM provider_events ORDER BY 2")
    kept = [tuple(row) for row in rows]
    assert kept == [("stripe", "evt_1", "payment_intent.succeeded"), ("stripe", "evt_2", "other")]
