"""The claim's rule in Python; `test_claim_mirror.py` holds it against the SQL for every combination."""

from typing import NamedTuple


class Asked(NamedTuple):
    """What a claim depends on, of a command that names its refund rightly."""

    state: str
    is_newest: bool
    """The command is of the refund's newest attempt."""
    claimed: bool
    """Somebody has claimed that attempt."""
    forgotten: bool
    """The lease would end when the provider may have forgotten the key already, a stall included."""
    disputed: bool


def claim_of(asked: Asked) -> str:
    """The word that a command gets."""
    if asked.state != "requested" or not asked.is_newest or asked.claimed:
        return "stale"
    if asked.disputed:
        return "disputed"
    return "key_forgotten" if asked.forgotten else "claimed"
