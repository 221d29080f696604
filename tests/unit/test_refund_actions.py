"""What a person may do with a refund, and what is refused. Nothing is done on what they did not see."""

from datetime import timedelta

import pytest
from kit.builders import NOW, action, claim, decide, due, fact, refund_in, result, situation

from schemas.refunds import RefundFlagged, RefundIssue, RefundLookUp
from workers.domain.refund_course import RefundDecision
from workers.domain.refund_types import TRANSITIONS, Refund

KINDS = ("retry", "look_up", "redirect", "settle", "mark_settled", "mark_failed", "release")
CLAIMS = (claim(), claim(attempt=2), claim(attempt=3))
ANSWERED = frozenset({1, 2, 3})
AT = situation(claims=CLAIMS, answered=ANSWERED)


def in_review(**changes: object) -> Refund:
    """Refused by the provider, so that a person must look."""
    return refund_in("needs_review", **{"provider_refund_id": None, "code": "charge_disputed", **changes})


def types(decision: RefundDecision) -> list[str]:
    return [emission.type for emission in decision.emissions]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("off", [-1, 1])
def test_an_action_on_what_has_moved_since_is_refused(kind: str, off: int) -> None:
    before = in_review()
    decision = decide(before, action(kind, before, revision=before.revision + off, evidence="statement"), AT)
    assert (decision.refused, decision.changed) == ("refund_moved", False)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "look_up"])
@pytest.mark.parametrize("state", [state for state in TRANSITIONS if state != "needs_review"])
def test_only_what_is_in_review_is_a_persons_to_move(kind: str, state: str) -> None:
    before = refund_in(state)
    decision = decide(before, action(kind, before, evidence="statement"), AT)
    assert (decision.refused, decision.changed) == ("not_in_review", False)


def test_a_retry_sends_the_same_key_again_while_the_provider_keeps_it() -> None:
    before = in_review()
    decision = decide(before, action("retry", before), AT)
    issue = decision.emissions[0].data
    assert isinstance(issue, RefundIssue)
    assert (decision.refund.state, issue.attempt, issue.idempotency_key) == ("requested", 4, before.idempotency_key)


@pytest.mark.parametrize(
    ("code", "now"),
    [("charge_disputed", NOW + timedelta(hours=24)), ("insufficient_funds", NOW)],
    ids=["old", "stored"],
)
def test_a_retry_for_which_the_old_key_is_no_good_goes_through_the_gate_to_a_new_one(code: str, now: object) -> None:
    before = in_review(code=code)
    decision = decide(before, action("retry", before), situation(now=now, claims=CLAIMS, answered=ANSWERED))
    assert (decision.refund.state, decision.refund.gate) == ("needs_review", "renew")
    assert types(decision) == ["refund.look_up"]


def test_a_redirect_by_a_person_waits_for_the_same_proof() -> None:
    before = in_review()
    opened = decide(before, action("redirect", before), AT).refund
    assert (opened.state, opened.gate, opened.gate_action) == ("needs_review", "redirect", "act_1")
    found = result("not_found", attempt=3, via="look_up", look_up_no=opened.gate_look_up)
    decision = decide(opened, found, AT)
    assert decision.refund.state == "redirected"
    assert decision.created is not None
    assert decision.created.provider == "wallet"


def test_a_person_with_evidence_may_go_on_where_a_look_up_proves_nothing() -> None:
    before = in_review(code="other_refunds", provider="card")
    assert decide(before, action("redirect", before), AT).refused == "no_evidence"
    opened = decide(before, action("redirect", before, evidence="checked in the dashboard"), AT).refund
    found = result("not_found", attempt=3, via="look_up", look_up_no=opened.gate_look_up, provider_code="other_refunds")
    assert decide(opened, found, AT).refund.state == "redirected"


def test_settling_elsewhere_is_gate_frozen_then_the_mark() -> None:
    before = in_review()
    assert decide(before, action("mark_settled", before, evidence="transfer 77"), AT).refused == "not_frozen"
    opened = decide(before, action("settle", before), AT).refund
    assert opened.gate == "settle"
    assert decide(opened, action("mark_settled", opened, evidence="transfer 77"), AT).refused == "not_frozen"
    found = result("not_found", attempt=3, via="look_up", look_up_no=opened.gate_look_up)
    frozen = decide(opened, found, AT).refund
    assert (frozen.state, frozen.gate) == ("needs_review", "frozen")
    assert decide(frozen, due(frozen), AT).emissions == (), "frozen: nothing happens while the person pays"
    assert decide(frozen, action("mark_settled", frozen), AT).refused == "no_evidence"
    assert decide(frozen, action("retry", frozen), AT).refused == "gate_open"
    settled = decide(frozen, action("mark_settled", frozen, evidence="transfer 77"), AT)
    assert settled.refund.state == "settled_elsewhere"
    (line,) = settled.transfers
    assert (line.kind, line.debit_account, line.credit_account) == ("settled_elsewhere", "refunding:card", "suspense")
    assert types(settled) == ["refund.succeeded"]


