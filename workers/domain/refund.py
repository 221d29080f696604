"""A refund's life: one decision for every observation of it (SPEC §4). Drawn in docs/refunds.md."""

from typing import assert_never

from schemas.refunds import RefundDue, RefundFlagged, RefundResult
from workers.domain.refund_actions import on_action
from workers.domain.refund_course import Course, RefundDecision, Situation
from workers.domain.refund_facts import OVERPAID
from workers.domain.refund_results import on_result
from workers.domain.refund_types import Action, Refund
from workers.domain.refund_waiting import on_due

Observation = RefundResult | RefundDue | RefundFlagged | Action


def decide_refund(refund: Refund, observation: Observation, at: Situation) -> RefundDecision:
    """What an observation of a refund changes and causes. The same one again, or an older one, changes nothing."""
    course = Course(refund, at)
    match observation:
        case RefundResult():
            on_result(course, observation)
        case RefundDue():
            if observation.revision == refund.revision:
                on_due(course)
        case RefundFlagged():
            _on_flag(course, observation)
        case Action():
            on_action(course, observation)
        case _:
            assert_never(observation)
    return course.decision()


def _on_flag(course: Course, flag: RefundFlagged) -> None:
    """Something doesn't add up, whatever the state says. Once redirected, its money is with its successor.

    What is in review already stays there with the news, and a way out that a person had asked for is shut: they did
    not know of it. That it was paid twice is never painted over.
    """
    refund = course.refund
    if refund.state == "redirected":
        if course.at.successor is not None and not _paid_twice(course.at.successor):
            course.beside(course.at.successor).review(flag.code)
    elif not _paid_twice(refund):
        course.review(flag.code)


def _paid_twice(refund: Refund) -> bool:
    return refund.state == "needs_review" and refund.code == OVERPAID
