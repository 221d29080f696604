"""The one gate before any second way to pay: a redirect, a new key, or a person who pays elsewhere.

Every call has been answered or has run out, *then* a look-up is begun, *then* it shows nothing alive, *then* the other
way is taken, under the order's lock (protocol rule 4).
"""

from datetime import datetime
from typing import Final

from schemas.refunds import RefundResult
from workers.domain import ids, ledger
from workers.domain.refund_course import Course, Situation
from workers.domain.refund_messages import not_after
from workers.domain.refund_types import Gate, Refund

NO_PROOF: Final = frozenset({"other_refunds", "CAPTURE_REFUNDED", "CAPTURE_PARTIALLY_REFUNDED"})
"""A look-up found no refund by our mark, yet refunds that may be ours: a rule concludes nothing from it."""
GATE_UNANSWERED: Final = "gate_unanswered"
"""The provider never said whether something of the refund is alive."""


def open_gate(course: Course, purpose: Gate, action_id: str | None = None, *, after_s: float = 0.0) -> None:
    """Begin to prove that nothing of the refund is alive, after a while."""
    course.change(gate=purpose, gate_look_up=None, gate_action=action_id)
    if after_s > 0:
        course.wait(after_s)
    else:
        advance(course)


def advance(course: Course) -> None:
    """The next step towards the proof: wait for calls to end, then ask, and ask again."""
    refund, at = course.refund, course.at
    until = calls_end(refund, at)
    if until is not None and until > at.now:
        course.wait((until - at.now).total_seconds() + 1)
        return
    if refund.gate_action is None and refund.gate_look_up is not None and course.waited() > course.policy.gate_limit:
        course.review(GATE_UNANSWERED)
        return
    policy = course.policy
    if refund.gate_look_up is None:
        number = refund.look_up_no + 1
        course.change(look_up_no=number, gate_look_up=number)
        again_s = policy.look_up_base_s
    else:
        again_s = min(max(course.waited().total_seconds(), policy.look_up_base_s), policy.look_up_max_s)
    course.ask(all_of_it=True)
    course.wait(again_s)


def calls_end(refund: Refund, at: Situation) -> datetime | None:
    """When the last call that may be under way has ended for certain; None where none is."""
    stall = at.policy.longest_stall
    if at.claims:
        ends = [claim.lease_until + stall for claim in at.claims if claim.attempt not in at.answered]
        return max(ends, default=None)
    # Adapters that can't claim may hold any command that was sent and never answered, for as long as it allows.
    allowed = not_after(refund, at.policy)
    if allowed is None or all(attempt in at.answered for attempt in range(1, refund.attempt + 1)):
        return None
    return allowed + stall


def is_awaited(refund: Refund, result: RefundResult) -> bool:
    """Whether a look-up's answer is the one that a gate waits for: absence is bound to it (protocol rule 5)."""
    return (
        refund.gate_look_up is not None
        and refund.gate not in (None, "frozen")
        and result.via == "look_up"
        and result.look_up_no == refund.gate_look_up
        and result.outcome in ("not_found", "declined", "rejected")
    )


def answer(course: Course, result: RefundResult) -> None:
    """The awaited answer: it opens the gate unless something is alive, or it proves nothing."""
    refund = course.refund
    if any(fact.alive for fact in course.facts.values()) or refund.settled_at is not None:
        course.review(refund.code)
    elif result.provider_code in NO_PROOF and (refund.gate_action is None or refund.code not in NO_PROOF):
        # A person who was shown it before had to say how they know better; one who was not is shown it now.
        course.review(result.provider_code)
    elif refund.gate == "settle":
        course.change(gate="frozen")
        course.tell()
    elif refund.gate == "renew" and refund.gate_action is None and course.at.now > refund.give_up_at:
        course.review(refund.code)
    else:
        _pay_another_way(course)


def _pay_another_way(course: Course) -> None:
    old, now = course.refund, course.at.now
    new = _successor_of(old, now, now + course.policy.give_up_after)
    course.move("redirected", code=old.code, redirected_to=new.refund_id)
    course.transfers += ledger.redirected(old, new, now)
    course.create(new)


def _successor_of(old: Refund, now: datetime, give_up_at: datetime) -> Refund:
    """The new refund: of the same money, under an id and a key of its own, linked to the old one."""
    assert old.gate in ("redirect", "renew")
    refund_id = ids.successor_id(old.refund_id, old.revision)
    renewed = old.gate == "renew"
    return Refund(
        refund_id=refund_id,
        order_id=old.order_id,
        tender_id=old.tender_id,
        client_id=old.client_id,
        provider=old.provider if renewed else "wallet",
        reference=old.reference if renewed else ids.wallet_of(old.client_id),
        amount_minor=old.amount_minor,
        currency=old.currency,
        idempotency_key=ids.idempotency_key(refund_id),
        state="requested",
        attempt=1,
        look_up_no=1,
        first_issued_at=now,
        issued_at=now,
        state_since=now,
        # A rule that renews keeps the bound on the whole; a person who does begins anew.
        give_up_at=old.give_up_at if renewed and old.gate_action is None else give_up_at,
        redirected_from=old.refund_id,
    )