@pytest.mark.parametrize("gate", ["settle", "redirect", "renew"])
def test_a_refund_that_turns_out_alive_stops_whoever_wanted_to_pay_otherwise(gate: str) -> None:
    before = in_review(gate=gate, gate_look_up=2, gate_action="act_1")
    decision = decide(before, result(attempt=1, via="webhook", provider_refund_id="re_1"), AT)
    after = decision.refund
    assert (after.state, after.gate, after.code) == ("needs_review", None, "alive_after_all")
    assert [line.kind for line in decision.transfers] == ["refund_settled"], "the ledger follows what happened"
    assert decide(after, action("mark_settled", after, evidence="paid"), AT).refused == "not_frozen"
    assert decide(after, action("redirect", after), situation(facts=(fact(),))).refused == "something_is_alive"


def test_who_was_told_that_they_may_pay_can_say_that_they_did_whatever_was_heard_since() -> None:
    frozen = in_review(gate="frozen", gate_look_up=2, gate_action="act_1")
    flag = RefundFlagged(refund_id=frozen.refund_id, order_id=frozen.order_id, code="disputed", observed_at=NOW)
    flagged = decide(frozen, flag, AT).refund
    assert (flagged.code, flagged.gate) == ("disputed", "frozen")
    assert decide(flagged, action("mark_settled", flagged, evidence="paid"), AT).refund.state == "settled_elsewhere"
    alive = decide(frozen, result(attempt=1, via="webhook", provider_refund_id="re_1"), AT).refund
    assert (alive.code, alive.gate) == ("alive_after_all", "frozen")
    marked = decide(alive, action("mark_settled", alive, evidence="paid"), situation(facts=(fact(),)))
    assert (marked.refund.state, marked.refund.code, marked.refund.gate) == ("needs_review", "overpaid", None)
    assert marked.transfers == (), "what the provider paid is in the ledger already, and nothing else is under way"


def test_what_is_frozen_is_released_only_on_word_that_nobody_paid() -> None:
    frozen = in_review(gate="frozen", gate_look_up=2, gate_action="act_1")
    assert decide(frozen, action("release", frozen), AT).refused == "no_evidence"
    released = decide(frozen, action("release", frozen, evidence="the transfer was never made"), AT)
    assert released.refund.state == "uncertain"


def test_paid_by_the_provider_and_by_a_person_is_overpaid() -> None:
    before = refund_in("settled_elsewhere")
    decision = decide(before, result(attempt=1, via="webhook", provider_refund_id="re_1"), AT)
    assert (decision.refund.state, decision.refund.code) == ("needs_review", "overpaid")
    assert [line.kind for line in decision.transfers] == ["overpaid"]


def test_release_goes_where_the_facts_say() -> None:
    booked = in_review(settled_at=NOW, provider_refund_id="re_1", code="disputed")
    assert decide(booked, action("release", booked), situation(facts=(fact(),))).refund.state == "succeeded"
    moving = in_review(provider_refund_id="re_1")
    at = situation(facts=(fact("re_1", "pending"),))
    assert decide(moving, action("release", moving), at).refund.state == "pending"
    nothing = in_review()
    released = decide(nothing, action("release", nothing), AT).refund
    assert (released.state, released.look_up_no) == ("uncertain", nothing.look_up_no + 1), "the provider is asked first"


def test_what_was_released_as_overpaid_is_not_told_again_by_every_audit() -> None:
    before = in_review(settled_at=NOW, provider_refund_id="re_1", code="overpaid")
    both = situation(facts=(fact("re_1"), fact("re_2")))
    released = decide(before, action("release", before), both).refund
    audit = result(via="look_up", provider_refund_id="re_1", provider_code="duplicate_refunds", look_up_no=2)
    assert not decide(released, audit, both).changed


