"""Ids that follow from what caused them, so that doing a thing twice names it once."""

from hashlib import blake2b
from typing import Final

MAX_ID: Final = 64


def derived(prefix: str, *parts: str) -> str:
    """An id of at most 64 characters that depends on `parts` alone."""
    # No id holds a line feed, so different parts never join to the same text.
    joined = "\n".join(parts).encode()
    return f"{prefix}_{blake2b(joined, digest_size=15).hexdigest()}"


def refund_id(order_id: str, tender_id: str) -> str:
    """The id of the refund that a cancellation causes for one tender."""
    return derived("rfd", order_id, tender_id)


def idempotency_key(refund: str) -> str:
    """What the provider is sent with every attempt of a refund: never more than one key a refund."""
    return f"annul-{refund}"


def successor_id(refund: str, revision: int) -> str:
    """The id of the refund that takes the place of one as it was at a revision."""
    return derived("rfd", "successor of", refund, str(revision))


def wallet_of(client_id: str) -> str:
    """How the wallet is named that a redirected refund goes to."""
    name = f"wal_{client_id}"
    return name if len(name) <= MAX_ID else client_id
