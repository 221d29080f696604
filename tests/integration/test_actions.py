"""What people do with refunds, from the wish to what the worker decides, on a real database."""

import pytest
from kit.builders import NOW, decide, refund_in, situation, successor, tender
from kit.population import cancellation
from kit.reviewing import Review
from kit.wishes import SUCCEEDED

from schemas.refunds import RefundFlagged
from workers.actions.rules import ActionError
from workers.providers.port import Answer


async def test_a_redirect_pays_the_wallet_once_nothing_is_alive(review: Review) -> None:
    assert await review.act("redirect") == "applied"
    states = await review.rows("SELECT provider, state FROM refunds ORDER BY provider")
    assert [tuple(row) for row in states] == [("card", "redirected"), ("wallet", "succeeded")]
    assert review.feed.ids("order.refunded")
    assert await review.violations() == []


async def test_what_is_alive_is_never_paid_another_way(review: Review) -> None:
    review.found = Answer(outcome="pending", provider_refund_id="re_1")
    assert await review.act("redirect") == "applied"
    refund = await review.refund()
    assert (refund["state"], refund["code"], refund["gate"]) == ("needs_review", "alive_after_all", None)
    assert [row["provider"] for row in await review.rows("SELECT provider FROM refunds WHERE true")] == ["card"]
    assert await review.violations() == []


async def test_a_retry_sends_the_same_key_again(review: Review) -> None:
    review.answer = SUCCEEDED
    assert await review.act("retry") == "applied"
    refund = await review.refund()
    assert (refund["state"], refund["attempt"]) == ("succeeded", 2)
    assert len({command.idempotency_key for command in review.feed.commands("ord_one")}) == 1
    assert await review.violations() == []


async def test_settled_elsewhere_goes_from_freezing_to_marking(review: Review) -> None:
    with pytest.raises(ActionError, match="isn't frozen"):
        await review.ask("mark_settled", evidence="transfer 77")
    assert await review.act("settle") == "applied"
    assert (await review.refund())["gate"] == "frozen"
    with pytest.raises(ActionError, match="takes evidence"):
        await review.ask("mark_settled", evidence=" ")
    assert await review.act("mark_settled", evidence="transfer 77") == "applied"
    assert (await review.refund())["state"] == "settled_elsewhere"
    (line,) = await review.rows("SELECT * FROM ledger_transfers WHERE kind = 'settled_elsewhere'")
    assert (line["debit_account"], line["credit_account"]) == ("refunding:card", "suspense")
    assert review.feed.ids("order.refunded")
    assert await review.violations() == []


async def test_a_release_asks_the_provider_first(review: Review) -> None:
    review.found = SUCCEEDED
    assert await review.act("release") == "applied"
    assert (await review.refund())["state"] == "uncertain"
    assert await review.violations() == []


async def test_a_look_up_moves_no_money(review: Review) -> None:
    commands = len(review.feed.commands("ord_one"))
    assert await review.act("look_up") == "applied"
    assert [type(one).__name__ for one in review.feed.commands("ord_one")[commands:]] == ["RefundLookUp"]
    assert (await review.refund())["state"] == "needs_review"


async def test_what_moved_since_it_was_seen_is_not_even_asked_for(review: Review) -> None:
    before = (await review.refund())["revision"]
    await review.act("look_up")
    with pytest.raises(ActionError) as error:
        await review.ask("redirect", revision=before)
    assert error.value.code == "refund_moved"
    assert len(await review.rows("SELECT * FROM manual_actions WHERE true")) == 1


async def test_what_moves_between_asking_and_deciding_is_refused(review: Review) -> None:
    asked = await review.ask("redirect")
    await review.flag("disputed")
    await review.feed.fire()
    (row,) = await review.rows("SELECT outcome, detail FROM manual_actions WHERE true")
    assert tuple(row) == ("refused", "refund_moved")
    assert (await review.refund())["gate"] is None
    (entry,) = await review.rows("SELECT * FROM audit_entries WHERE what = 'action.refused'")
    assert (entry["subject"], entry["actor"]) == (asked.action.action_id, "refunds")
    assert await review.violations() == []


