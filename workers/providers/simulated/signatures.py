"""How the simulated providers sign what they send, for whoever has to check or forge it."""

import base64
import hashlib
import hmac
import zlib
from typing import Final

PAYPAL_ALGORITHM: Final = "SHA256withRSA"
PAYPAL_CERT_PATH: Final = "/v1/notifications/certs/CERT-simulated"


def stripe_signature(secret: str, body: bytes, at: int) -> str:
    """The `Stripe-Signature` header of a body sent at `at` (Unix seconds)."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def paypal_signature(secret: str, transmission_id: str, time: str, webhook_id: str, body: bytes) -> str:
    """The `PAYPAL-TRANSMISSION-SIG` of a body.

    Over the string that PayPal signs, the body's CRC-32 in it; but with a secret in place of PayPal's private key,
    so that only the simulated verification can check it.
    """
    signed = f"{transmission_id}|{time}|{webhook_id}|{zlib.crc32(body)}"
    return base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()).decode()
