"""Events of providers become results and flags of our refunds: each once, in whatever order, never by a guess."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit import builders
from kit.broker import Broker
from kit.desk import Desk as CancelDesk
from kit.process import Process
from kit.provider import PlayedProvider, adapter_of
from kit.webhooks import (
    TOPIC,
    add_fact,
    add_refund,
    paypal_event,
    paypal_refund,
    put_event,
    stripe_dispute,
    stripe_event,
    stripe_refund,
)

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.refunds import RefundFlagged, RefundIssue, RefundResult
from schemas.topics import CATALOGUE, PARKED, REFUNDS_COMMANDS, REFUNDS_DUE, REFUNDS_RESULTS
from workers.consumers import group_of
from workers.pipeline.messages import read
from workers.store.database import Database
from workers.webhooks.translator import Translator

GROUP = group_of("webhooks")


class Desk:
    """A translator at work, and what it emitted."""

    def __init__(self, broker: Broker, process: Process, observer: Any) -> None:
        self.broker = broker
        self.process = process
        self.observer = observer

    async def take(self, *events: Any, sender: Any = "stripe") -> None:
        """One event after the other, each read before the next comes."""
        for event in events:
            put_event(self.broker, event, sender)
            await self.broker.until_read(GROUP, TOPIC)
        await self.process.client.turns()

    def results(self) -> list[RefundResult]:
        return [self._data(record, REFUNDS_RESULTS) for record in self.broker.records(REFUNDS_RESULTS.name)]

    def flags(self) -> list[RefundFlagged]:
        return [self._data(record, REFUNDS_DUE) for record in self.broker.records(REFUNDS_DUE.name)]

    def flagged(self) -> list[tuple[str, str, str]]:
        return sorted((one.order_id, one.refund_id, one.code) for one in self.flags())

    def parked(self) -> list[str]:
        return [dict(record.headers)["annul_reason"].decode() for record in self.broker.records(PARKED.name)]

    def labels(self) -> dict[str, float]:
        names = ("applied", "duplicate", "stale", "ignored", "parked")
        counted = {name: self.process.counted("annul_messages_total", label=name) for name in names}
        return {name: count for name, count in counted.items() if count}

    async def disputes(self) -> list[tuple[str, str, str, str, bool]]:
        rows = await self.observer.fetch("SELECT provider, dispute_id, reference, status, is_open FROM disputes")
        return sorted(tuple(row) for row in rows)

    @staticmethod
    def _data(record: Any, topic: Any) -> Any:
        message = read(record, topic.decoders())
        assert record.key == message.data.order_id.encode()  # type: ignore[union-attr]
        return message.data  # type: ignore[union-attr]


@pytest.fixture
async def desk(database_url: str, observer: Any) -> AsyncIterator[Desk]:
    broker = Broker([topic.name for topic in CATALOGUE], partitions=2)
    async with Process(broker, database_url) as process:
        process.pipeline(Translator(process.metrics))
        yield Desk(broker, process, observer)


# ---------------------------------------------------------------- refunds that are ours


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


# ---------------------------------------------------------------- again, and in any order


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


# ---------------------------------------------------------------- refunds that are not


async def alarms(desk: Desk) -> float:
    return desk.process.counted("annul_webhooks_of_unknown_refunds_total")


@pytest.mark.parametrize("ours", [None, "rfd_unknown"])
async def test_a_refund_of_an_unknown_payment_is_parked_and_alarmed(desk: Desk, observer: Any, ours: Any) -> None:
    await add_refund(observer)
    event = stripe_event("evt_1", "refund.created", stripe_refund(ours, id="re_9", payment_intent="pi_9"))
    await desk.take(event)
    assert (desk.parked(), await alarms(desk)) == (["unknown_refund"], 1)
    assert (desk.results(), desk.flags()) == ([], [])


@pytest.mark.parametrize("ours", [None, "rfd_unknown"])
async def test_a_refund_of_our_payment_that_nobody_asked_for_holds_our_refunds_of_it(
    desk: Desk, observer: Any, ours: Any
) -> None:
    await add_refund(observer)
    await add_refund(observer, "rfd_2", order_id="ord_2")
    await add_refund(observer, "rfd_3", order_id="ord_3", reference="pi_3")
    await add_refund(observer, "rfd_4", order_id="ord_1", provider="wallet", reference="pi_1")
    await desk.take(stripe_event("evt_1", "refund.created", stripe_refund(ours, id="re_9")))
    assert (desk.parked(), await alarms(desk)) == (["unknown_refund"], 1)
    code = "unknown_provider_refund"
    assert desk.flagged() == [("ord_1", "rfd_1", code), ("ord_2", "rfd_2", code)]
    assert {one.provider_refund_id for one in desk.flags()} == {"re_9"}
    assert desk.results() == []


async def test_what_was_parked_is_read_afresh_once_it_is_put_back(desk: Desk, observer: Any) -> None:
    event = stripe_event("evt_1", "refund.created", stripe_refund())
    await desk.take(event, event)
    assert desk.parked() == ["unknown_refund"] * 2
    await add_refund(observer)
    await desk.take(event, event)
    assert [one.refund_id for one in desk.results()] == ["rfd_1"]
    assert desk.labels() == {"parked": 2, "applied": 1, "duplicate": 1}


@pytest.mark.parametrize(
    ("refund", "named", "field"),
    [
        ({"provider": "paypal"}, {}, "provider"),
        ({"provider": "wallet"}, {}, "provider"),
        ({"reference": "pi_2"}, {}, "reference"),
        ({"reference": "pi_2"}, {"charge": "ch_1"}, "reference"),
    ],
)
async def test_a_refund_that_names_ours_and_is_of_another_payment_moves_nothing(
    desk: Desk, observer: Any, refund: dict[str, Any], named: dict[str, Any], field: str
) -> None:
    await add_refund(observer, **refund)
    await add_refund(observer, "rfd_2", order_id="ord_2")
    await desk.take(stripe_event("evt_1", "refund.updated", stripe_refund(**named)))
    assert (desk.results(), desk.parked()) == ([], ["contradicts_recorded"])
    (record,) = desk.broker.records(PARKED.name)
    assert dict(record.headers)["annul_field"].decode() == field
    assert ("ord_2", "rfd_2", "unknown_provider_refund") in desk.flagged(), "the payment's own refund waits"


async def test_either_name_of_the_payment_is_enough(desk: Desk, observer: Any) -> None:
    await add_refund(observer, reference="ch_1")
    await desk.take(stripe_event("evt_1", "refund.updated", stripe_refund(charge="ch_1")))
    assert [one.refund_id for one in desk.results()] == ["rfd_1"]


async def test_an_unknown_refund_beside_a_known_one_of_one_charge_hides_it_not(desk: Desk, observer: Any) -> None:
    await add_refund(observer)
    refunds = [stripe_refund("rfd_nobody", id="re_9"), stripe_refund("rfd_1")]
    charge = {"id": "ch_1", "payment_intent": "pi_1", "refunds": {"data": refunds}}
    await desk.take(stripe_event("evt_1", "charge.refunded", charge))
    assert [one.provider_refund_id for one in desk.results()] == ["re_1"]
    assert desk.parked() == ["unknown_refund"]


BEFORE = datetime.now(UTC) - timedelta(days=1)


async def cancelled(database: Database, provider: Any = "card", **changes: Any) -> RefundIssue:
    """An order of 45.00 EUR of which 10.00 had been refunded before."""
    money = {"captured_minor": 4500, "refunded_minor": 1000, "reference": "pi_1", **changes}
    (command,) = await CancelDesk(database).cancel(builders.ORDER, builders.tender(provider=provider, **money))
    return command


def of_before(**changes: Any) -> dict[str, Any]:
    return stripe_refund(
        None, **{"id": "re_old", "amount": 1000, "currency": "eur", "created": int(BEFORE.timestamp()), **changes}
    )


async def test_a_refund_that_the_cancellation_had_counted_is_no_news(desk: Desk, database: Database) -> None:
    command = await cancelled(database)
    await desk.take(stripe_event("evt_1", "refund.updated", of_before()))
    assert (desk.flags(), desk.parked(), desk.results(), await alarms(desk)) == ([], [], [], 0)
    assert desk.labels() == {"stale": 1}
    ours = stripe_refund(command.refund_id, amount=3500, currency="eur", created=int(datetime.now(UTC).timestamp()))
    charge = {"id": "ch_1", "payment_intent": "pi_1", "refunds": {"data": [ours, of_before(status="pending")]}}
    await desk.take(stripe_event("evt_2", "charge.refunded", charge))
    assert [one.provider_refund_id for one in desk.results()] == ["re_1"]
    assert (desk.flags(), desk.parked(), await alarms(desk)) == ([], [], 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 1001},
        {"currency": "usd"},
        {"currency": "jpy", "amount": 10},
        {"created": int(datetime.now(UTC).timestamp()) + 86_400},
        {"created": None},
        {"amount": None},
        {"amount": "1000"},
        {"amount": -5},
        {"currency": None},
        {"payment_intent": "pi_9"},
        {"status": "failed", "failure_reason": "lost_or_stolen_card"},
    ],
)
async def test_what_the_cancellation_may_not_have_counted_is_for_a_person(
    desk: Desk, database: Database, changes: dict[str, Any]
) -> None:
    await cancelled(database)
    await desk.take(stripe_event("evt_1", "refund.updated", of_before(**changes)))
    assert (desk.parked(), await alarms(desk)) == (["unknown_refund"], 1)
    assert [one.code for one in desk.flags()] == ["unknown_provider_refund"] * ("payment_intent" not in changes)


async def test_paypals_refund_that_the_cancellation_had_counted_is_no_news(desk: Desk, database: Database) -> None:
    await cancelled(database, "paypal", reference="8AC1")
    made: dict[str, Any] = {"create_time": BEFORE.isoformat(), "amount": {"value": "10.00", "currency_code": "EUR"}}
    await desk.take(paypal_event("WH-1", "PAYMENT.CAPTURE.REFUNDED", paypal_refund(None, **made)), sender="paypal")
    assert (desk.flags(), desk.parked(), desk.labels()) == ([], [], {"stale": 1})
    made["amount"] = {"value": "10.01", "currency_code": "EUR"}
    more = paypal_refund(None, **{**made, "id": "1Y2"})
    await desk.take(paypal_event("WH-2", "PAYMENT.CAPTURE.REFUNDED", more), sender="paypal")
    assert (desk.parked(), len(desk.flags())) == (["unknown_refund"], 1)


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


# ---------------------------------------------------------------- disputes


async def test_a_dispute_puts_the_orders_refunds_in_review(desk: Desk, observer: Any) -> None:
    await add_refund(observer, state="succeeded")
    await add_refund(observer, "rfd_2", provider="wallet", reference="wal_1")
    await add_refund(observer, "rfd_3", provider="paypal", reference="8AC3", state="succeeded")
    await add_refund(observer, "rfd_4", order_id="ord_4", reference="pi_4")
    await desk.take(stripe_event("evt_1", "charge.dispute.created", stripe_dispute()))
    assert desk.flagged() == [("ord_1", "rfd_1", "disputed"), ("ord_1", "rfd_2", "disputed")]
    assert await desk.disputes() == [
        ("card", "dp_1", "ch_1", "needs_response", True),
        ("card", "dp_1", "pi_1", "needs_response", True),
    ]
    await desk.take(
        stripe_event("evt_1", "charge.dispute.created", stripe_dispute()),
        stripe_event("evt_2", "charge.dispute.updated", stripe_dispute("under_review")),
    )
    assert len(desk.flags()) == 2, "only what opens a dispute is told"


async def test_a_dispute_that_was_won_is_closed_and_flags_nothing(desk: Desk, observer: Any) -> None:
    await add_refund(observer)
    await desk.take(stripe_event("evt_2", "charge.dispute.closed", stripe_dispute("won")))
    assert (desk.flags(), {row[4] for row in await desk.disputes()}) == ([], {False})
    assert desk.labels() == {"applied": 1}


async def test_a_dispute_that_was_lost_goes_on_holding_refunds_back(desk: Desk, observer: Any) -> None:
    await add_refund(observer)
    await desk.take(stripe_event("evt_1", "charge.dispute.closed", stripe_dispute("lost")))
    assert desk.flagged() == [("ord_1", "rfd_1", "disputed")]
    assert {row[3:] for row in await desk.disputes()} == {("lost", True)}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("apart_s", [0, 60])
async def test_an_older_event_never_opens_what_a_later_one_closed(
    desk: Desk, observer: Any, apart_s: int, together: bool
) -> None:
    await add_refund(observer)
    at = datetime.now(UTC) - timedelta(hours=1)
    closed = stripe_event("evt_2", "charge.dispute.closed", stripe_dispute("won"), at + timedelta(seconds=apart_s))
    opened = stripe_event("evt_1", "charge.dispute.created", stripe_dispute(), at)
    if together:
        put_event(desk.broker, closed)
        put_event(desk.broker, opened)
        await desk.take()
        await desk.broker.until_read(GROUP, TOPIC)
    else:
        await desk.take(closed, opened)
    assert {row[3:] for row in await desk.disputes()} == {("won", False)}
    assert together or desk.flags() == []


async def test_a_dispute_that_is_opened_anew_holds_refunds_back_again(desk: Desk, observer: Any) -> None:
    await add_refund(observer)
    at = datetime.now(UTC) - timedelta(hours=1)
    words = ["needs_response", "won", "needs_response"]
    await desk.take(
        *(
            stripe_event(f"evt_{n}", "charge.dispute.updated", stripe_dispute(word), at + timedelta(minutes=n))
            for n, word in enumerate(words)
        )
    )
    assert len(desk.flags()) == 2
    assert {row[4] for row in await desk.disputes()} == {True}


async def test_paypals_disputes_and_reversals(desk: Desk, observer: Any) -> None:
    await add_refund(observer, provider="paypal", reference="8AC1")
    await add_refund(observer, "rfd_2", order_id="ord_2", provider="paypal", reference="8AC2", state="succeeded")
    about = [{"seller_transaction_id": "8AC1"}]
    dispute = {"dispute_id": "PP-D-1", "disputed_transactions": about, "status": "OPEN"}
    await desk.take(paypal_event("WH-1", "CUSTOMER.DISPUTE.CREATED", dispute), sender="paypal")
    await desk.take(paypal_event("WH-2", "PAYMENT.CAPTURE.REVERSED", paypal_refund(None, "8AC2")), sender="paypal")
    assert desk.flagged() == [("ord_1", "rfd_1", "disputed"), ("ord_2", "rfd_2", "capture_reversed")]
    assert await desk.disputes() == [
        ("paypal", "1Y1", "8AC2", "REVERSED", True),
        ("paypal", "PP-D-1", "8AC1", "OPEN", True),
    ]


async def test_a_dispute_before_any_cancellation_is_kept_for_it(desk: Desk) -> None:
    await desk.take(stripe_event("evt_1", "charge.dispute.created", stripe_dispute()))
    assert (desk.flags(), desk.parked(), len(await desk.disputes())) == ([], [], 2)
