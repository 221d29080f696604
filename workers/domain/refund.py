"""A refund's life: one decision for every observation of it (SPEC §4).

A result of an older attempt is recorded and changes nothing, unless it is a fact about money (`succeeded`,
`pending`): all attempts share one key, so the fact holds for the refund. Facts only move forward:
pending, succeeded, failed.
"""

from datetime import datetime, timedelta
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from schemas.refunds import Outcome, RefundDue, RefundResult, RefundState
from workers.domain import ledger
from workers.domain.business_days import country_of, visible_by
from workers.domain.emission import Emission, Later
from workers.domain.policy import RefundPolicy
from workers.domain.refund_messages import event_of, issue_of, key_forgotten_at, look_up_of, wake_id, wake_of
from workers.domain.refund_types import OPEN, TRANSITIONS, Claim, Refund

ALREADY_REFUNDED: Final = frozenset({"charge_already_refunded", "CAPTURE_FULLY_REFUNDED"})
"""The provider says that nothing is left to refund; without proof that it was ours, a person must look."""

OVERPAID: Final = "overpaid"
"""The provider made more than one refund of this: money went out twice."""
DUPLICATES: Final = "duplicate_refunds"
"""An adapter's word for several refunds of ours that it found."""

_EVENTS: Final[dict[RefundState, str]] = {
    "pending": "refund.pending",
    "succeeded": "refund.succeeded",
    "declined": "refund.failed",
    "bounced": "refund.bounced",
    "redirected": "refund.redirected",
    "needs_review": "refund.needs_review",
}


class RefundDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What an observation changes: `refund` after it, and whether that differs from before."""

    refund: Refund
    changed: bool = False
    transfers: tuple[ledger.Transfer, ...] = ()
    later: tuple[Later, ...] = ()
    withdrawn: tuple[str, ...] = ()
    emissions: tuple[Emission, ...] = ()


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision on a refund depends on beside the refund and the observation."""

    now: datetime
    policy: RefundPolicy
    jitter: float
    """Between 0 and 1; spreads retries."""
    client_locale: str | None = None
    claim: Claim | None = None
    """Of the refund's current attempt."""


def decide_result(refund: Refund, result: RefundResult, at: Situation) -> RefundDecision:
    """A provider's answer, however it came."""
    state, outcome = refund.state, result.outcome
    if outcome in ("succeeded", "pending"):
        return _fact(refund, result, outcome, at)
    if outcome == "declined":
        return _declined(refund, result, at)
    if outcome == "not_found":
        return _absent(refund, result, at)
    if result.via == "look_up" or result.attempt != refund.attempt:
        # A look-up that failed says nothing of the refund; the due row asks again.
        return RefundDecision(refund=refund)
    if outcome == "rejected":
        if state in OPEN or (state == "pending" and _is_of_this(refund, result)):
            return _review(refund, result.provider_code, at)
        return RefundDecision(refund=refund)
    if state != "requested":
        return RefundDecision(refund=refund)
    if outcome == "retryable":
        return _retry(refund, result.provider_code, at, wait_s=result.retry_after_s or 0)
    return _uncertain(refund, result.provider_code, at)


def decide_due(refund: Refund, due: RefundDue, at: Situation) -> RefundDecision:
    """A refund waited long enough in its state: nothing is ever left where it is for ever."""
    if due.revision != refund.revision:
        return RefundDecision(refund=refund)
    waited = at.now - refund.state_since
    policy = at.policy
    match refund.state:
        case "requested":
            return _unanswered(refund, at)
        case "retrying":
            again = _moved(refund, "requested", at, attempt=refund.attempt + 1, issued_at=at.now)
            return RefundDecision(
                refund=again,
                changed=True,
                later=(wake_of(again, at.now, policy.command_again_s),),
                emissions=(issue_of(again, at.now, policy),),
            )
        case "uncertain":
            if waited > policy.uncertain_limit:
                return _review(refund, refund.code, at)
            return _ask(refund, at, _backoff(waited, policy.look_up_base_s, policy.look_up_max_s))
        case "pending":
            if waited > policy.pending_limit:
                return _review(refund, "pending_too_long", at)
            return _ask(refund, at, policy.pending_look_up_s)
        case "succeeded":
            return _audit(refund, at)
        case "declined" | "bounced" | "redirected" | "needs_review" | "settled_elsewhere":
            return RefundDecision(refund=refund)
        case _:
            assert_never(refund.state)


