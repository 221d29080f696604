"""Every state of a refund beside every answer (SPEC §4): only steps that the table allows, and facts only forward."""

from datetime import timedelta
from itertools import pairwise, product
from typing import Final, get_args

import pytest
from kit.builders import decide, due, fact, refund_in, result, situation

from schemas.refunds import Outcome, RefundState, Via
from workers.domain.refund_course import RefundDecision
from workers.domain.refund_types import OPEN, TRANSITIONS, Refund

STATES: Final[tuple[RefundState, ...]] = get_args(RefundState)
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
WAITING: Final = ("requested", "retrying", "uncertain", "pending", "declined", "bounced")
RESTING: Final = ("redirected", "needs_review", "settled_elsewhere")

_STEPS = {
    "requested": "pending succeeded declined retrying uncertain needs_review redirected",
    "retrying": "requested pending succeeded declined uncertain needs_review redirected",
    "uncertain": "retrying pending succeeded declined needs_review",
    "pending": "succeeded declined needs_review",
    "succeeded": "bounced needs_review",
    "declined": "redirected needs_review pending succeeded",
    "bounced": "redirected needs_review pending succeeded",
    "redirected": "pending succeeded",
    "needs_review": "requested pending succeeded uncertain redirected settled_elsewhere",
    "settled_elsewhere": "needs_review",
}

# What each answer to the current attempt makes of each state, where it names the provider's refund that is known.
_ANSWERED = {
    "requested": "succeeded pending declined needs_review retrying uncertain requested",
    "retrying": "succeeded pending declined needs_review retrying retrying retrying",
    "uncertain": "succeeded pending declined needs_review uncertain uncertain retrying",
    "pending": "succeeded pending declined needs_review pending pending pending",
    "succeeded": "succeeded succeeded bounced needs_review succeeded succeeded succeeded",
    # No refund of the provider's is known: one may turn up. The bounced one has failed, and older word changes nothing.
    "declined": "succeeded pending declined declined declined declined declined",
    "bounced": "bounced bounced bounced bounced bounced bounced bounced",
}
_CURRENT = [
    (state, outcome, after)
    for state, row in _ANSWERED.items()
    for outcome, after in zip(OUTCOMES, row.split(), strict=True)
]

# An answer to an earlier attempt is only good for facts about money: all attempts share one key.
_FACTS: Final = ("succeeded", "pending", "declined")
_OLDER = [
    (state, outcome, after if outcome in _FACTS or (state, outcome) in _OF_THIS else state)
    for _OF_THIS in [{("pending", "rejected"), ("succeeded", "rejected")}]
    for state, outcome, after in _CURRENT
]


def test_the_table_of_steps_is_the_contracts() -> None:
    assert {state: set(row.split()) for state, row in _STEPS.items()} == {
        state: set(follow) for state, follow in TRANSITIONS.items()
    }
    assert set(TRANSITIONS) == set(STATES)
    assert {"requested", "retrying", "uncertain"} == OPEN
    assert OUTCOMES == ("succeeded", "pending", "declined", "rejected", "retryable", "uncertain", "not_found")


@pytest.mark.parametrize(("state", "outcome", "after"), _CURRENT)
def test_an_answer_to_the_current_attempt(state: str, outcome: str, after: str) -> None:
    answer = result(outcome, attempt=3, look_up_no=2, provider_refund_id="re_1")
    assert decide(refund_in(state), answer, situation()).refund.state == after


@pytest.mark.parametrize(("state", "outcome", "after"), _OLDER)
def test_an_answer_to_an_earlier_attempt_changes_nothing_but_facts(state: str, outcome: str, after: str) -> None:
    answer = result(outcome, attempt=2, look_up_no=1, provider_refund_id="re_1")
    assert decide(refund_in(state), answer, situation()).refund.state == after


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("outcome", ["rejected", "retryable", "uncertain"])
def test_a_look_up_that_failed_says_nothing_of_the_refund(state: str, outcome: str) -> None:
    before = refund_in(state)
    answer = result(outcome, attempt=3, look_up_no=2, via="look_up")
    assert decide(before, answer, situation()) == RefundDecision(refund=before)


