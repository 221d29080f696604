"""Workers as processes: a slow provider, a provider that forgets answers, an end in order."""

import asyncio
import signal

import aiohttp
from kit.client import ForeignClient, cancellation, fresh, tender

from workers.demo.running import RunningAnnul


async def test_a_slow_provider_holds_up_neither_its_other_orders_nor_other_providers(client: ForeignClient) -> None:
    slow = [cancellation(tender("card", fresh("pi_x.slow"))) for _ in range(3)]
    for cancelled in slow:
        await client.publish("order.cancelled", cancelled)
        await client.event(cancelled["order_id"], "refund.issue")
    quick = cancellation(tender("card", fresh("pi")), tender("paypal", fresh("CAP")))
    await client.publish("order.cancelled", quick)
    await client.event(quick["order_id"], "order.refunded")
    assert not any(client.of(cancelled["order_id"], "refund.succeeded") for cancelled in slow)
    for cancelled in slow:
        await client.event(cancelled["order_id"], "order.refunded")


async def test_answers_that_go_astray_refund_exactly_once(annul: RunningAnnul, client: ForeignClient) -> None:
    faults = ("timeout_after.1", "timeout_before.1", "drop_after.1", "http_500_after.1", "unreadable.1", "pending")
    sent = []
    for fault in faults:
        sent += [
            cancellation(tender("card", fresh(f"pi_x.{fault}"))),
            cancellation(tender("paypal", fresh(f"CAP_x.{fault}"))),
        ]
    for cancelled in sent:
        await client.publish("order.cancelled", cancelled)
    for cancelled in sent:
        await client.event(cancelled["order_id"], "order.refunded", within_s=45)
    async with (
        aiohttp.ClientSession() as session,
        session.get(annul.environment["ANNUL_STRIPE_API_BASE"] + "/_annul/book") as answer,
    ):
        book = await answer.json()
    effective = [entry["reference"] for entry in book["refunds"] if entry["effective"]]
    for cancelled in sent:
        assert effective.count(cancelled["escrow"]["tenders"][0]["reference"]) == 1


async def test_a_refund_that_its_card_can_not_take_goes_to_the_wallet(client: ForeignClient) -> None:
    """Declined at once, or told to be done and taken back later: told as it is, and corrected where it was wrong."""
    declined = cancellation(tender("card", fresh("pi_x.lost_or_stolen_card")))
    bounced = cancellation(tender("card", fresh("pi_x.bounce_lost_or_stolen_card")))
    for cancelled in (declined, bounced):
        await client.publish("order.cancelled", cancelled)
    for cancelled, type_ in ((declined, "refund.failed"), (bounced, "refund.bounced")):
        order_id = cancelled["order_id"]
        told = await client.event(order_id, type_)
        assert told.data["code"] == "lost_or_stolen_card"
        redirected = await client.event(order_id, "refund.redirected")
        successor = redirected.data["redirected_to"]
        issue = await client.event_of_refund(successor, "refund.issue")
        assert (issue.data["provider"], issue.topic) == ("wallet", "refunds.commands.wallet.v1")
        credited = await client.event_of_refund(successor, "refund.succeeded")
        assert credited.data["redirected_from"] == redirected.data["refund_id"]
        assert credited.data["tender_id"] == cancelled["escrow"]["tenders"][0]["tender_id"]
        await client.event(order_id, "order.refunded")


async def test_a_disputed_refund_waits_for_a_person(client: ForeignClient) -> None:
    disputed = cancellation(tender("paypal", fresh("CAP_x.TRANSACTION_DISPUTED")))
    await client.publish("order.cancelled", disputed)
    review = await client.event(disputed["order_id"], "refund.needs_review")
    assert review.data["state"] == "needs_review"
    assert not client.of(disputed["order_id"], "order.refunded")


async def test_client_and_seller_are_told_in_their_languages(client: ForeignClient) -> None:
    cancelled = {**cancellation(tender("card", fresh("pi"))), "client_locale": "fr-FR", "seller_locale": "en-GB"}
    await client.publish("order.cancelled", cancelled)
    await client.event(cancelled["order_id"], "order.refunded")
    for kind in ("client", "seller"):
        told = await client.notification(cancelled["order_id"], kind, "refund")
        assert told.key == cancelled[f"{kind}_id"].encode()
        assert told.data["locale"] == cancelled[f"{kind}_locale"]
        assert told.data["subject"]
        assert told.data["body"]


async def test_sigterm_drains_and_ends_every_worker_in_time(annul: RunningAnnul, client: ForeignClient) -> None:
    supervisor = annul.stack.supervisor
    sent = [cancellation(tender("card", fresh("pi")), tender("wallet", "wal_1")) for _ in range(20)]
    for cancelled in sent:
        await client.publish("order.cancelled", cancelled)
    for name in annul.health:
        times = supervisor.restarts(name) + 2
        pid = supervisor.pid(name)
        assert pid is not None
        supervisor.kill(name, signal.SIGTERM)
        # The contract gives a worker 10 s; the supervisor starts it again half a second after its end.
        await asyncio.wait_for(supervisor.started(name, times), 11)
    await annul.wait_ready()
    for cancelled in sent:
        await client.event(cancelled["order_id"], "order.refunded")


async def test_every_worker_tells_its_health_and_metrics(annul: RunningAnnul) -> None:
    async with aiohttp.ClientSession() as session:
        for name, port in annul.health.items():
            for path in ("healthz", "readyz"):
                async with session.get(f"http://127.0.0.1:{port}/{path}") as answer:
                    assert answer.status == 200, (name, path)
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                assert "annul_" in await answer.text()