def _fact(refund: Refund, result: RefundResult, outcome: Outcome, at: Situation) -> RefundDecision:
    if refund.state in ("pending", "succeeded") and _is_of_another(refund, result):
        return _review(refund, OVERPAID, at)
    if refund.state == outcome and refund.provider_refund_id is None and result.provider_refund_id is not None:
        return _named(refund, result.provider_refund_id, at)
    if refund.state not in OPEN and not (refund.state == "pending" and outcome == "succeeded"):
        return RefundDecision(refund=refund)
    known_id = result.provider_refund_id or refund.provider_refund_id
    if outcome == "pending":
        pending = _moved(refund, "pending", at, provider_refund_id=known_id, code=result.provider_code)
        return _told(pending, at, (wake_of(pending, at.now, at.policy.pending_look_up_s),))
    succeeded = _moved(
        refund,
        "succeeded",
        at,
        provider_refund_id=known_id,
        code=result.provider_code,
        settled_at=at.now,
        visible_by=visible_by(refund.provider, at.now.date(), country_of(at.client_locale)),
    )
    if refund.provider == "wallet":
        return _told(succeeded, at, ())  # the wallet is the ledger: its own posting was the refund
    told = _told(succeeded, at, _next_audit(succeeded, at), (ledger.settled(succeeded, at.now),))
    return _followed_by(told, _review(succeeded, OVERPAID, at)) if result.provider_code == DUPLICATES else told


def _named(refund: Refund, provider_refund_id: str, at: Situation) -> RefundDecision:
    """A fact that was first heard without the provider's id gets it: only by its id can a bounce be told later."""
    named = replace(refund, provider_refund_id=provider_refund_id, revision=refund.revision + 1)
    if named.state == "pending":
        later: tuple[Later, ...] = (wake_of(named, at.now, at.policy.pending_look_up_s),)
    else:
        later = () if named.provider == "wallet" else _next_audit(named, at)
    return RefundDecision(refund=named, changed=True, later=later)


def _declined(refund: Refund, result: RefundResult, at: Situation) -> RefundDecision:
    known_id = result.provider_refund_id or refund.provider_refund_id
    if refund.state == "succeeded":
        # Only word of the very refund that succeeded can take its success back.
        if result.provider_refund_id is None or result.provider_refund_id != refund.provider_refund_id:
            return RefundDecision(refund=refund)
        bounced = _moved(refund, "bounced", at, code=result.provider_code, visible_by=None)
        first = _told(bounced, at, (), (ledger.bounced(bounced, at.now),))
    elif (refund.state == "pending" and _is_of_this(refund, result)) or (
        refund.state in OPEN and result.attempt == refund.attempt
    ):
        declined = _moved(refund, "declined", at, provider_refund_id=known_id, code=result.provider_code)
        first = _told(declined, at, ())
    else:
        return RefundDecision(refund=refund)
    return _followed_by(first, _review(first.refund, result.provider_code, at))


def _is_of_this(refund: Refund, result: RefundResult) -> bool:
    """Whether a result speaks of the provider's refund that is known, or names none while none is known."""
    return result.provider_refund_id == refund.provider_refund_id


def _is_of_another(refund: Refund, result: RefundResult) -> bool:
    """Whether the provider has made a second refund beside the one that is known."""
    return None not in (refund.provider_refund_id, result.provider_refund_id) and not _is_of_this(refund, result)


def _followed_by(first: RefundDecision, second: RefundDecision) -> RefundDecision:
    """Two steps in one decision; what is waited for is what the second says."""
    return replace(
        second,
        transfers=(*first.transfers, *second.transfers),
        emissions=(*first.emissions, *second.emissions),
    )


def _absent(refund: Refund, result: RefundResult, at: Situation) -> RefundDecision:
    # Absence holds for the look-up that was waited for, and never for one asked before.
    if refund.state != "uncertain" or result.look_up_no != refund.look_up_no:
        return RefundDecision(refund=refund)
    if refund.code in ALREADY_REFUNDED:
        return _review(refund, refund.code, at)
    return _retry(refund, refund.code, at)


