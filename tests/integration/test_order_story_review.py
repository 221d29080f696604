"""`annul order ID` of an order that people worked on: flags, actions, gates, redirects, disputes."""

import json
from collections.abc import AsyncIterator

import pytest
from kit.builders import tender
from kit.feed import Feed
from kit.population import POLICY, ago, cancellation, placement, script, settings_for
from kit.reviewing import REASON, Review

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.orders import OrderReactivationRequested
from schemas.topics import ORDERS_EVENTS
from workers.actions.asking import approve, reject
from workers.commands import order as order_command
from workers.insight.material import Step
from workers.insight.story import Story, tell_story


@pytest.fixture
async def review(database_url: str) -> AsyncIterator[Review]:
    async with Review(database_url, approval_above=10) as made:
        await made.begin()
        yield made


async def story(review: Review) -> Story:
    found = await tell_story(review.settings, "ord_one")
    assert found is not None
    return found


def steps(told: Story, what: str) -> list[Step]:
    return [step for step in told.timeline if step.what == what]


async def test_what_people_did_is_told_and_where_the_money_went(review: Review) -> None:
    await review.flag()
    asked = await review.ask("redirect")
    async with review.connection() as connection:
        await approve(connection, asked.action.action_id, "bob")
    await review.feed.fire()
    told = await story(review)
    whats = [step.what for step in told.timeline if not step.what.startswith(("ledger.", "chat.", "seller.", "order."))]
    assert whats == [
        "refund.requested",
        "refund.claimed",
        "refund.answered",
        "refund.needs_review",
        "refund.flagged",
        "action.asked",
        "action.approved",
        "action.applied",
        "refund.requested",
        "refund.answered",
        "refund.redirected",
        "refund.claimed",
        "refund.answered",
        "refund.succeeded",
    ]
    (flagged,) = steps(told, "refund.flagged")
    assert (flagged.message_id, "code unknown_provider_refund" in flagged.detail) == (
        "evt_unknown_provider_refund",
        True,
    )
    (wish,) = steps(told, "action.asked")
    action_id = asked.action.action_id
    assert wish.detail == (
        f"{action_id}: redirect of {review.refund_id} at revision 3 by ann, which takes a second person"
    )
    assert steps(told, "action.approved")[0].detail == f"{action_id} by bob"
    first, second = told.refunds
    assert steps(told, "refund.redirected")[0].detail.endswith(f"its money goes on with {second['refund_id']}")
    assert steps(told, "refund.requested")[1].detail.endswith(f"instead of {first['refund_id']}")
    answers = {step.message_id for step in steps(told, "refund.answered")}
    assert {step.message_id for step in steps(told, "refund.redirected") + steps(told, "refund.succeeded")} <= answers
    assert told.actions[0]["outcome"] == "applied"
    assert told.state == "refunded"


async def test_a_refund_that_is_frozen_for_a_person_is_told(review: Review) -> None:
    asked = await review.ask("settle")
    async with review.connection() as connection:
        await approve(connection, asked.action.action_id, "bob")
    await review.feed.fire()
    told = await story(review)
    assert (told.refunds[0]["gate"], told.state) == ("frozen", "in_review")
    assert steps(told, "refund.look_due") == []
    assert order_command._state(told.refunds[0]) == "needs_review (frozen: a person pays)"


async def test_a_gate_that_waits_for_calls_to_end_is_told(database_url: str) -> None:
    async with Review(database_url) as review:
        review.answer = None
        await review.begin()
        await review.flag()
        await review.act("redirect")
        told = await story(review)
        (due,) = steps(told, "refund.look_due")
        assert due.detail.endswith("its gate (redirect) waits for proof that nothing of it is alive")
        assert told.timeline.index(due) > told.timeline.index(steps(told, "action.applied")[0])
        assert order_command._state(told.refunds[0]) == "needs_review (waits for proof: redirect)"


async def test_what_was_refused_or_rejected_is_told(review: Review) -> None:
    first = await review.ask("redirect")
    async with review.connection() as connection:
        await reject(connection, first.action.action_id, "bob", "Jane changed her mind")
    await review.ask("look_up")
    await review.flag()
    await review.feed.fire()
    told = await story(review)
    assert steps(told, "action.rejected")
    assert steps(told, "action.refused")[0].detail.endswith("code refund_moved")


async def test_disputes_about_its_payments_are_told(review: Review, capsys: pytest.CaptureFixture[str]) -> None:
    async with review.connection() as connection:
        for dispute, reference in (("dp_1", "pi_one"), ("dp_2", "pi_other")):
            await connection.execute(
                "INSERT INTO disputes VALUES ('card', $1, $2, 'needs_response', true, now())", dispute, reference
            )
    told = await story(review)
    (step,) = steps(told, "dispute.heard")
    assert step.detail == "card dp_1 about pi_one: needs_response (open)"
    assert [one["dispute_id"] for one in told.disputes] == ["dp_1"]
    assert await order_command.run(review.settings, "ord_one", as_json=False)
    assert "dp_1" in capsys.readouterr().out


async def test_reasons_and_evidence_are_not_told(review: Review, capsys: pytest.CaptureFixture[str]) -> None:
    await review.act("look_up", evidence="Jane's receipt")
    for as_json in (True, False):
        assert await order_command.run(review.settings, "ord_one", as_json=as_json)
    printed = capsys.readouterr().out
    assert "look_up of" in printed
    assert REASON not in printed
    assert "Jane" not in printed


async def test_as_json_it_has_what_is_known_beside_the_contracts_fields(
    review: Review, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await order_command.run(review.settings, "ord_one", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert {"order_id", "state", "refunds", "chat", "ledger", "timeline", "facts", "disputes", "actions"} <= set(told)
    assert all(set(step) == {"at", "what", "message_id", "detail"} for step in told["timeline"])


async def test_a_reactivation_that_was_refused_in_hindsight_is_told_under_its_id(database_url: str) -> None:
    wish = OrderReactivationRequested(order_id="ord_back", requested_by="client", occurred_at=ago(minutes=50))
    async with Feed(database_url, script, policy=POLICY) as feed:
        await feed.take(placement("back"))
        headers = headers_of("order.reactivation_requested", "evt_back", ago(minutes=50))
        await feed.put(ORDERS_EVENTS.name, encode(wish), headers=headers)
        await feed.work()
        await feed.take(cancellation("back", tender(reference="pi_good")))
        (refused,) = feed.ids("order.refused")
    found = await tell_story(settings_for(database_url), "ord_back")
    assert found is not None
    assert [step.message_id for step in steps(found, "order.refused")] == [refused]
