"""What the simulated providers speak in: requests and replies without a socket, and their settings."""

from typing import Any

import msgspec

DAY_S = 24 * 3600


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request as a server sees it; header names in lower case, the path decoded."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str]
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP response."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""


class Dropped(Exception):
    """The connection is cut without an answer."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the simulated providers behave. Durations in seconds."""

    stripe_api_key: str = "sk_test_simulated"
    paypal_client_id: str = "simulated-client"
    paypal_client_secret: str = "simulated-secret"  # noqa: S105 - opens a simulation
    latency_s: float = 0.0
    """Mean time of a call; each takes between half and one and a half of it."""
    fault_rate: float = 0.0
    """How many calls of a hundred percent meet a random fault, 0 to 1."""
    random_faults: tuple[str, ...] = ()
    """Which faults those are; empty: every passing one."""
    hang_s: float = 30.0
    slow_s: float = 1.0
    late_s: float = 15.0
    settle_after_s: float = 5.0
    retry_after_s: int = 2
    stripe_key_ttl_s: float = DAY_S
    paypal_key_ttl_s: float = 45 * DAY_S
    stripe_stores_errors: bool = True
    """Stripe replays refusals too, under the same key; false makes a later try under the same key a new one."""
    report_lag_s: float = 0.0
    """How long PayPal's Transaction Search doesn't know yet of a refund; up to three hours at the real one."""
    token_ttl_s: int = 9 * 3600
    captured: int = 10**15
    """What a reference holds that nobody registered, in the provider's minor unit."""
    currency: str = "eur"
    """Of card refunds whose capture nobody registered: Stripe's request names no currency."""
    stripe_webhook_url: str | None = None
    stripe_webhook_secret: str = "whsec_simulated"  # noqa: S105
    paypal_webhook_url: str | None = None
    paypal_webhook_id: str = "WH-SIMULATED"


def json_reply(status: int, value: Any, headers: dict[str, str] | None = None) -> Reply:
    """A reply whose body is JSON."""
    named = {"content-type": "application/json", **(headers or {})}
    return Reply(status=status, headers=named, body=msgspec.json.encode(value))
