"""Stripe's signature of what it sends: over the raw bytes, compared in constant time."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

TOLERANCE_S: Final = 300
"""How far the signed time may be from our clock. It stops no replay within it: event ids do."""
_MAX_HEADER: Final = 4096
_MAX_SIGNATURES: Final = 16
_MAX_DIGITS: Final = 12


def secrets_in(text: str) -> tuple[str, ...]:
    """The secrets in a setting: several, separated by commas, while one takes the place of another."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def stripe_signed(header: str, body: bytes, secrets: Sequence[str], now_s: float) -> bool:
    """Whether one of `secrets` signed the body, within the tolerance of `now_s` (Unix seconds)."""
    if len(header) > _MAX_HEADER:
        return False
    at, signatures = _parts(header)
    if at is None or abs(now_s - int(at)) > TOLERANCE_S:
        return False
    signed = at.encode() + b"." + body
    good = False
    for secret in secrets:
        wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        for given in signatures:
            good |= hmac.compare_digest(wanted, given)
    return good


def _parts(header: str) -> tuple[str | None, list[bytes]]:
    """The signed time, as it was written, and the signatures of scheme v1; other schemes don't count."""
    times, signatures = [], []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            times.append(value)
        elif name == "v1":
            signatures.append(value.encode(errors="replace"))
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit()) or len(times[0]) > _MAX_DIGITS:
        return None, []
    return times[0], signatures[:_MAX_SIGNATURES]
