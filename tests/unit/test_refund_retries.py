"""Sending again under the same key, giving up by age, and what an unanswered or uncertain attempt waits for (§4)."""

from datetime import datetime, timedelta

import pytest
from kit.builders import NOW, POLICY, REFUND, claim, decide, due, refund, refund_in, result, situation

from schemas.refunds import RefundIssue, RefundLookUp
from workers.domain.policy import RefundPolicy
from workers.domain.refund_course import RefundDecision
from workers.domain.refund_messages import key_forgotten_at

LATER = situation().now
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def wait_s(decision: RefundDecision, since: datetime = LATER) -> float:
    """How long the decision waits, in seconds."""
    return (decision.later[0].due_at - since).total_seconds()


def command(decision: RefundDecision) -> RefundIssue | RefundLookUp:
    data = decision.emissions[0].data
    assert isinstance(data, RefundIssue | RefundLookUp)
    return data


def test_a_retryable_answer_waits_and_keeps_its_code() -> None:
    decision = decide(refund(), result("retryable", provider_code="rate_limit"), situation())
    assert (decision.refund.state, decision.refund.code, decision.refund.attempt) == ("retrying", "rate_limit", 1)
    assert decision.emissions == ()


@pytest.mark.parametrize(
    ("attempt", "doubled"), [(1, 1), (2, 2), (3, 4), (5, 16), (9, 256), (10, 300), (31, 300), (5000, 300)]
)
@pytest.mark.parametrize("jitter", [0.0, 0.25, 0.5, 0.999])
def test_waits_double_up_to_five_minutes_and_are_spread(attempt: int, doubled: float, jitter: float) -> None:
    before = refund(attempt=attempt)
    decision = decide(before, result("retryable", attempt=attempt), situation(jitter=jitter))
    assert wait_s(decision) == pytest.approx(doubled * (0.5 + jitter / 2), abs=1e-5)
    assert doubled / 2 <= wait_s(decision) <= doubled


@pytest.mark.parametrize(("told", "waited"), [(None, 0.75), (0, 0.75), (1, 1), (120, 120), (3600, 3600)])
def test_a_provider_that_says_when_to_come_back_is_never_asked_sooner(told: int | None, waited: float) -> None:
    decision = decide(refund(), result("retryable", retry_after_s=told), situation())
    assert wait_s(decision) == pytest.approx(waited)


def test_the_next_attempt_has_the_next_number_and_the_same_key() -> None:
    waiting = refund_in("retrying")
    decision = decide(waiting, due(waiting), situation())
    after, issue = decision.refund, command(decision)
    assert (after.state, after.attempt, after.issued_at) == ("requested", 4, LATER)
    assert (issue.attempt, issue.idempotency_key, issue.first_issued_at) == (4, f"annul-{REFUND}", NOW)
    assert issue.issued_at == LATER
    assert wait_s(decision) == POLICY.refunds.command_again_s


def test_retries_go_on_for_five_days_and_then_a_person_looks() -> None:
    wallet = refund(provider="wallet")
    for now, state in ((NOW + 5 * DAY - HOUR, "retrying"), (NOW + 5 * DAY, "needs_review")):
        answer = result("retryable", provider="wallet", provider_code="busy")
        decision = decide(wallet, answer, situation(now=now))
        assert (decision.refund.state, decision.refund.code) == (state, "busy")


def test_a_wait_that_would_end_after_five_days_is_not_begun() -> None:
    decision = decide(refund(provider="paypal"), result("retryable", retry_after_s=6 * 24 * 3600), situation())
    assert decision.refund.state == "needs_review"
    assert [emission.type for emission in decision.emissions] == ["refund.needs_review"]


@pytest.mark.parametrize(("provider", "kept"), [("card", DAY), ("paypal", 45 * DAY)])
def test_a_key_counts_as_forgotten_a_stall_and_a_lease_before_the_provider_forgets_it(
    provider: str, kept: timedelta
) -> None:
    policy = RefundPolicy(longest_stall=timedelta(minutes=10), lease_s=30)
    assert key_forgotten_at(NOW, provider, policy) == NOW + kept - timedelta(minutes=10, seconds=30)
    assert policy.key_kept(provider) == kept - timedelta(minutes=10)


def test_a_wallet_never_forgets() -> None:
    assert key_forgotten_at(NOW, "wallet", POLICY.refunds) is None
    assert POLICY.refunds.key_kept("wallet") is None


