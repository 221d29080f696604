"""The book: every refund that the simulated providers made. The truth that a verifier compares with."""

import random
import string
from collections.abc import Callable
from typing import Any, Final

import msgspec

from workers.providers.simulated.faults import Provider

EFFECTIVE: Final = frozenset({"succeeded", "pending", "requires_action"})
"""Statuses of refunds that hold money."""
_PAYPAL_ID: Final = string.digits + string.ascii_uppercase


class Entry(msgspec.Struct, kw_only=True):
    """A refund. `amount` is in the provider's minor unit, `status` in Stripe's words, `created` in Unix seconds."""

    id: str
    provider: Provider
    reference: str
    amount: int
    currency: str
    refund_id: str | None
    order_id: str | None
    idempotency_key: str | None
    status: str
    reason: str | None
    created: int
    sent: dict[str, str]
    """What else the caller wrote on it: metadata, invoice_id, note_to_payer."""

    @property
    def effective(self) -> bool:
        """Whether it holds money: a failed or cancelled one doesn't."""
        return self.status in EFFECTIVE


class Captured(msgspec.Struct, frozen=True):
    """What a reference holds, in the provider's minor unit."""

    amount: int
    currency: str | None = None


class Book:
    """Refunds by id, and what each reference holds. Tells `watchers` of every change: (entry, whether it is new)."""

    def __init__(self, rng: random.Random, captured: int) -> None:
        self._rng = rng
        self._default = Captured(captured)
        self._captured: dict[tuple[Provider, str], Captured] = {}
        self._entries: dict[str, Entry] = {}
        self._by_reference: dict[tuple[Provider, str], list[Entry]] = {}
        self.disputed: set[tuple[Provider, str]] = set()
        self.watchers: list[Callable[[Entry, bool], None]] = []

    def new_id(self, provider: Provider) -> str:
        """An id as the provider forms it."""
        if provider == "stripe":
            return f"re_{self._rng.randbytes(12).hex()}"
        return "".join(self._rng.choices(_PAYPAL_ID, k=17))

    def add(self, entry: Entry) -> None:
        """Write a refund into the book."""
        assert entry.id not in self._entries
        self._entries[entry.id] = entry
        self._by_reference.setdefault((entry.provider, entry.reference), []).append(entry)
        self._tell(entry, new=True)

    def move(self, refund_id: str, status: str, reason: str | None = None) -> Entry:
        """Give a refund another status. Raises KeyError for an unknown provider id."""
        entry = self._entries[refund_id]
        entry.status, entry.reason = status, reason
        self._tell(entry, new=False)
        return entry

    def get(self, provider: Provider, refund_id: str) -> Entry | None:
        """A refund by the provider's id."""
        entry = self._entries.get(refund_id)
        return entry if entry is not None and entry.provider == provider else None

    def of(self, provider: Provider, reference: str) -> list[Entry]:
        """A reference's refunds, newest first."""
        return self._by_reference.get((provider, reference), [])[::-1]

    def everything(self) -> list[Entry]:
        """Every refund, oldest first."""
        return list(self._entries.values())

    def register(self, provider: Provider, reference: str, captured: Captured) -> None:
        """Say what a reference holds."""
        self._captured[provider, reference] = captured

    def captured(self, provider: Provider, reference: str) -> Captured:
        """What a reference holds; a lot where nobody said."""
        return self._captured.get((provider, reference), self._default)

    def refunded(self, provider: Provider, reference: str) -> int:
        """What of a reference is refunded or on its way."""
        return sum(entry.amount for entry in self.of(provider, reference) if entry.effective)

    def effective(self) -> list[Entry]:
        """Every refund that holds money, oldest first."""
        return [entry for entry in self._entries.values() if entry.effective]

    def as_json(self) -> dict[str, Any]:
        """What `/_annul/book` serves."""
        refunds = [{**msgspec.to_builtins(entry), "effective": entry.effective} for entry in self._entries.values()]
        return {"refunds": refunds}

    def _tell(self, entry: Entry, *, new: bool) -> None:
        for watcher in self.watchers:
            watcher(entry, new)