def _retry(refund: Refund, code: str | None, at: Situation, wait_s: float = 0) -> RefundDecision:
    policy = at.policy
    spread = 0.5 + at.jitter / 2
    doubled = policy.retry_base_s * 2.0 ** min(refund.attempt - 1, 30)
    wait_s = max(wait_s, min(doubled, policy.retry_max_s) * spread)
    again_at = at.now + timedelta(seconds=wait_s)
    if again_at > refund.first_issued_at + policy.give_up_after:
        return _review(refund, code, at)
    if again_at > key_forgotten_at(refund, policy):
        return _review(refund, "key_retention_passed", at)
    retrying = _moved(refund, "retrying", at, code=code)
    return RefundDecision(refund=retrying, changed=True, later=(wake_of(retrying, at.now, wait_s),))


def _uncertain(refund: Refund, code: str | None, at: Situation) -> RefundDecision:
    uncertain = _moved(refund, "uncertain", at, code=code, look_up_no=refund.look_up_no + 1)
    return RefundDecision(refund=uncertain, changed=True, later=(wake_of(uncertain, at.now, at.policy.look_up_base_s),))


def _unanswered(refund: Refund, at: Situation) -> RefundDecision:
    policy, claim = at.policy, at.claim
    if claim is None:
        if at.now > refund.first_issued_at + policy.give_up_after:
            return _review(refund, "nobody_took_the_command", at)
        wait_s = min(policy.command_again_s * 2.0 ** min(_doublings(refund, at), 30), policy.retry_max_s)
        again = (wake_of(refund, at.now, max(wait_s, policy.command_again_s)),)
        return RefundDecision(refund=refund, later=again, emissions=(issue_of(refund, at.now, policy),))
    left_s = (claim.lease_until - at.now).total_seconds()
    if left_s > 0:
        return RefundDecision(refund=refund, later=(wake_of(refund, at.now, left_s + 1),))
    return _uncertain(refund, "lease_expired", at)


def _doublings(refund: Refund, at: Situation) -> int:
    waited_s = (at.now - refund.issued_at).total_seconds()
    return max(0, int(waited_s // at.policy.command_again_s).bit_length() - 1)


def _backoff(waited: timedelta, base_s: float, max_s: float) -> float:
    """Ask again after as long as was waited already: each wait doubles the age."""
    return min(max(waited.total_seconds(), base_s), max_s)


def _ask(refund: Refund, at: Situation, again_s: float) -> RefundDecision:
    return RefundDecision(
        refund=refund,
        later=(wake_of(refund, at.now, again_s),),
        emissions=(look_up_of(refund, at.now, at.policy),),
    )


def _audit(refund: Refund, at: Situation) -> RefundDecision:
    return RefundDecision(
        refund=refund, later=_next_audit(refund, at), emissions=(look_up_of(refund, at.now, at.policy),)
    )


def _next_audit(refund: Refund, at: Situation) -> tuple[Later, ...]:
    assert refund.settled_at is not None
    age = at.now - refund.settled_at
    for after in at.policy.audit_after:
        if after > age:
            return (wake_of(refund, at.now, (after - age).total_seconds()),)
    return ()


def _review(refund: Refund, code: str | None, at: Situation) -> RefundDecision:
    return _told(_moved(refund, "needs_review", at, code=code), at, ())


def _moved(refund: Refund, state: RefundState, at: Situation, **changes: object) -> Refund:
    assert state in TRANSITIONS[refund.state], f"{refund.state} -> {state}"
    return replace(refund, state=state, state_since=at.now, revision=refund.revision + 1, **changes)


def _told(
    refund: Refund,
    at: Situation,
    later: tuple[Later, ...],
    transfers: tuple[ledger.Transfer, ...] = (),
) -> RefundDecision:
    """A step that others hear of; without `later` nothing is waited for any more."""
    return RefundDecision(
        refund=refund,
        changed=True,
        transfers=transfers,
        later=later,
        withdrawn=() if later else (wake_id(refund),),
        emissions=(event_of(refund, _EVENTS[refund.state], at.now),),
    )