@pytest.mark.parametrize(
    ("state", "outcome", "after"),
    [row for row in _CURRENT if row[1] in ("succeeded", "pending", "declined", "not_found")],
)
def test_a_look_up_that_found_an_answer_counts_as_the_answer(state: str, outcome: str, after: str) -> None:
    answer = result(outcome, attempt=3, look_up_no=2, via="look_up", provider_refund_id="re_1")
    assert decide(refund_in(state), answer, situation()).refund.state == after


@pytest.mark.parametrize("state", RESTING)
def test_nothing_that_is_no_fact_moves_a_refund_that_rests(state: str) -> None:
    before = refund_in(state)
    for outcome, via, attempt in product(("rejected", "retryable", "uncertain", "not_found"), get_args(Via), (1, 3, 4)):
        answer = result(outcome, via=via, attempt=attempt, look_up_no=2, provider_refund_id="re_1")
        assert decide(before, answer) == RefundDecision(refund=before)
    assert decide(before, due(before)) == RefundDecision(refund=before)


def steps(before: str, after: str) -> int:
    """How many allowed steps lead from one state to the other, at most two."""
    if before == after:
        return 0
    if after in TRANSITIONS[before]:  # type: ignore[index]  # a state
        return 1
    assert any(after in TRANSITIONS[between] for between in TRANSITIONS[before]), f"{before} {after}"  # type: ignore[index]
    return 2


def wakes(decision: RefundDecision, refund: Refund) -> int:
    return sum(one.subject == refund.refund_id for one in decision.later)


def check(before: Refund, decision: RefundDecision) -> None:
    """What holds for every decision, whatever was observed."""
    after = decision.refund
    assert steps(before.state, after.state) <= after.revision - before.revision <= 3
    assert decision.changed == (after != before)
    path = [before.state, *(step.state for step in decision.steps if step.refund_id == before.refund_id)]
    assert path[-1] == after.state
    assert all(follows in TRANSITIONS[precedes] for precedes, follows in pairwise(path))
    assert (after.revision > before.revision) == decision.changed
    assert after.attempt >= before.attempt
    assert after.look_up_no >= before.look_up_no
    assert (after.idempotency_key, after.amount_minor, after.reference, after.first_issued_at) == (
        before.idempotency_key,
        before.amount_minor,
        before.reference,
        before.first_issued_at,
    )
    if after.state in WAITING and decision.changed:
        assert wakes(decision, after) == 1, "every waiting state writes the due row that will move it"
    if after.state in RESTING and decision.changed and after.gate is None:
        assert wakes(decision, after) == 0
        assert decision.withdrawn, "what rests waits for nothing any more"
    if not decision.changed:
        assert not decision.steps or decision.successor
    assert all(one.revision == after.revision for one in decision.later if one.subject == after.refund_id)
    assert (after.state_since > before.state_since) == (after.state != before.state), "each state has an age of its own"


def test_no_answer_whatsoever_makes_a_step_that_is_not_allowed() -> None:
    ids, numbers = (None, "re_1", "re_2"), (None, 1, 2, 3)
    cases = product(STATES, (None, "re_1"), OUTCOMES, get_args(Via), (2, 3, 4), numbers, ids)
    for state, known_id, outcome, via, attempt, look_up_no, told_id in cases:
        before = refund_in(state, provider_refund_id=known_id)
        answer = result(
            outcome, via=via, attempt=attempt, look_up_no=look_up_no, provider_refund_id=told_id, provider_code="code"
        )
        for facts in ((), (fact("re_1", "failed"),), (fact("re_1"), fact("re_2", "pending"))):
            check(before, decide(before, answer, situation(facts=facts)))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("hours", [0.01, 1, 23, 25, 24 * 6, 24 * 40])
def test_no_due_row_makes_a_step_that_is_not_allowed(state: str, hours: float) -> None:
    before = refund_in(state)
    check(before, decide(before, due(before), situation(now=before.state_since + timedelta(hours=hours))))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("revision", [1, 6, 8])
def test_a_due_row_of_another_revision_is_void(state: str, revision: int) -> None:
    before = refund_in(state)
    assert decide(before, due(before, revision=revision), situation()) == RefundDecision(refund=before)


@pytest.mark.parametrize("state", ["requested", "retrying", "uncertain", "pending"])
def test_a_due_row_moves_a_waiting_refund_or_asks_again_later(state: str) -> None:
    before = refund_in(state)
    decision = decide(before, due(before))
    assert len(decision.later) == 1
    assert decision.emissions
