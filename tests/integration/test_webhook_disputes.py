"""Disputes as providers tell them hold an order's refunds back until they are closed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit.translating import GROUP, Desk
from kit.webhooks import (
    TOPIC,
    add_refund,
    paypal_event,
    paypal_refund,
    put_event,
    stripe_dispute,
    stripe_event,
)


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