async def test_a_dispute_is_told_to_who_may_be_paying_and_they_can_still_say_that_they_did(review: Review) -> None:
    await review.act("settle")
    assert (await review.refund())["gate"] == "frozen"
    seen = (await review.refund())["revision"]
    await review.flag("disputed")
    refund = await review.refund()
    assert (refund["state"], refund["gate"], refund["code"]) == ("needs_review", "frozen", "disputed")
    await review.flag("disputed")
    assert (await review.refund())["revision"] == refund["revision"], "told once"
    with pytest.raises(ActionError, match="look at it again"):
        await review.ask("mark_settled", evidence="transfer 77", revision=seen)
    with pytest.raises(ActionError, match="takes evidence"):
        await review.ask("release")
    await review.act("mark_settled", evidence="transfer 77")
    assert (await review.refund())["state"] == "settled_elsewhere"


def test_that_it_was_paid_twice_is_not_painted_over() -> None:
    before = refund_in("needs_review", code="overpaid")
    flag = RefundFlagged(refund_id=before.refund_id, order_id=before.order_id, code="disputed", observed_at=NOW)
    assert not decide(before, flag).changed
    behind = decide(refund_in("redirected"), flag, situation(successor=successor("needs_review", code="overpaid")))
    assert behind.successor is None


async def test_a_second_click_is_no_second_action(review: Review) -> None:
    asked = await review.ask("redirect")
    with pytest.raises(ActionError, match=asked.action.action_id) as error:
        await review.ask("redirect", actor="bob")
    assert error.value.code == "already_asked"


async def test_a_message_that_comes_twice_is_decided_once(review: Review) -> None:
    asked = await review.ask("look_up")
    await review.say(asked.action.action_id, times=2)
    await review.feed.fire()
    (row,) = await review.rows("SELECT outcome, detail FROM manual_actions WHERE true")
    assert tuple(row) == ("applied", None)
    assert await review.violations("I10") == []


async def test_an_action_is_of_its_own_refund_alone(review: Review) -> None:
    asked = await review.ask("redirect")
    await review.feed.take(cancellation("two", tender(reference="pi_two")))
    (command,) = review.feed.commands("ord_two")
    await review.say(asked.action.action_id, refund_id=command.refund_id, order_id="ord_two")
    (row,) = await review.rows("SELECT outcome FROM manual_actions WHERE true")
    assert row["outcome"] is None
    assert await review.rows("SELECT * FROM refunds WHERE gate IS NOT NULL") == []


async def test_of_two_wishes_the_first_is_carried_out(review: Review) -> None:
    await review.ask("redirect")
    await review.ask("settle", actor="bob")
    await review.feed.fire()
    rows = await review.rows("SELECT kind, outcome FROM manual_actions ORDER BY asked_at")
    assert [tuple(row) for row in rows] == [("redirect", "applied"), ("settle", "refused")]
    assert await review.violations() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": "  "}, "no_reason"),
        ({"reason": "x" * 501}, "bad_reason"),
        ({"reason": "a\x00b"}, "bad_reason"),
        ({"evidence": "x" * 1001}, "bad_evidence"),
        ({"actor": ""}, "bad_name"),
        ({"actor": "x" * 129}, "bad_name"),
        ({"refund_id": "rfd_none"}, "unknown_refund"),
    ],
)
async def test_what_is_not_said_well_is_not_recorded(review: Review, changes: dict[str, str], code: str) -> None:
    with pytest.raises(ActionError) as error:
        await review.ask("redirect", **changes)
    assert error.value.code == code
    assert await review.rows("SELECT * FROM manual_actions WHERE true") == []
    assert await review.rows("SELECT * FROM audit_entries WHERE true") == []
