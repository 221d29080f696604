"""The port that every payment provider's adapter fills."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from schemas.refunds import Outcome, RefundIssue, RefundLookUp


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said, put into the class by which Annul treats it (`outcome`).

    `code` is the provider's own word (or one of ours in lower snake case where it said none: `timeout`,
    `connection_lost`, `unreadable`, `lease_expired`); `detail` is for people and holds no secret or personal data,
    for example a debug id.
    """

    outcome: Outcome
    provider_refund_id: str | None = None
    code: str | None = None
    detail: str | None = None
    retry_after_s: int | None = None


class ListedRefund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it stands in a provider's own list, whoever made it."""

    provider_refund_id: str
    reference: str | None
    """The payment it is of, as a tender names it; None where the list doesn't tell."""
    refund_id: str | None
    """Ours, where the provider's copy carries it."""
    standing: Literal["pending", "succeeded", "failed"]
    amount_minor: int
    """In ISO 4217's minor unit."""
    currency: str
    made_at: datetime


class ListFailed(Exception):
    """The provider's list could not be read to its end; nothing may be concluded from what was read."""


class Provider(Protocol):
    """Moves money at one provider. Never raises for what the provider did: every such end is an `Answer`."""

    name: str

    async def issue(self, command: RefundIssue) -> Answer:
        """Send the refund with the command's idempotency key, once, within the deadline."""
        ...

    async def look_up(self, command: RefundLookUp) -> Answer:
        """Ask what became of the refund; `not_found` where the provider knows none. Moves no money."""
        ...

    async def probe(self) -> Answer:
        """Ask for something that moves no money and needs our credentials: is the provider there, and are they good?

        `succeeded` where it answered as it should; else what stands in the way, as for any call.
        """
        ...

    def list_refunds(self, since: datetime, until: datetime) -> AsyncIterator[ListedRefund]:
        """All refunds made in a period, in no order. Raises ListFailed."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...
