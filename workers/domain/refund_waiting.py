"""A refund waited long enough in its state: nothing is ever left where it is for ever (protocol rule 7)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from schemas.refunds import RefundState
from workers.domain import gate
from workers.domain.refund_course import Course
from workers.domain.refund_results import doubt

_LONGEST_ASKING_S: Final = 86_400.0
"""Between two times that an audit is asked which nobody answers."""


def on_due(course: Course) -> None:
    """The due row of a refund, as it is now. What waits for nothing any more has none."""
    if course.refund.gate is not None:
        if course.refund.gate != "frozen":
            gate.advance(course)
    elif (look := _LOOKS.get(course.refund.state)) is not None:
        look(course)


def send_again(course: Course, **changes: datetime) -> None:
    """The next attempt, with the same key."""
    refund, now = course.refund, course.at.now
    course.move("requested", attempt=refund.attempt + 1, issued_at=now, code=refund.code, **changes)
    course.send()
    course.wait(course.policy.command_again_s)


def _uncertain(course: Course) -> None:
    policy, waited = course.policy, course.waited()
    if waited > policy.uncertain_limit:
        course.review(course.refund.code)
    else:
        _ask(course, _backoff(waited, policy.look_up_base_s, policy.look_up_max_s))


def _pending(course: Course) -> None:
    if course.waited() > course.policy.pending_limit:
        course.review("pending_too_long")
    else:
        _ask(course, course.policy.pending_look_up_s)


def _succeeded(course: Course) -> None:
    """An audit: asked again until it is answered, for the word of a bounce may have got lost as well."""
    refund, policy = course.refund, course.policy
    assert refund.settled_at is not None
    age = course.at.now - refund.settled_at
    # Asked at least once, however late the due row is read: workers may have been down for days.
    if refund.gate_look_up is not None and age > policy.audit_after[-1] + policy.gate_limit:
        course.change(gate_look_up=None)
        return
    if refund.gate_look_up is None:
        number = refund.look_up_no + 1
        course.change(look_up_no=number, gate_look_up=number)
    course.ask()
    begun = max((after for after in policy.audit_after if after <= age), default=age)
    course.wait(min(max((age - begun).total_seconds(), policy.pending_look_up_s), _LONGEST_ASKING_S))


def _unanswered(course: Course) -> None:
    refund, policy, now = course.refund, course.policy, course.at.now
    claim = next((one for one in course.at.claims if one.attempt == refund.attempt), None)
    if claim is None:
        if now > refund.give_up_at:
            course.review("nobody_took_the_command")
            return
        wait_s = min(policy.command_again_s * 2.0 ** min(_doublings(course), 30), policy.retry_max_s)
        course.send()
        course.wait(max(wait_s, policy.command_again_s))
        return
    left_s = (claim.lease_until - now).total_seconds()
    if left_s > 0:
        course.wait(left_s + 1)
    else:
        doubt(course, "lease_expired")


def _doublings(course: Course) -> int:
    waited_s = (course.at.now - course.refund.issued_at).total_seconds()
    return max(0, int(waited_s // course.policy.command_again_s).bit_length() - 1)


def _backoff(waited: timedelta, base_s: float, max_s: float) -> float:
    """Ask again after as long as was waited already: each wait doubles the age."""
    return min(max(waited.total_seconds(), base_s), max_s)


def _ask(course: Course, again_s: float) -> None:
    course.ask()
    course.wait(again_s)


_LOOKS: Final[dict[RefundState, Callable[[Course], None]]] = {
    "requested": _unanswered,
    "retrying": send_again,
    "uncertain": _uncertain,
    "pending": _pending,
    "succeeded": _succeeded,
}