@pytest.mark.parametrize("state", ["uncertain", "pending", "succeeded", "needs_review"])
def test_a_look_up_by_a_person_asks_under_a_number_of_its_own(state: str) -> None:
    before = refund_in(state)
    decision = decide(before, action("look_up", before), AT)
    (asked,) = [one.data for one in decision.emissions]
    assert isinstance(asked, RefundLookUp)
    assert asked.look_up_no == before.look_up_no + 1
    assert decision.refund.state == state
    assert (state == "needs_review") == (decision.later == ()), "what waits goes on waiting"


@pytest.mark.parametrize(
    "state", ["requested", "retrying", "uncertain", "pending", "succeeded", "declined", "bounced", "settled_elsewhere"]
)
def test_what_does_not_add_up_is_for_a_person_whatever_the_state(state: str) -> None:
    before = refund_in(state)
    flag = RefundFlagged(refund_id=before.refund_id, order_id=before.order_id, code="disputed", observed_at=NOW)
    decision = decide(before, flag, AT)
    assert (decision.refund.state, decision.refund.code) == ("needs_review", "disputed")
    assert types(decision) == ["refund.needs_review"]
    assert not decide(decision.refund, flag, AT).changed, "once"


def test_what_does_not_add_up_of_a_redirected_refund_is_its_successors() -> None:
    before = refund_in("redirected")
    flag = RefundFlagged(refund_id=before.refund_id, order_id=before.order_id, code="disputed", observed_at=NOW)
    decision = decide(before, flag)
    assert not decision.changed
    assert decision.successor is not None
    assert decision.successor.state == "needs_review"


@pytest.mark.parametrize("kind", ["retry", "redirect", "settle"])
def test_nothing_more_is_paid_of_a_refund_whose_original_paid_after_all(kind: str) -> None:
    before = in_review(code="overpaid")
    assert decide(before, action(kind, before), AT).refused == "paid_another_way"


def test_a_refund_that_never_paid_beside_its_original_that_did_is_closed_by_its_release() -> None:
    before = in_review(code="overpaid")
    decision = decide(before, action("release", before), AT)
    assert decision.refund.state == "settled_elsewhere"
    (line,) = decision.transfers
    assert (line.debit_account, line.credit_account) == ("refunding:card", "suspense"), "what the original took out"
    assert not any(one.type == "refund.look_up" for one in decision.emissions)


@pytest.mark.parametrize("settled_at", [NOW, None])
def test_what_never_reached_the_client_is_marked_as_failed_and_may_then_be_paid_another_way(settled_at: object) -> None:
    before = in_review(provider_refund_id="re_1", settled_at=settled_at, code="pending_too_long")
    at = situation(claims=CLAIMS, answered=ANSWERED, facts=(fact("re_1", "succeeded" if settled_at else "pending"),))
    assert decide(before, action("redirect", before), at).refused == "something_is_alive"
    assert decide(before, action("mark_failed", before), at).refused == "no_evidence"
    decision = decide(before, action("mark_failed", before, evidence="the bank's word"), at)
    assert (decision.refund.settled_at, decision.refund.code) == (None, "marked_failed")
    assert [line.kind for line in decision.transfers] == (["refund_bounced"] if settled_at else [])
    assert [one.standing for one in decision.facts] == ["failed"]
    failed = situation(claims=CLAIMS, answered=ANSWERED, facts=decision.facts)
    assert decide(decision.refund, action("redirect", decision.refund), failed).refund.gate == "redirect"


def test_there_is_nothing_to_mark_as_failed_where_nothing_is_alive() -> None:
    before = in_review()
    assert decide(before, action("mark_failed", before, evidence="x"), AT).refused == "nothing_is_alive"


def test_a_retry_of_what_failed_at_the_provider_takes_a_new_key_since_the_old_one_only_tells_it_again() -> None:
    before = in_review(provider_refund_id="re_1")
    at = situation(claims=CLAIMS, answered=ANSWERED, facts=(fact("re_1", "failed"),))
    assert decide(before, action("retry", before), at).refund.gate == "renew"


@pytest.mark.parametrize("kind", ["retry", "release"])
def test_who_lets_a_refund_go_on_lets_it_go_on_as_long_as_a_new_one(kind: str) -> None:
    before = in_review(provider="paypal", give_up_at=NOW)
    later = NOW + timedelta(days=6)
    decision = decide(before, action(kind, before), situation(now=later, claims=CLAIMS, answered=ANSWERED))
    assert decision.refund.give_up_at == later + timedelta(days=5)
