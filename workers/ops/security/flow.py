"""A sign-in through an issuer on its way: what the browser that began it has to bring back."""

import base64
import secrets
from typing import Final

import msgspec

BACK: Final = "/sign-in/oidc/back"
FLOW_S: Final = 600
"""How long somebody may take at the issuer's page."""


class Flow(msgspec.Struct, frozen=True):
    """One sign-in on its way. It is kept in a cookie of the browser that began it, so no other can end it."""

    state: str
    nonce: str
    verifier: str
    follow: str


def begun(follow: str) -> Flow:
    """A new one, which nobody can guess."""
    return Flow(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), follow)


def packed(flow: Flow) -> str:
    """As a cookie's value."""
    return base64.urlsafe_b64encode(msgspec.json.encode(flow)).decode().rstrip("=")


def unpacked(value: str) -> Flow | None:
    """From a cookie's value; None where it is none of ours."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)), type=Flow)
    except (ValueError, msgspec.MsgspecError):
        return None
