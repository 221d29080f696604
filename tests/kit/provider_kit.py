"""An adapter beside the simulated provider that it calls over real HTTP."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import aiohttp
import msgspec

from schemas.refunds import RefundIssue, RefundLookUp
from workers.providers.card import CardProvider
from workers.providers.http import AiohttpTransport
from workers.providers.paypal import PayPalProvider
from workers.providers.port import Provider
from workers.providers.simulated import Settings, SimulatedProviders
from workers.providers.simulated.book import Book
from workers.providers.simulated.engine import Simulator

Kind = Literal["card", "paypal"]
KINDS: tuple[Kind, ...] = ("card", "paypal")
API_KEY = "sk_test_" + "k3y" * 8
CLIENT_ID = "client-of-the-tests"
CLIENT_SECRET = "s3cr3t-of-the-tests"
SECRETS = (API_KEY, CLIENT_SECRET)
SHORT_S = 0.3
PATIENT_S = 10.0
"""Where no time-out is wanted: a machine under load must not make one."""
_AT = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """One adapter, its simulated provider, and the book."""

    def __init__(
        self, kind: Kind, adapter: Provider, providers: SimulatedProviders, clock: Clock, paused_s: list[float]
    ) -> None:
        self.kind = kind
        self.clock = clock
        self.paused_s = paused_s
        """How long the adapter wanted to wait between tries; no time passed."""
        self.adapter = adapter
        self.providers = providers
        self.simulator: Simulator = providers.stripe if kind == "card" else providers.paypal

    @property
    def book(self) -> Book:
        return self.providers.book

    def reference(self, name: str) -> str:
        return f"pi_{name}" if self.kind == "card" else f"8AC{name}"

    def overhear(self) -> list[tuple[bytes, dict[str, str]]]:
        """Bodies and headers of the webhooks from now on, signed, in order; nobody else gets them."""
        heard: list[tuple[bytes, dict[str, str]]] = []

        def keep(url: str, body: bytes, headers: dict[str, str]) -> None:
            heard.append((body, headers))

        nowhere = "http://nobody.invalid/"
        world, webhooks = self.providers.world, self.providers.webhooks
        world.settings = msgspec.structs.replace(world.settings, stripe_webhook_url=nowhere, paypal_webhook_url=nowhere)
        webhooks._start = keep  # type: ignore[method-assign]
        return heard

    def issue(self, **changes: Any) -> RefundIssue:
        return RefundIssue(**(_usual(self) | changes))

    def look_up(self, **changes: Any) -> RefundLookUp:
        return RefundLookUp(**(_usual(self) | {"look_up_no": 1} | changes))


def _usual(bench_: Bench) -> dict[str, Any]:
    return {
        "refund_id": "rf_1",
        "order_id": "ord_1",
        "tender_id": "tnd_1",
        "provider": bench_.kind,
        "reference": bench_.reference("1"),
        "amount_minor": 4500,
        "currency": "EUR",
        "idempotency_key": "annul:rf_1",
        "attempt": 1,
        "issued_at": _AT,
        "first_issued_at": _AT,
    }


def settings_for_tests(**changes: Any) -> Settings:
    ours = Settings(stripe_api_key=API_KEY, paypal_client_id=CLIENT_ID, paypal_client_secret=CLIENT_SECRET)
    return msgspec.structs.replace(ours, **changes)


@asynccontextmanager
async def bench(
    kind: Kind, *, deadline_s: float = PATIENT_S, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[Bench]:
    """An adapter and its provider, for the time of a test."""
    clock = clock or Clock()
    async with SimulatedProviders(settings_for_tests(**settings), rng=random.Random(7), clock=clock) as providers:
        transport = AiohttpTransport(concurrency=20)
        adapter: Provider
        paused_s: list[float] = []

        async def pause(seconds: float) -> None:
            paused_s.append(seconds)

        if kind == "card":
            adapter = CardProvider(transport, providers.stripe_base, API_KEY, deadline_s, pause=pause)
        else:
            adapter = PayPalProvider(
                transport, providers.paypal_base, CLIENT_ID, CLIENT_SECRET, deadline_s, clock, pause
            )
        try:
            yield Bench(kind, adapter, providers, clock, paused_s)
        finally:
            await adapter.close()


async def post(
    url: str, body: bytes, token: str = "", content_type: str = "application/x-www-form-urlencoded"
) -> tuple[int, Any]:
    """Send a request of one's own; gives the status and the decoded answer."""
    headers = {"authorization": f"Bearer {token}", "content-type": content_type}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status, await response.json()
