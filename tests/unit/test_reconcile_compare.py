"""A provider's list beside ours: what differs, what gives reason to ask, and what is as it should be."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from kit.reconciling import CUTOFF, LONG_AGO, fact, listed, ours

from workers.providers.port import Answer, ListedRefund
from workers.reconcile.compare import Comparison, Known, judge
from workers.reconcile.types import Ask, Finding, Ours

RECENTLY = CUTOFF + timedelta(minutes=1)


def compare(known: list[Ours], *chunks: list[ListedRefund], expected: Any = ()) -> tuple[list[Finding], list[Ask]]:
    """Findings of the list alone, and what has to be asked."""
    comparison = Comparison(CUTOFF)
    for chunk in chunks:
        comparison.take(chunk, Known(known))
    comparison.expect(expected)
    return comparison.findings, comparison.asks()


def kinds(findings: list[Finding], asks: list[Ask]) -> Sequence[tuple[str, str | None]]:
    """What is found or suspected, and of which refund of the provider's."""
    return [(one.kind, one.provider_refund_id) for one in findings] + [
        (ask.suspected.kind, ask.provider_refund_id) for ask in asks if ask.suspected
    ]


def test_what_agrees_is_not_told() -> None:
    one = ours("rfd_1", fact())
    assert compare([one], [listed()], expected=[(one, "re_1")]) == ([], [])


def test_one_without_our_mark_is_known_by_its_id() -> None:
    one = ours("rfd_1", fact())
    assert compare([one], [listed(refund_id=None, reference=None)], expected=[(one, "re_1")]) == ([], [])


@pytest.mark.parametrize("changes", [{"amount_minor": 4400}, {"currency": "USD"}, {"amount_minor": 5800}])
def test_another_amount_goes_to_review(changes: dict[str, Any]) -> None:
    findings, asks = compare([ours("rfd_1", fact())], [listed(**changes)])
    assert kinds(findings, asks) == [("amount_differs", "re_1")]
    assert findings[0].flag


def test_another_amount_of_a_refund_that_failed_moved_nothing() -> None:
    one = ours("rfd_1", fact(standing="failed"), state="declined")
    assert compare([one], [listed(standing="failed", amount_minor=1)]) == ([], [])


def test_an_amount_that_differs_is_never_told_as_a_success() -> None:
    findings, asks = compare([ours("rfd_1", state="uncertain")], [listed(amount_minor=1)])
    assert kinds(findings, asks) == [("amount_differs", "re_1")]


def test_one_that_nobody_knows_is_reported_and_nobody_s_to_review() -> None:
    findings, asks = compare([], [listed("re_x", refund_id="rfd_lost", reference="pi_x")])
    assert kinds(findings, asks) == [("unknown_refund", "re_x")]
    assert (findings[0].ours, findings[0].refund_id, findings[0].flag) == (None, "rfd_lost", False)


def test_one_made_by_hand_of_a_payment_of_ours_goes_to_review() -> None:
    one = ours("rfd_1", fact())
    findings, asks = compare([one], [listed(), listed("re_hand", refund_id=None, amount_minor=300)])
    assert kinds(findings, asks) == [("unknown_refund", "re_hand")]
    assert (findings[0].ours, findings[0].flag) == (one, True)


def test_the_refund_that_lives_stands_for_its_payment() -> None:
    old = ours("rfd_1", state="redirected", reference="pi_1")
    new = ours("rfd_2", state="pending", reference="pi_1", first_issued_at=LONG_AGO - timedelta(days=1))
    for known in ([old, new], [new, old]):
        findings, _ = compare(known, [listed("re_hand", refund_id=None, reference="pi_1")])
        assert findings[0].refund_id == "rfd_2"


def test_what_the_cancellation_told_as_refunded_before_is_expected() -> None:
    one = ours("rfd_1", fact(), refunded_before_minor=1500)
    before = LONG_AGO - timedelta(hours=1)
    by_hand = listed("re_hand", refund_id=None, amount_minor=1500, made_at=before)
    assert compare([one], [by_hand]) == ([], [])
    more = listed("re_hand", refund_id=None, amount_minor=1501, made_at=before)
    assert kinds(*compare([one], [more])) == [("unknown_refund", "re_hand")]
    later = listed("re_hand", refund_id=None, amount_minor=1500, made_at=LONG_AGO)
    assert kinds(*compare([one], [later])) == [("unknown_refund", "re_hand")]
    renewed = ours("rfd_1", fact(), refunded_before_minor=1500, first_issued_at=LONG_AGO + timedelta(days=1))
    assert kinds(*compare([renewed], [later])) == [("unknown_refund", "re_hand")], "a new key widens nothing"