def forgotten_at(first_claim: datetime) -> datetime:
    found = key_forgotten_at(first_claim, "card", POLICY.refunds)
    assert found is not None
    return found


@pytest.mark.parametrize("claimed_after", [timedelta(0), 3 * DAY])
def test_an_uncertain_refund_is_not_sent_again_once_the_provider_may_have_forgotten_its_key(
    claimed_after: timedelta,
) -> None:
    """The key is kept from its first use on, not from when the refund was first asked for."""
    claims = (claim(claimed_at=NOW + claimed_after), claim(attempt=2, claimed_at=NOW + claimed_after + HOUR))
    forgotten = forgotten_at(NOW + claimed_after)
    for now, state in ((forgotten - timedelta(seconds=1), "retrying"), (forgotten, "needs_review")):
        decision = decide(
            refund(state="uncertain"), result("not_found", look_up_no=1), situation(now=now, claims=claims)
        )
        assert decision.refund.state == state
    assert decision.refund.code == "key_retention_passed"


def test_a_refusal_after_the_key_was_forgotten_waits_for_a_new_key_behind_the_gate() -> None:
    now = forgotten_at(NOW)
    answer = result("retryable", provider_code="rate_limit", retry_after_s=60)
    decision = decide(refund(), answer, situation(now=now, claims=(claim(),)))
    assert (decision.refund.state, decision.refund.gate) == ("retrying", "renew")
    assert wait_s(decision, now) == 60
    assert decision.emissions == (), "nothing is sent under the old key"


@pytest.mark.parametrize(("attempt", "gate"), [(1, None), (2, None), (3, "renew")])
def test_a_refusal_that_the_provider_stores_needs_a_new_key_in_the_end(attempt: int, gate: str | None) -> None:
    answer = result("retryable", attempt=attempt, provider_code="insufficient_funds", retry_after_s=600)
    claims = (claim(attempt=attempt),)
    decision = decide(refund(attempt=attempt), answer, situation(claims=claims))
    assert (decision.refund.state, decision.refund.gate) == ("retrying", gate)
    assert wait_s(decision) == 600


def test_every_command_says_until_when_its_key_may_be_used_by_who_can_not_claim() -> None:
    waiting = refund_in("retrying")
    assert command(decide(waiting, due(waiting))).not_after == forgotten_at(NOW)
    wallet = refund_in("retrying", provider="wallet")
    assert command(decide(wallet, due(wallet))).not_after is None


def test_an_uncertain_answer_is_looked_up_soon_and_opens_an_epoch_of_its_own() -> None:
    decision = decide(refund(look_up_no=4), result("uncertain", provider_code="timeout"), situation())
    assert (decision.refund.state, decision.refund.look_up_no, decision.refund.code) == ("uncertain", 5, "timeout")
    assert wait_s(decision) == POLICY.refunds.look_up_base_s
    assert decision.emissions == ()


def test_a_look_up_names_the_awaited_epoch_and_moves_no_money() -> None:
    waiting = refund_in("uncertain", provider_refund_id="re_1")
    decision = decide(waiting, due(waiting), situation())
    asked = command(decision)
    assert isinstance(asked, RefundLookUp)
    assert (asked.look_up_no, asked.attempt, asked.provider_refund_id, asked.issued_at) == (2, 3, "re_1", LATER)
    assert decision.emissions[0].topic == "refunds.commands.card.v1"
    assert decision.refund is waiting


@pytest.mark.parametrize(("age_s", "again_s"), [(0, 5), (5, 5), (10, 10), (80, 80), (299, 299), (5000, 300)])
def test_look_ups_of_what_is_uncertain_come_ever_more_rarely(age_s: float, again_s: float) -> None:
    waiting = refund(state="uncertain")
    now = NOW + timedelta(seconds=age_s)
    decision = decide(waiting, due(waiting), situation(now=now))
    assert wait_s(decision, now) == again_s


@pytest.mark.parametrize("number", [None, 1, 3])
def test_absence_told_by_another_look_up_than_the_awaited_one_proves_nothing(number: int | None) -> None:
    before = refund_in("uncertain")
    answer = result("not_found", attempt=3, via="look_up", look_up_no=number)
    assert decide(before, answer, situation()) == RefundDecision(refund=before)


def test_absence_permits_the_same_key_again_and_nothing_else() -> None:
    before = refund_in("uncertain", code="timeout")
    decision = decide(before, result("not_found", attempt=3, look_up_no=2), situation())
    assert (decision.refund.state, decision.refund.attempt, decision.refund.code) == ("retrying", 3, "timeout")
    again = decide(decision.refund, due(decision.refund), situation())
    assert command(again).idempotency_key == before.idempotency_key


