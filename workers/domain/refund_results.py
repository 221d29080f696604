"""What a provider's answer changes, however it came: by the call, by a look-up, by a webhook.

Facts about the provider's refunds hold whichever attempt they came with, since all attempts share one key. All else
is about one attempt, and an answer to an older one changes nothing.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from schemas.refunds import RefundResult
from workers.domain import gate
from workers.domain.refund_course import Course
from workers.domain.refund_facts import decline, hear, standing_of
from workers.domain.refund_messages import key_forgotten_at
from workers.domain.refund_types import OPEN, UNNAMED, Refund, Standing

ALREADY_REFUNDED: Final = frozenset({"charge_already_refunded", "CAPTURE_FULLY_REFUNDED"})
"""The provider says that nothing is left to refund; without proof that it was ours, a person must look."""
KEY_RETENTION_PASSED: Final = "key_retention_passed"
"""The provider may have forgotten the key: sent again, it might carry the refund out anew."""
DISPUTED: Final = "disputed"
"""The client's bank has taken the payment back, or may."""
STORED_REFUSALS: Final = {"card": frozenset({"insufficient_funds", "balance_insufficient"})}
"""Refusals that pass, but that the provider stores under the key and repeats as long as it keeps it."""


def on_result(course: Course, result: RefundResult) -> None:
    """A provider's answer. Where it changes nothing by itself, something may have waited for it all the same."""
    before = course.refund
    if result.via == "call" and result.outcome != "uncertain":
        course.answer(result.attempt)
    _take(course, result)
    if course.refund is not before:
        return
    if gate.is_awaited(before, result):
        gate.answer(course, result)
    elif _is_audited(before, result):
        course.change(gate_look_up=None)
        course.await_audit()


def _take(course: Course, result: RefundResult) -> None:
    standing = standing_of(result)
    if standing is not None:
        hear(course, result, standing)
    elif result.outcome in ("succeeded", "pending"):
        _moved_money(course, result)
    elif result.outcome in ("declined", "rejected"):
        _refused(course, result)
    elif result.outcome == "not_found":
        _absent(course, result)
    elif result.via == "call" and result.attempt == course.refund.attempt and course.refund.state == "requested":
        if result.outcome == "retryable":
            retry(course, result.provider_code, wait_s=result.retry_after_s or 0)
        else:
            doubt(course, result.provider_code)


def _is_audited(refund: Refund, result: RefundResult) -> bool:
    """Whether it is the answer that an audit of a success waits for; one that changed nothing."""
    asked = refund.gate_look_up is not None and result.look_up_no == refund.gate_look_up
    return refund.state == "succeeded" and asked and result.outcome not in ("uncertain", "retryable")


def _moved_money(course: Course, result: RefundResult) -> None:
    """An adapter that knows no id of the provider's: what it says can be held against nothing that comes later.

    Where the refund doesn't wait for it any more it is kept as a fact all the same, under a name of ours.
    """
    refund = course.refund
    known = course.facts.get(refund.provider_refund_id or "")
    if known is not None and not known.alive and refund.state != "redirected":
        hear(course, replace(result, provider_refund_id=UNNAMED), _standing(result))
    elif refund.state in OPEN or refund.state == "pending":
        if result.outcome == "succeeded":
            course.settle(refund.provider_refund_id, result.provider_code)
        elif refund.state != "pending":
            course.move("pending", code=result.provider_code)
            course.wait(course.policy.pending_look_up_s)
    elif refund.state != "succeeded":
        hear(course, replace(result, provider_refund_id=UNNAMED), _standing(result))


def _standing(result: RefundResult) -> Standing:
    return "succeeded" if result.outcome == "succeeded" else "pending"


def _refused(course: Course, result: RefundResult) -> None:
    """No refund was made, or not this way. A look-up that was not waited for says nothing of it."""
    refund = course.refund
    current = result.attempt == refund.attempt
    if result.via == "look_up":
        current = current and result.outcome == "declined" and result.look_up_no == refund.look_up_no
    about_this = result.provider_refund_id == refund.provider_refund_id
    if (refund.state in OPEN and current) or (refund.state == "pending" and about_this and result.via != "look_up"):
        if result.outcome == "declined":
            decline(course, result, None)
        else:
            course.review(result.provider_code)
    elif refund.state == "succeeded" and about_this and result.provider_refund_id is not None:
        course.review(result.provider_code)


def _absent(course: Course, result: RefundResult) -> None:
    """Absence holds for the look-up that was waited for; it permits the same key again and nothing else (rule 3)."""
    refund = course.refund
    if refund.state != "uncertain" or result.look_up_no != refund.look_up_no:
        return
    if refund.code in ALREADY_REFUNDED:
        course.review(refund.code)
    else:
        retry(course, refund.code)


def retry(course: Course, code: str | None, wait_s: float = 0) -> None:
    """The same key again, after a while that doubles, as long as that is safe and makes sense."""
    refund, at, policy = course.refund, course.at, course.policy
    spread = 0.5 + at.jitter / 2
    doubled = policy.retry_base_s * 2.0 ** min(refund.attempt - 1, 30)
    wait_s = max(wait_s, min(doubled, policy.retry_max_s) * spread)
    again_at = at.now + timedelta(seconds=wait_s)
    if again_at > refund.give_up_at:
        course.review(code)
        return
    forgotten_at = first_use_forgotten_at(course)
    forgotten = forgotten_at is not None and again_at > forgotten_at
    if forgotten and refund.state == "uncertain":
        course.review(KEY_RETENTION_PASSED)
        return
    course.move("retrying", code=code)
    if forgotten or is_stored_refusal(refund, code, policy.refusals_before_renewal):
        gate.open_gate(course, "renew", after_s=wait_s)
    else:
        course.wait(wait_s)


def is_stored_refusal(refund: Refund, code: str | None, attempts: int) -> bool:
    """Whether the same key would only be refused again, by what the provider has stored under it."""
    return code in STORED_REFUSALS.get(refund.provider, ()) and refund.attempt >= attempts


def first_use_forgotten_at(course: Course) -> datetime | None:
    """From here on the refund's key might execute anew; None where it is never forgotten.

    Counted from the first claim; an adapter that can't claim may have used the key from its first issue on.
    """
    refund, claims = course.refund, course.at.claims
    first_use = min((claim.claimed_at for claim in claims), default=refund.first_issued_at)
    return key_forgotten_at(first_use, refund.provider, course.policy)


def doubt(course: Course, code: str | None) -> None:
    """Nobody knows what became of the attempt: ask the provider before anything else."""
    course.move("uncertain", code=code, look_up_no=course.refund.look_up_no + 1)
    course.wait(course.policy.look_up_base_s)