@pytest.mark.parametrize("standing", ["failed", "pending", "succeeded"])
def test_what_is_young_or_moved_no_money_is_not_called_unknown(standing: str) -> None:
    assert compare([], [listed("re_x", refund_id=None, standing="failed")]) == ([], [])
    assert compare([ours()], [listed("re_x", refund_id=None, standing=standing, made_at=RECENTLY)]) == ([], [])


@pytest.mark.parametrize(
    ("held", "theirs"),
    [("succeeded", "failed"), ("pending", "succeeded"), ("pending", "failed"), ("failed", "succeeded")],
)
def test_another_standing_is_asked_about_unless_it_is_news(held: Any, theirs: str) -> None:
    told = listed(standing=theirs)
    assert kinds(*compare([ours("rfd_1", fact(standing=held))], [told])) == [("state_differs", "re_1")]
    assert compare([ours("rfd_1", fact(standing=held, heard_at=RECENTLY))], [told]) == ([], [])


def test_a_refund_we_never_heard_of_is_asked_about_unless_it_is_news() -> None:
    waiting = ours("rfd_1", state="uncertain")
    assert kinds(*compare([waiting], [listed()])) == [("state_differs", "re_1")]
    assert compare([waiting], [listed(made_at=RECENTLY)]) == ([], [])
    assert kinds(*compare([waiting], [listed(standing="failed")])) == [("state_differs", "re_1")]
    settled = ours("rfd_1", fact())
    assert compare([settled], [listed(), listed("re_0", standing="failed")]) == ([], [])


@pytest.mark.parametrize("known", [(), (fact(),), (fact(), fact("re_2"))])
@pytest.mark.parametrize("apart", [False, True])
def test_two_that_live_are_a_duplicate_and_one_counts(known: Any, apart: bool) -> None:
    one = ours("rfd_1", *known)
    both = [listed(), listed("re_2", made_at=RECENTLY)]
    chunks = [[both[0]], [both[1]]] if apart else [both]
    found = kinds(*compare([one], *chunks))
    assert [pair for pair in found if pair[0] == "duplicate"] == [("duplicate", "re_2")]
    assert ("state_differs", "re_2") not in found


def test_a_second_one_is_a_duplicate_of_one_that_was_made_before_the_period() -> None:
    assert kinds(*compare([ours("rfd_1", fact())], [listed("re_2")])) == [("duplicate", "re_2")]


def test_the_one_that_we_count_is_never_the_one_too_much() -> None:
    one = ours("rfd_1", fact("re_2"))
    assert kinds(*compare([one], [listed("re_1"), listed("re_2")])) == [("duplicate", "re_1")]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_one_that_failed_and_one_that_lives_are_no_duplicate(apart: bool, turned: bool) -> None:
    one = ours("rfd_1", fact("re_1", standing="failed"), fact("re_2"))
    both = [listed("re_1", standing="failed"), listed("re_2")]
    both = both[::-1] if turned else both
    assert compare([one], *([[both[0]], [both[1]]] if apart else [both])) == ([], [])


def test_the_list_says_that_the_first_one_failed_after_all() -> None:
    one = ours("rfd_1", fact("re_1"), fact("re_2"))
    found = kinds(*compare([one], [listed("re_2"), listed("re_1", standing="failed")]))
    assert found == [("state_differs", "re_1")]


def test_one_that_the_list_lacks_is_asked_about() -> None:
    one, other = ours("rfd_1", fact()), ours("rfd_2", fact("re_2"))
    found = compare([one, other], [listed()], expected=[(one, "re_1"), (other, "re_2")])
    assert kinds(*found) == [("missing_at_provider", "re_2")]


def test_a_list_without_any_of_ours_proves_nothing() -> None:
    many = [(ours(f"rfd_{number}", fact(f"re_{number}")), f"re_{number}") for number in range(10)]
    for count in (9, 10):
        comparison = Comparison(CUTOFF)
        comparison.expect(many[:count])
        assert comparison.lacks_all == (count == 10)
        assert len(comparison.asks()) == (9 if count == 9 else 0)


