"""What the order service sees when it speaks to a running Annul through topics alone."""

import json

import pytest
from kit.client import ForeignClient, Seen, cancellation, fresh, now_text, tender
from kit.command import run_annul

from workers.demo.running import RunningAnnul


@pytest.mark.parametrize("structured", [False, True], ids=["binary", "structured"])
async def test_a_cancellation_becomes_commands_results_events_chat_messages_and_statistics(
    client: ForeignClient, structured: bool
) -> None:
    tenders = [
        tender("card", fresh("pi"), 4500),
        tender("paypal", fresh("CAP"), 1250, 250),
        tender("wallet", "wal_1", 500),
    ]
    cancelled = cancellation(*tenders)
    order_id = cancelled["order_id"]
    await client.publish("order.cancelled", cancelled, structured=structured)

    refunded = (await client.event(order_id, "order.refunded")).data
    assert refunded["amount_minor"] == 4500 + 1000 + 500
    assert refunded["currency"] == "EUR"

    commands = {seen.data["provider"]: seen for seen in client.of(order_id, "refund.issue")}
    assert {provider: seen.data["amount_minor"] for provider, seen in commands.items()} == {
        "card": 4500,
        "paypal": 1000,
        "wallet": 500,
    }
    for seen in commands.values():
        assert seen.key == order_id.encode()
        assert seen.headers["ce_specversion"] == b"1.0"
        assert seen.headers["content-type"] == b"application/json"
        assert {"ce_id", "ce_source", "ce_time"} <= seen.headers.keys()
        assert {"refund_id", "tender_id", "reference", "idempotency_key", "attempt", "first_issued_at"} <= (
            seen.data.keys()
        )
    outcomes = {seen.data["provider"]: seen.data["outcome"] for seen in client.of(order_id, "refund.result")}
    assert outcomes == {"card": "succeeded", "paypal": "succeeded", "wallet": "succeeded"}
    requested, succeeded = client.of(order_id, "refund.requested"), client.of(order_id, "refund.succeeded")
    assert {seen.data["state"] for seen in requested} == {"requested"}
    assert len({seen.data["refund_id"] for seen in succeeded}) == 3
    before = {seen.data["refund_id"]: seen.data["revision"] for seen in requested}
    assert all(seen.data["revision"] > before[seen.data["refund_id"]] for seen in succeeded)
    assert all(seen.data["visible_by"] for seen in succeeded)

    scheduled = (await client.event(order_id, "chat.close_scheduled")).data
    closed = (await client.event(order_id, "chat.close")).data
    assert closed["close_at"] == scheduled["close_at"]
    assert closed["revision"] > scheduled["revision"]
    assert now_text() >= closed["close_at"]
    assert not client.of(order_id, "chat.closing_soon")  # the window is under 24 h

    row = await client.wait_for(
        lambda seen: seen.topic == "sellers.statistics.v1" and seen.data["seller_id"] == cancelled["seller_id"],
        "statistics",
    )
    assert row.data["seq"] == 2
    assert row.data["lifetime"]["cancelled_after_acceptance"] == 1
    assert row.data["lifetime"]["completion_rate"] == 0
    assert all(b"Zo" not in (seen.value or b"") for seen in client.of(order_id))


async def test_the_same_again_changes_nothing_and_other_money_is_parked(client: ForeignClient) -> None:
    cancelled = cancellation(tender("wallet", "wal_1"), tender("wallet", "wal_1", 700))
    order_id = cancelled["order_id"]
    await client.publish("order.cancelled", cancelled)
    await client.event(order_id, "order.refunded")
    turned = {**cancelled, "escrow": {**cancelled["escrow"], "tenders": cancelled["escrow"]["tenders"][::-1]}}
    await client.publish("order.cancelled", turned)
    dearer = {**cancelled, "escrow": {"currency": "EUR", "tenders": [tender("wallet", "wal_1", 9900)]}}
    await client.publish("order.cancelled", dearer)
    parked = await client.wait_for(
        lambda seen: seen.topic == "annul.parked.v1" and seen.key == order_id.encode(), "the parked copy"
    )
    assert parked.headers["annul_reason"] == b"contradicts_recorded"
    assert parked.headers["annul_field"] == b"escrow"
    assert parked.data == dearer
    assert len(client.of(order_id, "refund.issue")) == 2
    assert len(client.of(order_id, "order.refunded")) == 1


async def test_what_breaks_the_cancellation_is_refused_visibly(client: ForeignClient) -> None:
    cancelled = cancellation()
    order_id, seller_id = cancelled["order_id"], cancelled["seller_id"]
    await client.publish("order.cancelled", cancelled)
    assert (await client.event(order_id, "order.refunded")).data["amount_minor"] == 0  # it was paid nothing
    later = now_text()
    for step in ("accepted", "delivered", "completed"):
        await client.publish(f"order.{step}", {"order_id": order_id, "seller_id": seller_id, "occurred_at": later})
    await client.publish(
        "order.reactivation_requested", {"order_id": order_id, "requested_by": "cli_1", "occurred_at": later}
    )
    refused = await client.wait_for_all(
        lambda seen: seen.topic == "orders.refused.v1" and seen.data["order_id"] == order_id, 4, "refusals"
    )
    assert {seen.data["attempted"] for seen in refused} == {
        "order.accepted",
        "order.delivered",
        "order.completed",
        "order.reactivation_requested",
    }
    assert all(seen.data["reason"] for seen in refused)


