"""What the provider made of a refund: facts by the provider's own ids, which only move forward.

They may be heard in any order, twice, and late. One of ours with two that are alive was paid twice.
"""

from typing import Final

from schemas.refunds import RefundResult
from workers.domain import gate, ledger
from workers.domain.refund_course import Course
from workers.domain.refund_types import OPEN, RANKS, Fact, Refund, Standing

OVERPAID: Final = "overpaid"
"""The provider made more than one refund of this: money went out twice."""
DUPLICATES: Final = "duplicate_refunds"
"""An adapter's word for several refunds of ours that it found."""
ALIVE_AFTER_ALL: Final = "alive_after_all"
"""While a person wanted to pay another way, the refund turned out to move."""
FAILED_UNNAMED: Final = "failed_unnamed"
"""A refund of the provider's failed, and the success that is on record came without an id to compare it with."""

_FAILED_FOR_REVIEW: Final = frozenset({"charge_for_pending_refund_disputed"})
"""The provider's refund failed, yet for a reason that a person must look at before it is paid another way."""


def standing_of(result: RefundResult) -> Standing | None:
    """How the provider's refund stands that a result names; None where it names none or says nothing of it."""
    if result.provider_refund_id is None:
        return None
    if result.outcome in ("succeeded", "pending"):
        return result.outcome
    failed = result.outcome == "declined" or result.provider_code in _FAILED_FOR_REVIEW
    return "failed" if failed and result.outcome in ("declined", "rejected") else None


def hear(course: Course, result: RefundResult, standing: Standing) -> None:
    """Take a fact in. What is known already, or older than what is known, changes nothing but an open attempt."""
    assert result.provider_refund_id is not None
    was = course.facts.get(result.provider_refund_id)
    if was is None or RANKS[standing] > RANKS[was.standing]:
        fact = Fact(
            refund_id=course.refund.refund_id,
            provider_refund_id=result.provider_refund_id,
            standing=standing,
            code=result.provider_code,
            heard_at=course.at.now,
        )
        course.note(fact)
    else:
        fact = was
    others_alive = any(one.alive for one in course.facts.values() if one is not fact)
    if fact.alive and others_alive:
        if fact is not was:
            _overpaid(course, fact)
    elif fact.alive:
        _alive(course, fact, was)
        if result.provider_code == DUPLICATES:
            _several(course)
    elif fact is not was or _is_answer_to_current(course.refund, result):
        _failed(course, fact, was, result)


def _is_answer_to_current(refund: Refund, result: RefundResult) -> bool:
    """Whether it answers what the refund waits for, and is not only an old failure told once more."""
    if result.via == "look_up":
        return result.look_up_no == refund.look_up_no
    return result.via == "call" and result.attempt == refund.attempt


def decline(course: Course, result: RefundResult, provider_refund_id: str | None) -> None:
    """The refund did not go through, which proves nothing yet of its other attempts."""
    known_id = provider_refund_id or course.refund.provider_refund_id
    course.move("declined", provider_refund_id=known_id, code=result.provider_code)
    _send_on(course, result)


def _alive(course: Course, fact: Fact, was: Fact | None) -> None:
    state, paid = course.refund.state, fact.standing == "succeeded"
    if state in OPEN or state in ("declined", "bounced") or (state == "pending" and paid):
        _follow(course, fact)
    elif state in ("pending", "succeeded"):
        _name(course, fact)
    elif fact is was:
        return
    elif state == "needs_review":
        _alive_in_review(course, fact)
    elif state == "redirected":
        _alive_after_redirect(course, fact)
    elif paid:
        course.transfers.append(ledger.overpaid(course.refund, fact.provider_refund_id, course.at.now))
        course.review(OVERPAID)


def _name(course: Course, fact: Fact) -> None:
    """What was first heard without an id gets it: only by its id can a bounce be told later."""
    if course.refund.provider_refund_id is not None:
        return
    course.change(provider_refund_id=fact.provider_refund_id)
    if course.refund.state == "succeeded":
        course.await_audit()
    else:
        course.wait(course.policy.pending_look_up_s)


def _follow(course: Course, fact: Fact, **changes: None) -> None:
    if fact.standing == "succeeded":
        course.settle(fact.provider_refund_id, fact.code, **changes)
    else:
        course.move("pending", provider_refund_id=fact.provider_refund_id, code=fact.code, **changes)
        course.wait(course.policy.pending_look_up_s)


