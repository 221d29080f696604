"""The port that every payment provider's adapter fills."""

from typing import Protocol

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


class Provider(Protocol):
    """Moves money at one provider. Never raises for what the provider did: every such end is an `Answer`."""

    name: str

    async def issue(self, command: RefundIssue) -> Answer:
        """Send the refund with the command's idempotency key, once, within the deadline."""
        ...

    async def look_up(self, command: RefundLookUp) -> Answer:
        """Ask what became of the refund; `not_found` where the provider knows none. Moves no money."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...
