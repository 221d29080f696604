"""Webhooks of the simulated providers: sent when a refund is made or moves, signed, tried again for a while."""

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import msgspec

from workers.providers.simulated.book import Entry
from workers.providers.simulated.engine import World
from workers.providers.simulated.faults import Provider
from workers.providers.simulated.paypal import PayPalSimulator
from workers.providers.simulated.signatures import (
    PAYPAL_ALGORITHM,
    PAYPAL_CERT_PATH,
    paypal_signature,
    stripe_signature,
)
from workers.providers.simulated.stripe import refund_object

STRIPE_VERSION: Final = "2026-08-26.dahlia"
UNTOLD: Final = "untold"
"""A refund of a reference with this in it is told by no webhook: it gets lost."""
_TRIES: Final = 40
_BETWEEN_S: Final = 1.0
_PAYPAL_MOVES: Final = {
    "succeeded": "PAYMENT.CAPTURE.REFUNDED",
    "pending": "PAYMENT.REFUND.PENDING",
    "failed": "PAYMENT.REFUND.FAILED",
    "canceled": "PAYMENT.REFUND.FAILED",
}


class Webhooks:
    """Watches the book and tells the configured URLs; a provider without a URL tells nobody."""

    def __init__(self, world: World, paypal: PayPalSimulator) -> None:
        self._world = world
        self._paypal = paypal
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        world.book.watchers.append(self._changed)

    async def close(self) -> None:
        """Stop sending."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def dispute(self, provider: Provider, reference: str, *, won: bool = False) -> None:
        """The client's bank takes the money back; refunds of this reference are refused until the dispute is won."""
        disputed = self._world.book.disputed
        (disputed.discard if won else disputed.add)((provider, reference))
        # One dispute a payment, so that its end names it again.
        number = hashlib.sha256(reference.encode()).hexdigest()[:24]
        if provider == "stripe":
            status = "won" if won else "needs_response"
            dispute = {"id": f"dp_{number}", "object": "dispute", "status": status, "payment_intent": reference}
            self._send_stripe(f"charge.dispute.{'closed' if won else 'created'}", {**dispute, "charge": reference})
        else:
            about = [{"seller_transaction_id": reference}]
            resource: dict[str, Any] = {
                "dispute_id": f"PP-D-{number}",
                "disputed_transactions": about,
                "status": "OPEN",
            }
            if won:
                resource |= {"status": "RESOLVED", "dispute_outcome": {"outcome_code": "RESOLVED_SELLER_FAVOUR"}}
            self._send_paypal(f"CUSTOMER.DISPUTE.{'RESOLVED' if won else 'CREATED'}", "dispute", resource)

    def _changed(self, entry: Entry, new: bool) -> None:
        if UNTOLD in entry.reference:
            return
        if entry.provider == "stripe":
            refund = refund_object(entry)
            names = ["refund.created" if new else "refund.updated"]
            if entry.status == "failed":
                names.append("refund.failed")
            if not new:
                names.append("charge.refund.updated")
            for name in names:
                self._send_stripe(name, refund)
        elif entry.status in _PAYPAL_MOVES:
            self._send_paypal(_PAYPAL_MOVES[entry.status], "refund", self._paypal.refund_object(entry))

    def _send_stripe(self, name: str, thing: dict[str, Any]) -> None:
        settings, at = self._world.settings, int(self._world.clock())
        if settings.stripe_webhook_url is None:
            return
        event = {
            "id": f"evt_{self._token()}",
            "object": "event",
            "api_version": STRIPE_VERSION,
            "created": at,
            "livemode": False,
            "type": name,
            "data": {"object": thing},
        }
        body = msgspec.json.encode(event)
        signature = stripe_signature(settings.stripe_webhook_secret, body, at)
        self._start(settings.stripe_webhook_url, body, {"stripe-signature": signature})

    def _send_paypal(self, name: str, kind: str, thing: dict[str, Any]) -> None:
        settings = self._world.settings
        if settings.paypal_webhook_url is None:
            return
        time = datetime.fromtimestamp(self._world.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "id": f"WH-{self._token().upper()}",
            "event_version": "1.0",
            "create_time": time,
            "resource_type": kind,
            "event_type": name,
            "summary": "Simulated.",
            "resource": thing,
        }
        body = msgspec.json.encode(event)
        transmission = self._token()
        signature = paypal_signature(
            settings.paypal_client_secret, transmission, time, settings.paypal_webhook_id, body
        )
        headers = {
            "paypal-auth-algo": PAYPAL_ALGORITHM,
            "paypal-cert-url": self._paypal.base_url + PAYPAL_CERT_PATH,
            "paypal-transmission-id": transmission,
            "paypal-transmission-sig": signature,
            "paypal-transmission-time": time,
        }
        self._start(settings.paypal_webhook_url, body, headers)

    def _token(self) -> str:
        return self._world.rng.randbytes(12).hex()

    def _start(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(url, body, headers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        for _ in range(_TRIES):
            try:
                sent = {**headers, "content-type": "application/json"}
                async with self._session.post(url, data=body, headers=sent) as response:
                    if response.ok:
                        return
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await self._world.hold(_BETWEEN_S)