def _several(course: Course) -> None:
    """The adapter found several that are alive, and could name one: it was paid twice, whichever they are."""
    refund, successor = course.refund, course.at.successor
    if refund.state == "redirected":
        if successor is not None and successor.code != OVERPAID and not course.has_beside:
            course.beside(successor).review(OVERPAID)
    elif refund.code != OVERPAID:
        course.review(OVERPAID)


def _alive_in_review(course: Course, fact: Fact) -> None:
    """The ledger follows what happened; the state waits for a person. Whoever wanted to pay otherwise is stopped.

    Where the refund is frozen they may have paid already, and it stays frozen until they say whether they did.
    """
    refund = course.refund
    code = ALIVE_AFTER_ALL if refund.gate is not None else refund.code
    if fact.standing == "succeeded" and course.at.paid_elsewhere:
        course.transfers.append(ledger.overpaid(refund, fact.provider_refund_id, course.at.now))
        code = OVERPAID
    elif fact.standing == "succeeded":
        course.book(fact.provider_refund_id)
    course.change(provider_refund_id=fact.provider_refund_id, code=code, **course.shut())
    course.tell()


def _alive_after_redirect(course: Course, fact: Fact) -> None:
    """A late success withdraws a redirect that nobody took up; else money went out twice (protocol rule 6)."""
    successor = course.at.successor
    assert successor is not None, "a redirected refund has a successor"
    # Only the wallet's commands are sure to be claimed before anything is done.
    untouched = successor.state in ("requested", "needs_review") and not course.at.successor_claimed
    if successor.provider == "wallet" and untouched and successor.gate is None:
        beside = course.beside(successor)
        beside.move("redirected", code="original_succeeded", redirected_to=course.refund.refund_id)
        course.transfers += ledger.redirect_withdrawn(course.refund, successor, course.at.now)
        _follow(course, fact, redirected_to=None)
    elif fact.standing == "succeeded":
        _paid_beside(course, fact, successor)


def _paid_beside(course: Course, fact: Fact, successor: Refund | None) -> None:
    course.transfers.append(ledger.overpaid(course.refund, fact.provider_refund_id, course.at.now))
    if successor is not None:
        course.beside(successor).review(OVERPAID)


def _overpaid(course: Course, fact: Fact) -> None:
    refund = course.refund
    if refund.state == "redirected":
        if fact.standing == "succeeded":
            _paid_beside(course, fact, course.at.successor)
        return
    if fact.standing == "succeeded":
        if refund.settled_at is None and refund.state != "settled_elsewhere" and not course.at.paid_elsewhere:
            course.book(fact.provider_refund_id)
            course.change()
        else:
            course.transfers.append(ledger.overpaid(refund, fact.provider_refund_id, course.at.now))
    course.review(OVERPAID)


def _failed(course: Course, fact: Fact, was: Fact | None, result: RefundResult) -> None:
    refund = course.refund
    booked = refund.settled_at is not None and refund.provider_refund_id == fact.provider_refund_id
    if booked:
        _bounce(course, fact, result)
    elif was is not None and was.standing == "succeeded" and fact is not was:
        course.transfers.append(ledger.overpaid_returned(refund, fact.provider_refund_id, course.at.now))
    elif any(one.alive for one in course.facts.values()):
        return
    elif refund.state in OPEN or refund.state == "pending":
        decline(course, result, fact.provider_refund_id)
    elif refund.state == "succeeded" and refund.provider_refund_id is None:
        course.review(FAILED_UNNAMED)


def _bounce(course: Course, fact: Fact, result: RefundResult) -> None:
    course.unbook()
    paid = [one for one in course.facts.values() if one.standing == "succeeded"]
    if paid:
        # It was paid twice, and one of them came back: the other one is the refund now.
        other = paid[0].provider_refund_id
        course.transfers.append(ledger.overpaid_returned(course.refund, other, course.at.now))
        course.book(other)
        course.change()
        if course.refund.state == "succeeded":
            course.await_audit()
    elif course.refund.state == "succeeded":
        course.move("bounced", code=fact.code)
        _send_on(course, result)
    else:
        course.change()  # why a person must look stays what it was
        course.tell()


def _send_on(course: Course, result: RefundResult) -> None:
    """What the instrument can't take goes to the wallet, once it is proved that nothing else of it is alive."""
    declined = result.outcome == "declined" and course.refund.provider != "wallet"
    if declined and course.policy.redirects_itself:
        gate.open_gate(course, "redirect")
    else:
        course.review(result.provider_code)
