"""Browsers that somebody signed in with before: guessing by strangers doesn't keep their owner out."""

import hashlib
import hmac
import re
import secrets
from typing import Final

KEPT_S: Final = 180 * 86_400
"""How long a browser is known."""
_MARK: Final = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{64})\Z")


def mark_of(hashed: str) -> str:
    """What a browser keeps once the password of this hash was right in it; with another password it is void."""
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_proof(hashed, nonce)}"


def known_as(hashed: str, mark: str) -> str | None:
    """Which browser it is; None where its mark is not by this hash."""
    found = _MARK.match(mark)
    return found[1] if found and hmac.compare_digest(found[2], _proof(hashed, found[1])) else None


def _proof(hashed: str, nonce: str) -> str:
    # The hash is in the file of users alone: nobody else can make a mark.
    return hmac.new(hashed.encode(), f"browser:{nonce}".encode(), hashlib.sha256).hexdigest()
