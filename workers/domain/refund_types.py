"""A refund as it is known, and the states it may be in."""

from datetime import date, datetime
from typing import Final

import msgspec

from schemas.base import ProviderName
from schemas.refunds import RefundState

TRANSITIONS: Final[dict[RefundState, frozenset[RefundState]]] = {
    "requested": frozenset({"pending", "succeeded", "declined", "retrying", "uncertain", "needs_review"}),
    "retrying": frozenset({"requested", "pending", "succeeded", "declined", "uncertain", "needs_review"}),
    "uncertain": frozenset({"retrying", "pending", "succeeded", "declined", "needs_review"}),
    "pending": frozenset({"succeeded", "declined", "needs_review"}),
    "succeeded": frozenset({"bounced", "needs_review"}),
    "declined": frozenset({"redirected", "needs_review"}),
    "bounced": frozenset({"redirected", "needs_review"}),
    "redirected": frozenset(),
    "needs_review": frozenset(),
    "settled_elsewhere": frozenset(),
}
"""Which state may follow which (SPEC §4); leaving review takes a person."""

OPEN: Final[frozenset[RefundState]] = frozenset({"requested", "retrying", "uncertain"})
"""The provider's final word is not known and another attempt may follow."""


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
    settled_at: datetime | None = None
    provider_refund_id: str | None = None
    code: str | None = None
    visible_by: date | None = None
    redirected_from: str | None = None
    redirected_to: str | None = None
    revision: int = 1


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter took the refund's current attempt and may call the provider until `lease_until`."""

    attempt: int
    lease_until: datetime
