"""The one gate before any second way to pay: calls ended, then a look-up, then nothing alive, then the other way."""

from datetime import timedelta

import pytest
from kit.builders import (
    CLIENT,
    NOW,
    ORDER,
    POLICY,
    REFUND,
    SUCCESSOR,
    TENDER,
    claim,
    decide,
    due,
    fact,
    refund,
    refund_in,
    result,
    situation,
    successor,
)

from schemas.refunds import RefundIssue, RefundLookUp, RefundResult
from workers.domain.refund_course import RefundDecision
from workers.domain.refund_types import Refund

LATER = situation().now
STALL = POLICY.refunds.longest_stall


def types(decision: RefundDecision) -> list[str]:
    return [emission.type for emission in decision.emissions]


def gated(state: str = "declined", **changes: object) -> Refund:
    """A refund whose gate waits for look-up 3."""
    return refund_in(state, **{"gate": "redirect", "gate_look_up": 3, "look_up_no": 3, **changes})


def absent(**changes: object) -> RefundResult:
    return result("not_found", **{"attempt": 3, "via": "look_up", "look_up_no": 3, **changes})


def test_a_decline_whose_calls_were_all_answered_asks_the_provider_at_once() -> None:
    decision = decide(refund(), result("declined", provider_code="lost_or_stolen_card"), situation(claims=(claim(),)))
    assert types(decision) == ["refund.failed", "refund.look_up"]
    asked = decision.emissions[1].data
    assert isinstance(asked, RefundLookUp)
    assert asked.look_up_no == decision.refund.gate_look_up == decision.refund.look_up_no == 2
    assert decision.created is None, "nothing is paid before the answer"


def test_a_call_that_was_never_answered_is_waited_out_lease_and_stall_before_the_look_up() -> None:
    claims = (claim(), claim(attempt=2, claimed_at=LATER, lease_until=LATER + timedelta(seconds=30)))
    declined = decide(refund(attempt=2), result("declined", attempt=2), situation(claims=claims))
    assert types(declined) == ["refund.failed"]
    assert declined.refund.gate_look_up is None
    open_until = NOW + timedelta(seconds=30) + STALL
    assert declined.later[0].due_at == open_until + timedelta(seconds=1)
    early = situation(now=open_until - timedelta(seconds=1), claims=claims, answered=frozenset({2}))
    assert types(decide(declined.refund, due(declined.refund), early)) == []
    then = situation(now=open_until, claims=claims, answered=frozenset({2}))
    assert types(decide(declined.refund, due(declined.refund), then)) == ["refund.look_up"]


def test_a_time_out_is_no_answer() -> None:
    doubted = decide(refund(), result("uncertain"), situation(claims=(claim(),))).refund
    named = decide(doubted, result("declined", via="webhook", provider_refund_id="re_1"), situation(claims=(claim(),)))
    assert named.refund.state == "declined"
    assert named.refund.gate_look_up is None, "the call that timed out may still be under way"


def test_commands_of_adapters_that_do_not_claim_may_be_carried_out_as_long_as_they_allow() -> None:
    declined = decide(refund(attempt=2), result("declined", attempt=2), situation())
    allowed_until = NOW + timedelta(hours=24) - STALL - timedelta(seconds=POLICY.refunds.lease_s)
    assert declined.later[0].due_at == allowed_until + STALL + timedelta(seconds=1)


def test_nothing_found_sends_the_money_to_the_wallet_as_a_new_linked_refund() -> None:
    before = gated()
    decision = decide(before, absent())
    new = decision.created
    assert new is not None
    assert (decision.refund.state, decision.refund.redirected_to) == ("redirected", new.refund_id)
    assert (new.state, new.provider, new.reference, new.tender_id) == ("requested", "wallet", f"wal_{CLIENT}", TENDER)
    assert (new.redirected_from, new.amount_minor, new.order_id) == (REFUND, 4500, ORDER)
    assert new.idempotency_key != before.idempotency_key
    assert types(decision) == ["refund.redirected", "refund.issue", "refund.requested"]
    issue = decision.emissions[1].data
    assert isinstance(issue, RefundIssue)
    assert (issue.refund_id, issue.provider) == (new.refund_id, "wallet")
    (line,) = decision.transfers
    assert (line.kind, line.debit_account, line.credit_account) == (
        "refund_redirected",
        "refunding:card",
        "refunding:wallet",
    )
    assert [one.subject for one in decision.later] == [new.refund_id]


@pytest.mark.parametrize("number", [None, 1, 2, 4])
def test_absence_told_by_another_look_up_than_the_gates_opens_nothing(number: int | None) -> None:
    assert not decide(gated(), absent(look_up_no=number)).changed


@pytest.mark.parametrize("outcome", ["retryable", "uncertain"])
def test_a_look_up_that_failed_opens_nothing(outcome: str) -> None:
    assert not decide(gated(), result(outcome, attempt=3, via="look_up", look_up_no=3)).changed


def test_an_answer_to_a_call_opens_nothing() -> None:
    assert not decide(gated(), result("declined", attempt=3, look_up_no=3)).changed


