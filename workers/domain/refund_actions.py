"""What a person may do with a refund, and when it is refused. Nothing is done on what they did not see (rule 8)."""

from datetime import datetime
from typing import Final, assert_never

from msgspec.structs import replace

from workers.domain import gate, ledger
from workers.domain.refund_course import Course
from workers.domain.refund_facts import OVERPAID
from workers.domain.refund_results import first_use_forgotten_at, is_stored_refusal
from workers.domain.refund_types import Action
from workers.domain.refund_waiting import send_again

MARKED_FAILED: Final = "marked_failed"
"""A person knows that the provider's refund never reached the client."""
MOVED: Final = "refund_moved"
"""The refund is not any more what the person saw."""


def on_action(course: Course, action: Action) -> None:
    """Carry it out, or say by a code why not."""
    refused = refusal(course, action)
    if refused is not None:
        course.refused = refused
        return
    match action.kind:
        case "look_up":
            _look_up(course)
        case "retry":
            _retry(course, action)
        case "redirect":
            gate.open_gate(course, "redirect", action.action_id)
        case "settle":
            gate.open_gate(course, "settle", action.action_id)
        case "mark_settled":
            _mark_settled(course)
        case "mark_failed":
            _mark_failed(course)
        case "release":
            _release(course)
        case _:
            assert_never(action.kind)


def refusal(course: Course, action: Action) -> str | None:
    """Why an action can't be carried out now, as a code; None where it can."""
    refund = course.refund
    if action.revision != refund.revision:
        return MOVED
    if action.kind == "look_up":
        return None if refund.state in ("uncertain", "pending", "succeeded", "needs_review") else "nothing_to_look_up"
    if refund.state != "needs_review":
        return "not_in_review"
    if action.kind == "release":
        # Whoever was told that they may pay may have paid: it takes word that nobody did.
        return "no_evidence" if refund.gate == "frozen" and not action.evidence else None
    if action.kind == "mark_settled":
        if refund.gate != "frozen":
            return "not_frozen"
        return None if action.evidence else "no_evidence"
    if action.kind == "mark_failed":
        return _refusal_to_deny(course, action)
    return _refusal_to_pay(course, action)


def _refusal_to_deny(course: Course, action: Action) -> str | None:
    refund = course.refund
    if refund.provider == "wallet":
        return "is_the_wallet"
    if refund.settled_at is None and not any(fact.alive for fact in course.facts.values()):
        return "nothing_is_alive"
    return None if action.evidence else "no_evidence"


def _refusal_to_pay(course: Course, action: Action) -> str | None:
    """What pays, or leads to it, is refused where something else does or did."""
    refund = course.refund
    if refund.gate is not None:
        return "gate_open"
    if course.at.paid_elsewhere:
        return "paid_elsewhere"
    if refund.settled_at is not None or any(fact.alive for fact in course.facts.values()):
        return "something_is_alive"
    if refund.code == OVERPAID:
        return "paid_another_way"
    if action.kind == "redirect" and refund.provider == "wallet":
        return "is_the_wallet"
    return "no_evidence" if refund.code in gate.NO_PROOF and not action.evidence else None


def _look_up(course: Course) -> None:
    refund, policy = course.refund, course.policy
    number = refund.look_up_no + 1
    # A gate that waits for its own look-up now waits for this one.
    course.change(look_up_no=number, gate_look_up=number if refund.gate_look_up is not None else None)
    course.ask(all_of_it=refund.state == "needs_review")
    if refund.state == "succeeded":
        course.await_audit()
    elif refund.state == "pending":
        course.wait(policy.pending_look_up_s)
    elif refund.state == "uncertain" or refund.gate not in (None, "frozen"):
        course.wait(policy.look_up_max_s)


def _retry(course: Course, action: Action) -> None:
    """The same key while that is safe and helps, else a new one, through the gate.

    What failed at the provider under a key is only told again under it.
    """
    refund, at = course.refund, course.at
    forgotten_at = first_use_forgotten_at(course)
    forgotten = forgotten_at is not None and at.now > forgotten_at
    if forgotten or course.facts or is_stored_refusal(refund, refund.code, 1):
        gate.open_gate(course, "renew", action.action_id)
    else:
        send_again(course, give_up_at=_anew(course))


def _anew(course: Course) -> datetime:
    """A person who lets it go on lets it go on as long as a new one."""
    return course.at.now + course.policy.give_up_after


def _mark_settled(course: Course) -> None:
    """A person paid; where the provider has as well meanwhile, it was paid twice."""
    if course.refund.settled_at is None:
        course.transfers.append(ledger.settled_elsewhere(course.refund, course.at.now))
        course.move("settled_elsewhere", code="settled_elsewhere")
    else:
        course.change(code=OVERPAID, gate=None, gate_look_up=None, gate_action=None)
        course.tell()


def _mark_failed(course: Course) -> None:
    """What counts as paid, or on its way, is not: the client has nothing, though no provider ever said so."""
    refund, now = course.refund, course.at.now
    booked = refund.provider_refund_id if refund.settled_at is not None else None
    if refund.settled_at is not None:
        course.unbook()
    for fact in [one for one in course.facts.values() if one.alive]:
        if fact.standing == "succeeded" and fact.provider_refund_id != booked:
            course.transfers.append(ledger.overpaid_returned(refund, fact.provider_refund_id, now))
        course.note(replace(fact, standing="failed", code=MARKED_FAILED, heard_at=now))
    course.change(code=MARKED_FAILED, **course.shut())
    course.tell()


def _release(course: Course) -> None:
    """Back to where the facts say that it is; with none, to where the provider is asked first."""
    refund = course.refund
    alive = [fact for fact in course.facts.values() if fact.alive]
    if refund.settled_at is not None:
        # Its code stays: who released it as overpaid has seen to that, and audits need not tell it again.
        course.move("succeeded", code=OVERPAID if refund.code == OVERPAID else None)
        course.await_audit()
    elif course.at.paid_elsewhere:
        course.move("settled_elsewhere", code=OVERPAID if refund.code == OVERPAID else "settled_elsewhere")
    elif alive:
        course.move("pending", code=alive[0].code, provider_refund_id=alive[0].provider_refund_id)
        course.wait(course.policy.pending_look_up_s)
    elif refund.code == OVERPAID:
        # It never paid itself: what paid instead is in suspense already, and this closes it.
        course.transfers.append(ledger.settled_elsewhere(refund, course.at.now))
        course.move("settled_elsewhere", code=OVERPAID)
    else:
        anew = _anew(course)
        course.move("uncertain", code="released", look_up_no=refund.look_up_no + 1, give_up_at=anew)
        course.wait(course.policy.look_up_base_s)
