"""Facts about money (SPEC §4): they hold for the refund whichever attempt they tell of, and only move forward."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from kit.builders import CLIENT, NOW, ORDER, REFUND, decide, due, fact, refund, refund_in, result, situation, successor

from schemas.refunds import RefundDue, RefundEvent, RefundLookUp
from workers.domain import ledger
from workers.domain.policy import RefundPolicy
from workers.domain.refund_course import RefundDecision
from workers.domain.refund_messages import event_of
from workers.domain.refund_types import Refund

LATER = situation().now


def types(decision: RefundDecision) -> list[str]:
    return [emission.type for emission in decision.emissions]


def event(decision: RefundDecision, place: int = 0) -> RefundEvent:
    data = decision.emissions[place].data
    assert isinstance(data, RefundEvent)
    return data


def test_a_success_settles_the_refund_and_posts_its_arrival() -> None:
    decision = decide(refund(), result(provider_refund_id="re_1", provider_code="ok"), situation())
    after = decision.refund
    assert (after.state, after.settled_at, after.provider_refund_id, after.code) == ("succeeded", LATER, "re_1", "ok")
    line = decision.transfers[0]
    assert (line.kind, line.debit_account, line.credit_account) == (
        "refund_settled",
        "refunding:card",
        "provider:card",
    )
    assert (line.amount_minor, line.currency, line.order_id, line.refund_id) == (4500, "EUR", ORDER, REFUND)
    assert types(decision) == ["refund.succeeded"]


def test_the_event_of_a_success_says_everything_that_is_known() -> None:
    decision = decide(refund(), result(provider_refund_id="re_1"), situation())
    assert event(decision) == RefundEvent(
        refund_id=REFUND,
        order_id=ORDER,
        tender_id="tnd_1",
        provider="card",
        amount_minor=4500,
        currency="EUR",
        state="succeeded",
        provider_refund_id="re_1",
        code=None,
        occurred_at=LATER,
        visible_by=date(2026, 11, 30),
        redirected_from=None,
        redirected_to=None,
        revision=2,
    )
    assert (decision.emissions[0].topic, decision.emissions[0].key) == ("refunds.events.v1", ORDER)


def test_a_card_refund_shows_by_the_calendar_of_the_clients_country() -> None:
    christmas = NOW + timedelta(days=31)
    for locale, day in (("fr-FR", date(2027, 1, 4)), ("fr", date(2026, 12, 31)), (None, date(2026, 12, 31))):
        decision = decide(refund(), result(), situation(now=christmas, client_locale=locale))
        assert event(decision).visible_by == day


def test_a_success_heard_late_settles_when_it_is_heard() -> None:
    decision = decide(refund(), result(observed_at=NOW), situation(now=NOW + timedelta(days=2)))
    assert decision.refund.settled_at == NOW + timedelta(days=2)
    assert decision.transfers[0].posted_at == NOW + timedelta(days=2)


def test_each_revision_of_a_refund_has_events_of_its_own() -> None:
    told = [event_of(refund(revision=revision), "refund.requested", NOW) for revision in (1, 2)]
    assert told[0].id != told[1].id


@pytest.mark.parametrize("provider", ["wallet", "paypal"])
def test_wallet_and_paypal_refunds_show_at_once(provider: str) -> None:
    decision = decide(refund(provider=provider), result(provider=provider), situation())
    assert event(decision).visible_by == LATER.date()


def test_the_wallets_own_posting_is_its_refund() -> None:
    decision = decide(refund(provider="wallet"), result(provider="wallet"), situation())
    assert decision.refund.state == "succeeded"
    assert decision.transfers == ()
    assert decision.later == ()
    assert decision.withdrawn == (f"refund:{REFUND}",)


def test_a_pending_refund_posts_nothing_and_is_asked_about() -> None:
    decision = decide(refund(), result("pending", provider_refund_id="re_1"), situation())
    assert decision.refund.state == "pending"
    assert decision.transfers == ()
    assert types(decision) == ["refund.pending"]
    assert decision.later[0].due_at == LATER + timedelta(hours=1)


def test_a_success_after_pending_settles() -> None:
    decision = decide(refund_in("pending"), result(), situation())
    assert decision.refund.state == "succeeded"
    assert decision.refund.provider_refund_id == "re_1"
    assert [line.kind for line in decision.transfers] == ["refund_settled"]


@pytest.mark.parametrize("outcome", ["pending", "retryable", "uncertain", "not_found", "succeeded"])
def test_a_success_is_never_taken_back_by_anything_but_a_failure(outcome: str) -> None:
    before = refund_in("succeeded")
    answer = result(outcome, attempt=3, look_up_no=2, provider_refund_id="re_1")
    assert decide(before, answer) == RefundDecision(refund=before)


@pytest.mark.parametrize("via", ["call", "look_up", "webhook"])
def test_word_of_the_refund_that_succeeded_bounces_it(via: str) -> None:
    answer = result("declined", via=via, attempt=1, provider_refund_id="re_1", provider_code="expired_card")
    decision = decide(refund_in("succeeded", visible_by=date(2026, 11, 30)), answer)
    assert types(decision)[0] == "refund.bounced"
    assert (event(decision).state, event(decision).revision, event(decision).code) == ("bounced", 8, "expired_card")
    assert event(decision).visible_by is None
    line = decision.transfers[0]
    assert (line.kind, line.debit_account, line.credit_account, line.amount_minor) == (
        "refund_bounced",
        "provider:card",
        "refunding:card",
        4500,
    )
    assert (decision.refund.state, decision.refund.settled_at, decision.refund.gate) == ("bounced", None, "redirect")
    assert [(one.standing, one.code) for one in decision.facts] == [("failed", "expired_card")]


def test_word_of_another_refund_bounces_nothing() -> None:
    before = refund_in("succeeded")
    decision = decide(before, result("declined", attempt=3, provider_refund_id="re_2"))
    assert not decision.changed
    assert [(one.provider_refund_id, one.standing) for one in decision.facts] == [("re_2", "failed")], (
        "kept all the same"
    )
    assert decide(before, result("declined", attempt=3)) == RefundDecision(refund=before)


def test_a_failure_beside_a_success_whose_provider_id_nobody_knows_is_for_a_person() -> None:
    before = refund_in("succeeded", provider_refund_id=None)
    decision = decide(before, result("declined", provider_refund_id="re_1"))
    assert (decision.refund.state, decision.refund.code) == ("needs_review", "failed_unnamed")
    assert decision.transfers == ()


@pytest.mark.parametrize("state", ["pending", "succeeded"])
def test_a_provider_id_told_later_is_kept_and_then_bounces_or_declines(state: str) -> None:
    before = refund_in(state, provider_refund_id=None)
    named = decide(before, result(state, via="webhook", attempt=1, provider_refund_id="re_1"), situation())
    assert (named.refund.state, named.refund.provider_refund_id, named.refund.revision) == (state, "re_1", 8)
    assert not named.emissions
    assert not named.transfers
    assert named.later[0].revision == 8, "the due row of the revision before is void now"
    failed = decide(named.refund, result("declined", provider_refund_id="re_1"))
    assert failed.refund.state == {"pending": "declined", "succeeded": "bounced"}[state]


@pytest.mark.parametrize(
    ("state", "outcome", "lines"),
    [
        ("pending", "pending", []),
        ("pending", "succeeded", ["refund_settled"]),
        ("succeeded", "pending", []),
        ("succeeded", "succeeded", ["overpaid"]),
    ],
)
def test_a_second_refund_at_the_provider_is_overpaid_and_a_person_looks(
    state: str, outcome: str, lines: list[str]
) -> None:
    decision = decide(refund_in(state), result(outcome, provider_refund_id="re_2"))
    assert (decision.refund.state, decision.refund.code) == ("needs_review", "overpaid")
    assert types(decision) == ["refund.needs_review"]
    assert [line.kind for line in decision.transfers] == lines, "each payment is in the ledger, once"


def test_what_was_overpaid_and_came_back_leaves_nothing_in_suspense() -> None:
    facts = (fact("re_1"), fact("re_2"))
    before = refund_in("needs_review", code="overpaid", settled_at=NOW)
    second_failed = decide(before, result("declined", provider_refund_id="re_2"), situation(facts=facts))
    assert [line.kind for line in second_failed.transfers] == ["overpaid_returned"]
    first_failed = decide(before, result("declined", provider_refund_id="re_1"), situation(facts=facts))
    assert [line.kind for line in first_failed.transfers] == ["refund_bounced", "overpaid_returned", "refund_settled"]
    assert first_failed.refund.provider_refund_id == "re_2", "the other one is the refund now"


def test_several_refunds_found_by_a_look_up_are_overpaid_and_the_money_is_booked_once() -> None:
    found = result("succeeded", provider_refund_id="re_1", provider_code="duplicate_refunds")
    decision = decide(refund(), found, situation())
    assert (decision.refund.state, decision.refund.code) == ("needs_review", "overpaid")
    assert types(decision) == ["refund.succeeded", "refund.needs_review"]
    assert [line.kind for line in decision.transfers] == ["refund_settled"]


@pytest.mark.parametrize("outcome", ["declined", "rejected"])
@pytest.mark.parametrize("changes", [{"provider_refund_id": "re_2"}, {"provider_refund_id": None}, {"attempt": 99}])
def test_only_word_of_the_very_refund_takes_a_pending_one_back(outcome: str, changes: dict[str, Any]) -> None:
    answer = result(outcome, **{"provider_refund_id": "re_2", **changes})
    decision = decide(refund_in("pending"), answer)
    assert not decision.changed
    assert not decision.emissions


def test_a_decline_is_told_and_then_sent_on() -> None:
    answer = result("declined", provider_refund_id="re_1", provider_code="lost_or_stolen_card")
    decision = decide(refund(), answer)
    assert types(decision) == ["refund.failed", "refund.look_up"]
    assert event(decision).state == "declined"
    assert event(decision).code == "lost_or_stolen_card"
    assert (decision.refund.state, decision.refund.provider_refund_id) == ("declined", "re_1")
    assert decision.transfers == ()


def test_where_people_decide_on_redirects_a_decline_is_for_a_person() -> None:
    policy = RefundPolicy(redirects_itself=False)
    decision = decide(refund(), result("declined", provider_code="lost_or_stolen_card"), situation(policy=policy))
    assert types(decision) == ["refund.failed", "refund.needs_review"]
    assert decision.refund.code == "lost_or_stolen_card"


@pytest.mark.parametrize("state", ["requested", "retrying", "uncertain"])
def test_a_decline_of_an_earlier_attempt_closes_nothing(state: str) -> None:
    before = refund_in(state)
    assert decide(before, result("declined", attempt=2)) == RefundDecision(refund=before)


@pytest.mark.parametrize("state", ["requested", "retrying", "uncertain"])
def test_a_refund_that_failed_at_the_provider_is_declined_whichever_attempt_made_it(state: str) -> None:
    decision = decide(refund_in(state), result("declined", attempt=1, via="webhook", provider_refund_id="re_1"))
    assert (decision.refund.state, decision.refund.gate) == ("declined", "redirect")


def test_an_answer_repeated_under_the_key_does_not_bring_a_failed_refund_back() -> None:
    failed = (fact("re_1", "failed"),)
    decision = decide(
        refund_in("requested"), result("pending", attempt=3, provider_refund_id="re_1"), situation(facts=failed)
    )
    assert [emission.type for emission in decision.emissions] == ["refund.failed", "refund.needs_review"]
    assert decision.facts == ()


def test_a_decline_of_what_is_pending_counts_whichever_attempt_it_names() -> None:
    answer = result("declined", attempt=1, via="webhook", provider_refund_id="re_1")
    decision = decide(refund_in("pending"), answer, situation())
    assert types(decision)[0] == "refund.failed"


def test_a_late_success_of_an_earlier_attempt_stops_the_next_one() -> None:
    decision = decide(refund_in("retrying"), result(attempt=1, provider_refund_id="re_1"), situation())
    assert decision.refund.state == "succeeded"
    again = decide(decision.refund, RefundDue(refund_id=REFUND, order_id=ORDER, revision=7), situation())
    assert again == RefundDecision(refund=decision.refund)


def audited(settled: Refund, now: datetime, **answer: Any) -> RefundDecision:
    """An audit that falls due and is answered at once."""
    asked = decide(settled, due(settled), situation(now=now)).refund
    said = result(via="look_up", look_up_no=asked.look_up_no, provider_refund_id="re_1", **answer)
    return decide(asked, said, situation(now=now))


def test_a_success_is_audited_on_days_1_5_14_and_30_and_then_left() -> None:
    decision = decide(refund(), result(provider_refund_id="re_1"))
    days = []
    while decision.later:
        days.append(round((decision.later[0].due_at - LATER) / timedelta(days=1), 6))
        decision = audited(decision.refund, decision.later[0].due_at)
        assert decision.refund.state == "succeeded"
    assert days == [1, 5, 14, 30]


def test_an_audit_that_nobody_answers_is_asked_again_ever_more_rarely_and_given_up_in_the_end() -> None:
    refund_, now = refund_in("succeeded"), NOW + timedelta(days=30)
    waits = []
    while True:
        decision = decide(refund_, due(refund_), situation(now=now))
        refund_ = decision.refund
        if not decision.later:
            break
        (asked,) = [one.data for one in decision.emissions]
        assert isinstance(asked, RefundLookUp)
        assert (asked.look_up_no, asked.provider_refund_id) == (refund_.gate_look_up, "re_1")
        waits.append(round((decision.later[0].due_at - now) / timedelta(hours=1), 6))
        now = decision.later[0].due_at
    assert waits[:7] == [1, 1, 2, 4, 8, 16, 24]
    assert now > NOW + timedelta(days=35)
    assert refund_.gate_look_up is None


def test_an_audit_that_is_looked_at_far_too_late_is_asked_all_the_same() -> None:
    settled = refund_in("succeeded")
    decision = decide(settled, due(settled), situation(now=NOW + timedelta(days=90)))
    assert [type(one.data) for one in decision.emissions] == [RefundLookUp]
    assert decision.later


@pytest.mark.parametrize("outcome", ["uncertain", "retryable"])
def test_an_audit_that_failed_is_not_answered(outcome: str) -> None:
    settled = refund_in("succeeded")
    asked = decide(settled, due(settled), situation(now=NOW + timedelta(days=1))).refund
    said = result(outcome, via="look_up", look_up_no=asked.look_up_no)
    assert not decide(asked, said, situation(now=NOW + timedelta(days=1))).changed


def test_an_audit_that_finds_a_failure_bounces_it() -> None:
    decision = audited(refund_in("succeeded"), NOW + timedelta(days=5), outcome="declined", provider_code="lost_card")
    assert (decision.refund.state, decision.refund.gate) == ("bounced", "redirect")


def test_a_late_audit_skips_the_days_that_are_past() -> None:
    settled = refund_in("succeeded")
    decision = audited(settled, NOW + timedelta(days=6))
    assert decision.later[0].due_at == NOW + timedelta(days=14)


def test_a_refunds_lines_have_ids_of_their_own() -> None:
    lines = [function(refund(), NOW) for function in (ledger.requested, ledger.settled, ledger.bounced)]
    assert len({line.transfer_id for line in lines}) == 3
    assert ledger.settled(refund(), NOW).transfer_id == ledger.credit_id(REFUND)


def test_money_arrives_in_the_clients_wallet_or_leaves_through_the_provider() -> None:
    assert ledger.settled(refund(provider="wallet"), NOW).credit_account == f"wallet:{CLIENT}"
    assert ledger.settled(refund(provider="paypal"), NOW).credit_account == "provider:paypal"


def test_an_old_failure_told_once_more_ends_no_attempt_that_a_person_asked_for() -> None:
    failed = situation(facts=(fact("re_1", "failed"),))
    for via, attempt in (("webhook", 3), ("call", 1), ("look_up", 3)):
        old = result("declined", attempt=attempt, via=via, look_up_no=1, provider_refund_id="re_1")
        assert decide(refund_in("requested", provider_refund_id="re_1"), old, failed).refund.state == "requested"
    again = result("declined", attempt=3, provider_refund_id="re_1")
    assert decide(refund_in("requested", provider_refund_id="re_1"), again, failed).refund.state == "declined"


@pytest.mark.parametrize("state", ["declined", "bounced", "needs_review", "redirected", "settled_elsewhere"])
def test_a_success_without_an_id_is_kept_where_nobody_waits_for_it_any_more(state: str) -> None:
    before = refund_in(state, provider_refund_id=None)
    decision = decide(before, result(attempt=1))
    assert [(one.provider_refund_id, one.standing) for one in decision.facts] == [("unnamed", "succeeded")]
    paid = {"refund_settled", "overpaid"} & {line.kind for line in decision.transfers}
    assert paid, "the ledger follows what happened"


def test_a_success_without_an_id_after_the_known_one_failed_is_another_one() -> None:
    failed = situation(facts=(fact("re_1", "failed"),))
    decision = decide(refund_in("requested", provider_refund_id="re_1"), result(attempt=3), failed)
    assert (decision.refund.state, decision.refund.provider_refund_id) == ("succeeded", "unnamed")
    asked = decide(decision.refund, due(decision.refund), failed)
    assert asked.emissions[0].data.provider_refund_id is None  # type: ignore[attr-defined]  # a look-up


def test_several_found_of_a_redirected_refund_are_its_successors_to_look_at() -> None:
    found = result(via="look_up", provider_refund_id="re_1", provider_code="duplicate_refunds")
    at = situation(successor=successor("succeeded"), successor_claimed=True)
    decision = decide(refund_in("redirected", provider_refund_id=None), found, at)
    assert decision.refund.state == "redirected"
    assert decision.successor is not None
    assert (decision.successor.state, decision.successor.code) == ("needs_review", "overpaid")


def test_a_bounce_in_review_leaves_the_reason_why_a_person_must_look() -> None:
    before = refund_in("needs_review", code="disputed", settled_at=NOW)
    decision = decide(before, result("declined", provider_refund_id="re_1"), situation(facts=(fact(),)))
    assert (decision.refund.code, decision.refund.settled_at) == ("disputed", None)
