"""A refund as it is known, and the states it may be in."""

from datetime import date, datetime
from typing import Final, Literal

import msgspec

from schemas.base import ProviderName
from schemas.refunds import RefundState

TRANSITIONS: Final[dict[RefundState, frozenset[RefundState]]] = {
    # The last of these: its original turned out to have succeeded before anyone took this one up.
    "requested": frozenset(
        {"pending", "succeeded", "declined", "retrying", "uncertain", "needs_review", "redirected"},
    ),
    "retrying": frozenset(
        {"requested", "pending", "succeeded", "declined", "uncertain", "needs_review", "redirected"},
    ),
    "uncertain": frozenset({"retrying", "pending", "succeeded", "declined", "needs_review"}),
    "pending": frozenset({"succeeded", "declined", "needs_review"}),
    "succeeded": frozenset({"bounced", "needs_review"}),
    # Before its redirect was made, the refund itself may turn out to be alive.
    "declined": frozenset({"redirected", "needs_review", "pending", "succeeded"}),
    "bounced": frozenset({"redirected", "needs_review", "pending", "succeeded"}),
    # A late success withdraws a redirect that nobody took up.
    "redirected": frozenset({"pending", "succeeded"}),
    # By a person alone: retry, redirect, mark as settled elsewhere, release.
    "needs_review": frozenset({"requested", "pending", "succeeded", "uncertain", "redirected", "settled_elsewhere"}),
    # Paid by the provider after all, beside what a person paid.
    "settled_elsewhere": frozenset({"needs_review"}),
}
"""Which state may follow which (SPEC §4)."""

OPEN: Final[frozenset[RefundState]] = frozenset({"requested", "retrying", "uncertain"})
"""The provider's final word is not known and another attempt may follow."""
SETTLED: Final[frozenset[RefundState]] = frozenset({"succeeded", "settled_elsewhere"})
"""The client has the money."""

Standing = Literal["pending", "succeeded", "failed"]
RANKS: Final[dict[Standing, int]] = {"pending": 1, "succeeded": 2, "failed": 3}
"""What is known of a provider's refund only moves up."""
UNNAMED: Final = "unnamed"
"""Stands for the provider's refund where an adapter knows no id of it."""
Gate = Literal["redirect", "renew", "settle", "frozen"]
"""What waits for proof that nothing of the refund is alive: a way to the wallet, a new key, a person who pays.

`frozen` is the proof given to a person: they pay, and mark it as settled.
"""
ActionKind = Literal["retry", "look_up", "redirect", "settle", "mark_settled", "mark_failed", "release"]


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """One refund of one tender. `revision` grows with each change; `attempt` with each sending."""

    refund_id: str
    order_id: str
    tender_id: str
    client_id: str
    provider: ProviderName
    reference: str
    amount_minor: int
    currency: str
    idempotency_key: str
    state: RefundState
    attempt: int
    look_up_no: int
    first_issued_at: datetime
    issued_at: datetime
    state_since: datetime
    give_up_at: datetime
    """No attempt begins after it."""
    settled_at: datetime | None = None
    """Since when the money is there; None again once it bounced. What is settled is in the ledger."""
    provider_refund_id: str | None = None
    code: str | None = None
    visible_by: date | None = None
    redirected_from: str | None = None
    redirected_to: str | None = None
    gate: Gate | None = None
    gate_look_up: int | None = None
    """The look-up whose empty answer opens the gate; None while calls may still be under way.

    Of a success: the audit that is not answered yet.
    """
    gate_action: str | None = None
    """The person's action that asked for the gate; None where a rule did."""
    revision: int = 1


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter took an attempt and may call the provider until `lease_until`."""

    attempt: int
    claimed_at: datetime
    lease_until: datetime


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that the provider made of this one, by the provider's id. One of ours may have several: a fault."""

    refund_id: str
    provider_refund_id: str
    standing: Standing
    code: str | None
    heard_at: datetime

    @property
    def alive(self) -> bool:
        """Whether it moved money, or may yet."""
        return self.standing != "failed"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a refund's state, under the revision that it led to."""

    refund_id: str
    revision: int
    state_before: RefundState
    state: RefundState
    code: str | None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked to be done, on a refund as they saw it."""

    action_id: str
    refund_id: str
    kind: ActionKind
    revision: int
    evidence: str | None = None
