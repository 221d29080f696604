"""Events about refunds that are not ours: parked, flagged where they touch our payments, or known from before."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit import builders
from kit.desk import Desk as CancelDesk
from kit.translating import Desk
from kit.webhooks import (
    add_refund,
    paypal_event,
    paypal_refund,
    stripe_event,
    stripe_refund,
)

from schemas.refunds import RefundIssue
from schemas.topics import PARKED
from workers.store.database import Database


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
