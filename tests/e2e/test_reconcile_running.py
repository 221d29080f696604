"""`annul reconcile` beside the running workers: what every order's refund came to is what the providers list."""

import json
from collections.abc import AsyncIterator

import pytest
from kit.client import ForeignClient, cancellation, fresh, tender
from kit.command import run_annul

from workers.demo.captures import Capture, register
from workers.demo.reconciling import differences_left
from workers.demo.running import RunningAnnul
from workers.store.database import Database

QUICK = {"ANNUL_RECONCILE_LAG_S": "1"}


@pytest.fixture
async def database(annul: RunningAnnul) -> AsyncIterator[Database]:
    made = Database(annul.stack.dsn)
    yield made
    await made.close()


async def test_nothing_differs_whatever_the_currency_and_the_provider(
    annul: RunningAnnul, client: ForeignClient, database: Database
) -> None:
    yen, dinar, plain = fresh("pi"), fresh("pi"), fresh("pi")
    captures = [Capture("stripe", yen, "JPY"), Capture("stripe", dinar, "KWD")]
    await register(annul.environment["ANNUL_STRIPE_API_BASE"], captures)
    orders = [
        cancellation(escrow={"currency": "JPY", "tenders": [tender("card", yen), tender("paypal", fresh("CAP"))]}),
        cancellation(escrow={"currency": "KWD", "tenders": [tender("card", dinar)]}),
        cancellation(tender("card", plain), tender("paypal", fresh("CAP"), refunded=1000)),
        cancellation(tender("card", fresh("pi_x.bounce_lost_or_stolen_card"))),
        cancellation(tender("paypal", fresh("CAP_x.pending"))),
    ]
    for cancelled in orders:
        await client.publish("order.cancelled", cancelled)
    for cancelled in orders[:3]:
        await client.event(cancelled["order_id"], "order.refunded")
    # The others still move, or may: that is no difference.
    line, well = await differences_left(database, annul.settings())
    assert well, line
    assert "no differences" in line
    for cancelled in orders[3:]:
        await client.event(cancelled["order_id"], "order.refunded")
    await client.event(orders[3]["order_id"], "refund.redirected")
    code, output = await run_annul(annul, "reconcile", "--json", environment=QUICK)
    report = json.loads(output)
    assert (code, report["differences"], report["ok"]) == (0, [], True)
    assert {one["provider"]: one["failed"] for one in report["providers"]} == {"card": None, "paypal": None}
    assert all(one["listed"] >= 3 for one in report["providers"])


async def test_what_differs_for_good_is_told(annul: RunningAnnul, client: ForeignClient, database: Database) -> None:
    """A payment whose currency the provider has otherwise."""
    reference = fresh("pi")
    await register(annul.environment["ANNUL_STRIPE_API_BASE"], [Capture("stripe", reference, "CHF")])
    cancelled = cancellation(tender("card", reference))
    await client.publish("order.cancelled", cancelled)
    await client.event(cancelled["order_id"], "order.refunded")
    line, well = await differences_left(database, annul.settings())
    assert not well
    assert "1 differences: amount_differs rfd_" in line
    code, output = await run_annul(annul, "reconcile", "--json", "--dry-run", environment=QUICK)
    (found,) = json.loads(output)["differences"]
    assert (code, found["kind"], found["order_id"]) == (1, "amount_differs", cancelled["order_id"])