def test_duplicates_are_asked_about_first() -> None:
    one, other = ours("rfd_1", fact(standing="pending")), ours("rfd_2", fact("re_2"))
    twice = [listed("re_2", refund_id="rfd_2"), listed("re_3", refund_id="rfd_2")]
    found = kinds(*compare([one, other], [listed(), *twice]))
    assert found == [("duplicate", "re_3"), ("state_differs", "re_1")]


# ---------------------------------------------------------------- answers


def answered(outcome: Any, provider_refund_id: str | None = "re_1", code: str | None = None) -> Answer:
    return Answer(outcome=outcome, provider_refund_id=provider_refund_id, code=code)


def asked(one: Ours, provider_refund_id: str | None = "re_1") -> Ask:
    return Ask(ours=one, provider_refund_id=provider_refund_id)


@pytest.mark.parametrize(
    ("held", "answer"),
    [("succeeded", "succeeded"), ("pending", "pending"), ("failed", "declined"), ("failed", "rejected")],
)
def test_an_answer_that_agrees_is_nothing(held: Any, answer: str) -> None:
    assert judge(asked(ours("rfd_1", fact(standing=held))), answered(answer)) is None


@pytest.mark.parametrize("outcome", ["declined", "rejected"])
def test_a_lost_bounce_is_passed_on_in_the_provider_s_own_words(outcome: str) -> None:
    answer = answered(outcome, code="charge_for_pending_refund_disputed")
    found = judge(asked(ours("rfd_1", fact())), answer)
    assert found is not None
    assert (found.kind, found.flag, found.told) == ("state_differs", False, answer)


@pytest.mark.parametrize(("held", "answer"), [("failed", "succeeded"), ("succeeded", "pending")])
def test_an_answer_behind_what_we_hold_goes_to_review(held: Any, answer: str) -> None:
    found = judge(asked(ours("rfd_1", fact(standing=held))), answered(answer))
    assert found is not None
    assert (found.kind, found.flag, found.told) == ("state_differs", True, None)


@pytest.mark.parametrize("outcome", ["succeeded", "pending"])
def test_the_original_of_a_redirect_that_lives_is_passed_on(outcome: str) -> None:
    one = ours("rfd_1", fact(standing="failed"), state="redirected")
    found = judge(asked(one, None), answered(outcome, "re_2"))
    assert found is not None
    assert (found.kind, found.provider_refund_id, found.flag) == ("state_differs", "re_2", False)
    assert found.told is not None


@pytest.mark.parametrize(
    "answer", [answered("declined"), answered("declined", "re_0"), answered("not_found", None, "CAPTURE_REFUNDED")]
)
def test_the_original_of_a_redirect_that_stays_dead_is_nothing(answer: Answer) -> None:
    one = ours("rfd_1", fact(standing="failed"), state="redirected")
    assert judge(asked(one, None), answer) is None
    assert judge(asked(one, None), answered("not_found", None)) is None


def test_a_success_that_the_provider_doesn_t_know_goes_to_review_and_is_no_proof() -> None:
    for ask in (asked(ours("rfd_1", fact())), asked(ours(), None)):
        found = judge(ask, answered("not_found", None))
        assert found is not None
        assert (found.kind, found.flag, found.told) == ("missing_at_provider", True, None)
    assert judge(asked(ours(), None), answered("not_found", None, "CAPTURE_PARTIALLY_REFUNDED")) is None


def test_several_that_the_provider_tells_of_are_a_duplicate() -> None:
    found = judge(asked(ours("rfd_1", fact())), answered("succeeded", code="duplicate_refunds"))
    assert found is not None
    assert (found.kind, found.flag) == ("duplicate", True)


def test_a_duplicate_is_flagged_once_it_is_confirmed_and_told_where_it_is_news() -> None:
    one = ours("rfd_1", fact())
    (ask,) = compare([one], [listed(), listed("re_2")])[1]
    found = judge(ask, answered("succeeded", "re_2"))
    assert found is not None
    assert (found.kind, found.provider_refund_id, found.flag) == ("duplicate", "re_2", True)
    assert found.told is not None
    assert found.theirs is not None
    assert found.theirs.amount_minor == 4500
    assert judge(ask, answered("declined", "re_2")) is None


def test_a_list_that_contradicts_its_own_look_ups_goes_to_review() -> None:
    (ask,) = compare([ours("rfd_1", state="uncertain")], [listed()])[1]
    found = judge(ask, answered("not_found", None))
    assert found is not None
    assert (found.kind, found.flag, found.told) == ("state_differs", True, None)
