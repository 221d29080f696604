"""What is compared, what is found, and how it is reported."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from schemas.base import ProviderName
from schemas.refunds import RefundState
from workers.domain.refund_types import Fact, Standing
from workers.providers.port import Answer

Kind = Literal["amount_differs", "unknown_refund", "missing_at_provider", "duplicate", "state_differs"]
"""A review's code is the kind with `reconcile_` before it."""

NOT_CONFIGURED: Final = "not_configured"
"""Why a provider was left out: it has no credentials. That is no failure."""


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it stands with us, and what we hold of the provider's own refunds of it."""

    refund_id: str
    order_id: str
    tender_id: str
    provider: ProviderName
    reference: str
    amount_minor: int
    currency: str
    idempotency_key: str
    state: RefundState
    attempt: int
    look_up_no: int
    first_issued_at: datetime
    asked_at: datetime
    """When a refund of this tender was first asked for, by whichever refund before this one."""
    issued_at: datetime
    provider_refund_id: str | None
    refunded_before_minor: int
    """What the cancellation said had been refunded of this tender before."""
    facts: tuple[Fact, ...]

    def held(self, provider_refund_id: str | None) -> Fact | None:
        """What we hold of one of the provider's refunds."""
        return next((one for one in self.facts if one.provider_refund_id == provider_refund_id), None)


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """How one side tells it: ours by the refund's state, theirs by the standing; None where it wasn't told."""

    state: str
    amount_minor: int | None = None
    currency: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that differs. `flag` sends it to review; `told` is the provider's word to be passed on."""

    kind: Kind
    ours: Ours | None
    refund_id: str | None
    """Ours, or the one that the provider's copy names and that we don't know."""
    provider_refund_id: str | None
    theirs: Side | None
    flag: bool
    told: Answer | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider is to be asked by look-up, which moves no money; without an id, all of the refund."""

    ours: Ours
    provider_refund_id: str | None
    suspected: Finding | None = None
    """What the list gives reason to believe; None for a sample."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A finding as it is reported, and what was done about it."""

    kind: Kind
    provider: str
    refund_id: str | None
    order_id: str | None
    provider_refund_id: str | None
    ours: Side | None
    theirs: Side | None
    action: Literal["review", "told", "told_before", "reported", "would_review", "would_tell"]
    """`review`: sent to review now. `told`: the provider's word was passed on to who decides refunds.

    `told_before`: an earlier run did so already. `reported`: it is here and nowhere else.
    """


class ProviderReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was read and asked of one provider."""

    provider: str
    listed: int = 0
    """Refunds in the provider's list of the period."""
    ours: int = 0
    """Refunds of ours that had to be in it."""
    looked_up: int = 0
    """Look-ups that were answered."""
    woken: int = 0
    """Uncertain and pending refunds that are asked about now instead of later."""
    failed: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    run_id: str
    by: Literal["person", "timer"]
    dry_run: bool
    started_at: datetime
    finished_at: datetime
    period_from: datetime
    period_to: datetime
    providers: tuple[ProviderReport, ...]
    differences: tuple[Difference, ...]
    left_out: int
    """Differences that there was no room for in this report; nothing was done about them."""
    ok: bool


def standing_of(answer: Answer) -> Standing | None:
    """How a refund stands by a look-up's answer; None where the answer says nothing of it."""
    match answer.outcome:
        case "succeeded" | "pending":
            return answer.outcome
        case "declined":
            return "failed"
        case "rejected":
            # It failed, and for a reason that a person must look at.
            return "failed" if answer.provider_refund_id is not None else None
        case _:
            return None
