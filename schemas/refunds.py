"""Refund commands to provider adapters, their results, and the events of a refund's life."""

from datetime import date
from typing import Annotated, Literal

import msgspec

from schemas.base import (
    Code,
    Currency,
    Id,
    IdempotencyKey,
    Message,
    Minor,
    Ordinal,
    PositiveMinor,
    ProviderName,
    ShortText,
    Time,
)

Outcome = Literal["succeeded", "pending", "declined", "rejected", "retryable", "uncertain", "not_found"]
Via = Literal["call", "look_up", "webhook"]
RefundState = Literal[
    "requested",
    "pending",
    "succeeded",
    "declined",
    "retrying",
    "uncertain",
    "bounced",
    "redirected",
    "needs_review",
    "settled_elsewhere",
]
RetryAfter = Annotated[int, msgspec.Meta(ge=0, le=30 * 24 * 3600)]


class RefundCommand(Message, frozen=True, kw_only=True):
    """What both commands carry. The idempotency key goes to the provider verbatim."""

    refund_id: Id
    order_id: Id
    tender_id: Id
    provider: ProviderName
    reference: Id
    amount_minor: PositiveMinor
    currency: Currency
    idempotency_key: IdempotencyKey
    attempt: Ordinal
    issued_at: Time
    first_issued_at: Time
    not_after: Time | None = None
    """After this an adapter that can't claim the attempt must not call the provider any more."""


class RefundIssue(RefundCommand, frozen=True, kw_only=True):
    """Refund this tender: moves money."""


class RefundLookUp(RefundCommand, frozen=True, kw_only=True):
    """Ask the provider what became of a refund: moves no money. The result repeats `look_up_no`."""

    provider_refund_id: Id | None = None
    look_up_no: Ordinal


class RefundResult(Message, frozen=True, kw_only=True):
    """What a provider answered, in whatever way it came."""

    refund_id: Id
    order_id: Id
    provider: ProviderName
    attempt: Ordinal
    outcome: Outcome
    provider_refund_id: Id | None = None
    provider_code: Code | None = None
    message: ShortText | None = None
    observed_at: Time
    via: Via
    retry_after_s: RetryAfter | None = None
    look_up_no: Ordinal | None = None


class RefundDue(Message, frozen=True, kw_only=True):
    """A refund waited long enough: whoever decides refunds looks at it again. Internal to Annul."""

    refund_id: Id
    order_id: Id
    revision: Ordinal


class RefundFlagged(Message, frozen=True, kw_only=True):
    """Something about a refund doesn't add up: a person must look. Internal to Annul.

    `code` says what: a dispute, or what a comparison with the provider's list found.
    """

    refund_id: Id
    order_id: Id
    code: Code
    provider_refund_id: Id | None = None
    observed_at: Time


class RefundAction(Message, frozen=True, kw_only=True):
    """A person asked for something to be done; what, stands in PostgreSQL under `action_id`. Internal to Annul."""

    refund_id: Id
    order_id: Id
    action_id: Id


class RefundEvent(Message, frozen=True, kw_only=True):
    """A step of a refund's life; `state` after it. `refund.failed` says that it was declined."""

    refund_id: Id
    order_id: Id
    tender_id: Id
    provider: ProviderName
    amount_minor: PositiveMinor
    currency: Currency
    state: RefundState
    provider_refund_id: Id | None
    code: Code | None
    occurred_at: Time
    visible_by: date | None
    redirected_from: Id | None
    redirected_to: Id | None
    revision: Ordinal


class OrderRefunded(Message, frozen=True, kw_only=True):
    """Every tender of the order is settled; also sent when nothing was due."""

    order_id: Id
    currency: Currency
    amount_minor: Minor
    settled_at: Time
    revision: Ordinal