async def test_a_new_order_in_the_conversation_keeps_the_chat_open(client: ForeignClient) -> None:
    kept, closing = cancellation(), cancellation()
    for cancelled in (kept, closing):
        await client.publish("order.cancelled", cancelled)
    scheduled = await client.event(kept["order_id"], "chat.close_scheduled")
    offer = {
        "order_id": fresh("ord"),
        "conversation_id": kept["conversation_id"],
        "client_id": kept["client_id"],
        "seller_id": kept["seller_id"],
        "placed_at": now_text(),
    }
    await client.publish("order.placed", offer)
    withdrawn = await client.event(kept["order_id"], "chat.close_withdrawn")
    assert withdrawn.data["revision"] > scheduled.data["revision"]
    await client.event(closing["order_id"], "chat.close")  # cancelled after the one that is kept open
    assert not client.of(kept["order_id"], "chat.close")


async def test_a_late_acceptance_moves_the_cancellation_to_the_completion_rate(client: ForeignClient) -> None:
    cancelled = cancellation(stage="awaiting_acceptance")
    await client.publish("order.cancelled", cancelled)
    accepted = {
        "order_id": cancelled["order_id"],
        "seller_id": cancelled["seller_id"],
        "occurred_at": "2026-11-20T08:00:00Z",
    }
    await client.publish("order.accepted", accepted)
    row = await client.wait_for(
        lambda seen: (
            seen.topic == "sellers.statistics.v1"
            and seen.data["seller_id"] == cancelled["seller_id"]
            and seen.data["seq"] == 3
        ),
        "statistics after the correction",
    )
    assert row.data["lifetime"] == {
        "accepted": 1,
        "cancelled_before_acceptance": 0,
        "completed": 0,
        "cancelled_after_acceptance": 1,
        "acceptance_rate": 1.0,
        "completion_rate": 0.0,
        "cancellation_rate": 1.0,
    }


async def test_annul_order_tells_the_story(annul: RunningAnnul, client: ForeignClient) -> None:
    cancelled = cancellation(tender("card", fresh("pi_x.http_500_after.1")), tender("wallet", "wal_7", 500))
    message_id = await client.publish("order.cancelled", cancelled)
    await client.event(cancelled["order_id"], "order.refunded")
    code, output = await run_annul(annul, "order", cancelled["order_id"], "--json")
    assert code == 0
    story = json.loads(output)
    assert story["order_id"] == cancelled["order_id"]
    assert {refund["state"] for refund in story["refunds"]} == {"succeeded"}
    assert story["chat"]["conversation_id"] == cancelled["conversation_id"]
    assert len(story["ledger"]) == 6  # captured, requested and settled, for each tender
    assert any("uncertain" in json.dumps(step) for step in story["timeline"])  # the answer that was lost
    assert [step["at"] for step in story["timeline"]] == sorted(step["at"] for step in story["timeline"])
    assert message_id  # the story begins with it
    code, output = await run_annul(annul, "order", "ord_nobody_knows")
    assert code == 1


async def test_a_payout_is_allowed_once_completed_and_refused_for_a_cancelled_order(client: ForeignClient) -> None:
    paid, cancelled = fresh("ord"), cancellation()
    done = {"order_id": paid, "seller_id": cancelled["seller_id"], "occurred_at": now_text()}
    early = await _ask_payout(client, paid, cancelled["seller_id"])
    assert (early.type, early.data["reason"]) == ("payout.refused", "not_completed")
    await client.publish("order.completed", done)
    await client.wait_for(
        lambda seen: seen.topic == "sellers.outcomes.v1" and seen.data["order_id"] == paid, "the completion"
    )
    allowed = await _ask_payout(client, paid, cancelled["seller_id"])
    assert (allowed.type, allowed.key) == ("payout.allowed", paid.encode())
    await client.publish("order.cancelled", cancelled)
    await client.event(cancelled["order_id"], "order.refunded")
    refused = await _ask_payout(client, cancelled["order_id"], cancelled["seller_id"])
    assert (refused.type, refused.data["reason"]) == ("payout.refused", "order_cancelled")
    # A cancellation of what was paid refunds nothing, and a person hears of it.
    late = cancellation(tender("wallet", "wal_1"), order_id=paid, seller_id=cancelled["seller_id"])
    await client.publish("order.cancelled", late)
    parked = await client.wait_for(
        lambda seen: seen.topic == "annul.parked.v1" and seen.key == paid.encode(), "the parked cancellation"
    )
    assert parked.headers["annul_reason"] == b"order_completed"
    assert not client.of(paid, "refund.issue")


async def _ask_payout(client: ForeignClient, order_id: str, seller_id: str) -> Seen:
    payout_id = fresh("pay")
    request = {
        "payout_id": payout_id,
        "order_id": order_id,
        "seller_id": seller_id,
        "amount_minor": 4500,
        "currency": "EUR",
        "requested_at": now_text(),
    }
    await client.publish("payout.requested", request, topic="payouts.requested.v1")
    return await client.wait_for(
        lambda seen: seen.topic == "payouts.decided.v1" and seen.data["payout_id"] == payout_id, "the decision"
    )
