"""Events of providers as the door keeps them, and refunds that they may be about."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from kit.broker import Broker
from schemas.envelope import headers_of
from schemas.topics import PROVIDERS_WEBHOOKS
from workers.domain.ids import derived
from workers.webhooks.news import Sender

CREATED = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
TOPIC = PROVIDERS_WEBHOOKS.name


def stripe_event(event_id: str, kind: str, thing: Any, created: datetime | None = None) -> dict[str, Any]:
    """An event of Stripe, made now unless told."""
    at = int((created or datetime.now(UTC)).timestamp())
    return {"id": event_id, "object": "event", "created": at, "type": kind, "data": {"object": thing}}


def stripe_refund(refund_id: str | None = "rfd_1", **changes: Any) -> dict[str, Any]:
    """A refund of Stripe that carries our id, or none."""
    metadata = {} if refund_id is None else {"refund_id": refund_id}
    fields = {"id": "re_1", "object": "refund", "status": "succeeded", "payment_intent": "pi_1", "metadata": metadata}
    return {**fields, **changes}


def stripe_dispute(status: str = "needs_response", **changes: Any) -> dict[str, Any]:
    """A dispute of Stripe about the payment `pi_1`."""
    return {"id": "dp_1", "object": "dispute", "status": status, "payment_intent": "pi_1", "charge": "ch_1", **changes}


def paypal_event(event_id: str, kind: str, thing: Any, created: datetime | None = None) -> dict[str, Any]:
    """An event of PayPal, made now unless told."""
    at = (created or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": event_id, "create_time": at, "event_type": kind, "resource": thing}


def paypal_refund(refund_id: str | None = "rfd_1", capture: str = "8AC1", **changes: Any) -> dict[str, Any]:
    """A refund of PayPal that carries our id, or none."""
    up = {"rel": "up", "href": f"https://api.paypal.com/v2/payments/captures/{capture}"}
    ours = {} if refund_id is None else {"custom_id": refund_id}
    return {"id": "1Y1", "status": "COMPLETED", "links": [up], **ours, **changes}


def put_event(broker: Broker, event: Any, sender: Sender | None = "stripe") -> None:
    """Into the topic, as the door does it; `event` may be bytes, whatever they are."""
    value = event if isinstance(event, bytes) else msgspec.json.encode(event)
    key = event["id"] if isinstance(event, dict) else "evt_bytes"
    headers = headers_of("provider.webhook", derived("whk", str(sender), str(key)), CREATED)
    if sender is not None:
        headers.append(("annul_provider", sender.encode()))
    broker.put(TOPIC, value, key=str(key).encode(), headers=headers)


async def add_refund(observer: Any, refund_id: str = "rfd_1", **changes: Any) -> None:
    """A card refund of the payment `pi_1` of the order `ord_1`, on its second attempt, and the order if it is new."""
    fields = {
        "refund_id": refund_id,
        "order_id": "ord_1",
        "tender_id": f"tnd_{refund_id}",
        "client_id": "cli_1",
        "provider": "card",
        "reference": "pi_1",
        "amount_minor": 4500,
        "currency": "EUR",
        "idempotency_key": f"annul-{refund_id}",
        "state": "requested",
        "attempt": 2,
        "look_up_no": 1,
        "first_issued_at": CREATED,
        "issued_at": CREATED,
        "state_since": CREATED,
        "give_up_at": CREATED,
        "settled_at": CREATED if changes.get("state") == "succeeded" else None,
        "revision": 1,
        **changes,
    }
    await observer.execute("INSERT INTO orders (order_id) VALUES ($1) ON CONFLICT DO NOTHING", fields["order_id"])
    names, places = ", ".join(fields), ", ".join(f"${number}" for number in range(1, len(fields) + 1))
    await observer.execute(f"INSERT INTO refunds ({names}) VALUES ({places})", *fields.values())


async def add_fact(observer: Any, refund_id: str, provider_refund_id: str, standing: str = "pending") -> None:
    """What a provider said of a refund before."""
    await observer.execute(
        "INSERT INTO refund_facts VALUES ($1, $2, $3, NULL, $4)", refund_id, provider_refund_id, standing, CREATED
    )