def test_the_look_up_that_finds_the_failed_refund_shows_nothing_alive() -> None:
    found = result("declined", attempt=3, via="look_up", look_up_no=3, provider_refund_id="re_1")
    bounced = gated("bounced")
    assert decide(bounced, found).refund.state == "redirected"


@pytest.mark.parametrize("outcome", ["succeeded", "pending"])
def test_what_turns_out_to_be_alive_shuts_the_gate(outcome: str) -> None:
    found = result(outcome, attempt=1, via="webhook", provider_refund_id="re_9")
    decision = decide(gated(), found)
    assert (decision.refund.state, decision.refund.gate) == (outcome, None)
    assert decision.created is None
    again = decide(decision.refund, absent(), situation(facts=(fact("re_9", outcome),)))
    assert again.created is None, "the look-up that was asked before says nothing now"


@pytest.mark.parametrize("code", ["other_refunds", "CAPTURE_REFUNDED", "CAPTURE_PARTIALLY_REFUNDED"])
def test_a_look_up_that_saw_refunds_which_may_be_ours_is_for_a_person(code: str) -> None:
    decision = decide(gated(), absent(provider_code=code))
    assert (decision.refund.state, decision.refund.code, decision.refund.gate) == ("needs_review", code, None)
    assert decision.created is None


def test_a_gate_is_asked_about_again_until_its_limit() -> None:
    before = gated(state_since=NOW)
    answered = {"claims": (claim(attempt=3),), "answered": frozenset({3})}
    again = decide(before, due(before), situation(now=NOW + timedelta(minutes=1), **answered))
    assert types(again) == ["refund.look_up"]
    assert (again.changed, again.later[0].due_at) == (False, NOW + timedelta(minutes=2))
    over = decide(before, due(before), situation(now=NOW + timedelta(days=5, seconds=1), **answered))
    assert (over.refund.state, over.refund.code) == ("needs_review", "gate_unanswered")


def test_a_renewed_refund_keeps_its_way_and_its_bound_and_gets_a_new_key() -> None:
    before = gated("retrying", gate="renew", give_up_at=NOW + timedelta(days=1))
    decision = decide(before, absent())
    new = decision.created
    assert new is not None
    assert (new.provider, new.reference, new.give_up_at) == ("card", before.reference, before.give_up_at)
    assert new.idempotency_key != before.idempotency_key
    assert decision.transfers == (), "the money is on its way through the same provider"


def test_a_rule_renews_nothing_that_is_to_be_given_up() -> None:
    before = gated("retrying", gate="renew", give_up_at=NOW)
    decision = decide(before, absent())
    assert (decision.refund.state, decision.created) == ("needs_review", None)


def test_a_late_success_withdraws_a_redirect_that_nobody_took_up() -> None:
    decision = decide(refund_in("redirected", provider_refund_id=None), result(provider_refund_id="re_1"))
    assert (decision.refund.state, decision.refund.redirected_to) == ("succeeded", None)
    withdrawn = decision.successor
    assert withdrawn is not None
    assert (withdrawn.state, withdrawn.redirected_to) == ("redirected", REFUND)
    assert [line.kind for line in decision.transfers] == ["redirect_withdrawn", "refund_settled"]
    assert f"refund:{SUCCESSOR}" in decision.withdrawn
    assert sorted(types(decision)) == ["refund.redirected", "refund.succeeded"]


@pytest.mark.parametrize("code", ["disputed", "overpaid"])
def test_a_redirect_that_waits_for_a_person_and_was_never_taken_up_is_withdrawn_too(code: str) -> None:
    at = situation(successor=successor("needs_review", code=code))
    decision = decide(refund_in("redirected", provider_refund_id=None), result(provider_refund_id="re_1"), at)
    assert decision.refund.state == "succeeded"
    assert decision.successor is not None
    assert decision.successor.state == "redirected"


@pytest.mark.parametrize(("state", "claimed"), [("requested", True), ("succeeded", True), ("needs_review", True)])
def test_a_late_success_beside_a_redirect_that_was_taken_up_is_overpaid(state: str, claimed: bool) -> None:
    at = situation(successor=successor(state), successor_claimed=claimed)
    decision = decide(refund_in("redirected", provider_refund_id=None), result(provider_refund_id="re_1"), at)
    assert decision.refund.state == "redirected"
    assert decision.successor is not None
    assert (decision.successor.state, decision.successor.code) == ("needs_review", "overpaid")
    (line,) = decision.transfers
    assert (line.kind, line.debit_account, line.credit_account) == ("overpaid", "suspense", "provider:card")


def test_a_renewed_refund_is_never_withdrawn_since_its_command_may_be_carried_out_by_others() -> None:
    renewed = successor(provider="card", reference="pi_3Nx")
    at = situation(successor=renewed)
    decision = decide(refund_in("redirected", provider_refund_id=None), result(provider_refund_id="re_1"), at)
    assert decision.successor is not None
    assert decision.successor.code == "overpaid"


def test_late_word_of_the_failure_of_a_redirected_refund_changes_nothing() -> None:
    before = refund_in("redirected")
    at = situation(facts=(fact("re_1", "failed"),))
    assert decide(before, result("declined", provider_refund_id="re_1"), at) == RefundDecision(refund=before)