def test_absence_serves_one_epoch_only() -> None:
    before = refund_in("uncertain")
    absent = result("not_found", attempt=3, look_up_no=2)
    first = decide(before, absent, situation()).refund
    second = decide(first, due(first), situation()).refund
    third = decide(second, result("uncertain", attempt=4), situation()).refund
    assert (third.state, third.look_up_no) == ("uncertain", 3)
    assert decide(third, absent, situation()) == RefundDecision(refund=third)


@pytest.mark.parametrize("code", ["charge_already_refunded", "CAPTURE_FULLY_REFUNDED"])
def test_already_refunded_without_proof_that_it_was_ours_is_for_a_person(code: str) -> None:
    unsure = decide(refund(), result("uncertain", provider_code=code), situation()).refund
    answer = result("not_found", via="look_up", look_up_no=unsure.look_up_no)
    decision = decide(unsure, answer, situation())
    assert (decision.refund.state, decision.refund.code) == ("needs_review", code)
    proven = result("succeeded", via="look_up", look_up_no=unsure.look_up_no, provider_refund_id="re_1")
    assert decide(unsure, proven, situation()).refund.state == "succeeded"


def test_a_code_of_the_provider_goes_with_the_refund_into_review() -> None:
    decision = decide(refund(), result("rejected", provider_code="charge_disputed"))
    assert (decision.refund.state, decision.refund.code) == ("needs_review", "charge_disputed")


@pytest.mark.parametrize(
    ("state", "age", "code"), [("uncertain", 5 * DAY, "timeout"), ("pending", 30 * DAY, "pending_too_long")]
)
def test_what_waits_too_long_is_for_a_person(state: str, age: timedelta, code: str) -> None:
    waiting = refund_in(state, code="timeout")
    within = decide(waiting, due(waiting), situation(now=NOW + age))
    assert within.refund is waiting
    beyond = decide(waiting, due(waiting), situation(now=NOW + age + timedelta(seconds=1)))
    assert (beyond.refund.state, beyond.refund.code) == ("needs_review", code)
    assert beyond.emissions[0].type == "refund.needs_review"


def test_a_pending_refund_is_asked_about_every_hour() -> None:
    waiting = refund_in("pending")
    decision = decide(waiting, due(waiting), situation())
    assert isinstance(command(decision), RefundLookUp)
    assert wait_s(decision) == 3600


@pytest.mark.parametrize(("age_s", "again_s"), [(45, 45), (90, 90), (180, 180), (400, 300), (100_000, 300)])
def test_a_command_nobody_took_is_sent_again_as_it_was_ever_more_rarely(age_s: float, again_s: float) -> None:
    waiting = refund()
    now = NOW + timedelta(seconds=age_s)
    decision = decide(waiting, due(waiting), situation(now=now))
    assert decision.refund is waiting
    assert (command(decision).attempt, command(decision).issued_at) == (1, NOW)
    assert wait_s(decision, now) == again_s


def test_a_command_sent_again_is_the_same_message() -> None:
    waiting = refund()
    times = [NOW + timedelta(minutes=minutes) for minutes in (1, 5)]
    ids = {decide(waiting, due(waiting), situation(now=now)).emissions[0].id for now in times}
    assert len(ids) == 1


def test_a_command_nobody_took_for_five_days_is_for_a_person() -> None:
    decision = decide(refund(), due(refund()), situation(now=NOW + 5 * DAY + HOUR))
    assert (decision.refund.state, decision.refund.code) == ("needs_review", "nobody_took_the_command")


def test_a_claimed_attempt_is_waited_for_until_its_lease_has_run_out() -> None:
    waiting, now = refund(), NOW + timedelta(seconds=10)
    decision = decide(waiting, due(waiting), situation(now=now, claims=(claim(),)))
    assert decision.refund is waiting
    assert decision.emissions == ()
    assert wait_s(decision, now) == 21


@pytest.mark.parametrize("seconds", [30, 31, 10_000_000])
def test_a_lease_that_ran_out_without_an_answer_is_uncertain_whatever_its_age(seconds: float) -> None:
    now = NOW + timedelta(seconds=seconds)
    decision = decide(refund(), due(refund()), situation(now=now, claims=(claim(),)))
    assert (decision.refund.state, decision.refund.code) == ("uncertain", "lease_expired")
    assert decision.refund.look_up_no == 2
    assert decision.emissions == ()
