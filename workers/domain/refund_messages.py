"""What is sent of a refund: commands, events, and the due row that looks at it again."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from schemas.refunds import RefundDue, RefundEvent, RefundIssue, RefundLookUp
from schemas.topics import REFUNDS_COMMANDS, REFUNDS_DUE, REFUNDS_EVENTS
from workers.domain.emission import Emission, Later, emission
from workers.domain.policy import RefundPolicy
from workers.domain.refund_types import UNNAMED, Refund

_SEARCHABLE: Final = frozenset({"card"})
"""Providers whose look-up without an id finds every refund that carries ours."""


def issue_of(refund: Refund, now: datetime, policy: RefundPolicy) -> Emission:
    """`refund.issue`: the command to send this attempt."""
    data = RefundIssue(
        refund_id=refund.refund_id,
        order_id=refund.order_id,
        tender_id=refund.tender_id,
        provider=refund.provider,
        reference=refund.reference,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        idempotency_key=refund.idempotency_key,
        attempt=refund.attempt,
        issued_at=refund.issued_at,
        first_issued_at=refund.first_issued_at,
        not_after=not_after(refund, policy),
    )
    topic = REFUNDS_COMMANDS[refund.provider]
    return emission(topic, refund.order_id, "refund.issue", data, now, refund.refund_id, str(refund.attempt))


def look_up_of(refund: Refund, now: datetime, policy: RefundPolicy, *, all_of_it: bool = False) -> Emission:
    """`refund.look_up`: the command to ask the provider what became of the refund.

    `all_of_it` asks for whatever the provider may have made of it, not only for the one refund that is known.
    """
    unusable = refund.provider_refund_id == UNNAMED or (all_of_it and refund.provider in _SEARCHABLE)
    known_id = None if unusable else refund.provider_refund_id
    issue = issue_of(refund, now, policy).data
    data = msgspec.convert(
        {
            **msgspec.structs.asdict(issue),
            "issued_at": now,
            "provider_refund_id": known_id,
            "look_up_no": refund.look_up_no,
        },
        RefundLookUp,
    )
    topic = REFUNDS_COMMANDS[refund.provider]
    cause = (refund.refund_id, str(refund.look_up_no), now.isoformat())
    return emission(topic, refund.order_id, "refund.look_up", data, now, *cause)


def wake_of(refund: Refund, now: datetime, after_s: float) -> Later:
    """The due row that will look at this refund again; one a refund."""
    due_at = now + timedelta(seconds=after_s)
    data = RefundDue(refund_id=refund.refund_id, order_id=refund.order_id, revision=refund.revision)
    message = emission(
        REFUNDS_DUE,
        refund.order_id,
        "refund.due",
        data,
        due_at,
        refund.refund_id,
        str(refund.revision),
        due_at.isoformat(),
    )
    return Later(wake_id(refund), refund.refund_id, due_at, refund.revision, message)


def event_of(refund: Refund, type_: str, now: datetime) -> Emission:
    """The event that tells a refund's step."""
    data = RefundEvent(
        refund_id=refund.refund_id,
        order_id=refund.order_id,
        tender_id=refund.tender_id,
        provider=refund.provider,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        state=refund.state,
        provider_refund_id=refund.provider_refund_id,
        code=refund.code,
        occurred_at=now,
        visible_by=refund.visible_by,
        redirected_from=refund.redirected_from,
        redirected_to=refund.redirected_to,
        revision=refund.revision,
    )
    return emission(REFUNDS_EVENTS, refund.order_id, type_, data, now, refund.refund_id, str(refund.revision))


def key_forgotten_at(first_use: datetime, provider: str, policy: RefundPolicy) -> datetime | None:
    """From here on a key that was first used then might execute anew; None where it is never forgotten.

    The longest stall is taken off, for calls that are still under way.
    """
    kept = policy.key_retention.get(provider)
    return None if kept is None else first_use + kept - policy.longest_stall - timedelta(seconds=policy.lease_s)


def not_after(refund: Refund, policy: RefundPolicy) -> datetime | None:
    """Until when an adapter that can't claim may call: counted from the first issue, the earliest possible use."""
    return key_forgotten_at(refund.first_issued_at, refund.provider, policy)


def wake_id(refund: Refund) -> str:
    """The one due row of a refund."""
    return f"refund:{refund.refund_id}"
