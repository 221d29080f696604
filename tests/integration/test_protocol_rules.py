"""The ten rules that keep money from being lost or paid twice, each by the story of what happens without it.

| rule | here | and |
|---|---|---|
| 1 one claim an attempt, of what is live, called within its lease | `test_rule_1_…` | `test_claims`, `test_adapter` |
| 2 no claim that may outlive the key | `test_rule_2_…` | `test_claims` |
| 3 not found is not declined | `test_rule_3_…` | `test_adapter_crash` |
| 4 one gate before any second way to pay | `test_rule_4_…` | `unit/test_refund_gate` |
| 5 absence is bound to its look-up | `test_rule_5_…` | `unit/test_refund_gate` |
| 6 facts only move forward | `test_rule_6_…` | `unit/test_refund_facts` |
| 7 whatever waits is woken | `test_rule_7_…` | `test_pipeline_waiting_states` |
| 8 nothing is done on what nobody saw | `test_rule_8_…` | `unit/test_refund_actions` |
| 9 lock, load, decide, record | `test_protocol_rules_pipeline` | `test_races` |
| 10 redelivery sends what was recorded | `test_protocol_rules_pipeline` | `test_pipeline_crash` |

All of them together are tried in every order by the model, in `tests/model`.
"""

from datetime import timedelta
from typing import Any

import pytest
from kit.builders import REFUND
from kit.clock import VirtualClock, settle
from kit.desk import commands_of
from kit.model_life import LEASE, STALL, START, Life, Sent, by_hand, issue_in, look_up_in
from kit.provider import SUCCEEDED, PlayedProvider

from schemas.refunds import RefundIssue
from workers.store.database import Database


@pytest.fixture
def life(database: Database, observer: Any) -> Life:
    return Life(database, observer)


async def test_rule_1_two_copies_claim_one_attempt_and_the_decline_of_one_closes_both(life: Life) -> None:
    command = await life.begin()
    assert [await life.claim(command), await life.claim(command)] == ["claimed", "stale"]


async def test_rule_1_a_copy_that_comes_after_the_decline_was_sent_elsewhere_reaches_nobody(life: Life) -> None:
    command = await life.begin()
    await life.hear("declined", provider_code="expired_or_canceled_card")
    assert await life.claim(command) == "stale"


async def test_rule_1_a_process_that_stalled_past_its_lease_does_not_call(database: Database, observer: Any) -> None:
    """Its answer says that the provider was never asked, so the next attempt may go."""
    life, clock, sent = Life(database, observer), VirtualClock(), Sent()
    provider = PlayedProvider(answer=lambda _: SUCCEEDED)
    adapter = by_hand(provider, sent, clock, database)
    command = await life.begin()
    (verdict,) = await life.desk.decide(adapter, command)
    await clock.advance(LEASE.total_seconds())
    adapter.perform([verdict.effect])
    await settle()
    assert provider.asked == []
    assert [(one.outcome, one.provider_code) for one in sent.results] == [("retryable", "lease_expired")]


async def test_rule_2_a_queued_retry_does_not_run_once_the_key_may_be_forgotten(life: Life) -> None:
    command = await life.begin()
    assert await life.claim(command) == "claimed"
    await life.hear("retryable", provider_code="rate_limit")
    again = issue_in(await life.wake())
    await life.later(timedelta(hours=23, minutes=50))
    assert await life.claim(again) == "key_forgotten"
    await life.decide(await life.refusal_of(again))
    assert (await life.refund())["state"] == "uncertain"
    number = look_up_in(await life.wake()).look_up_no
    await life.hear("not_found", via="look_up", look_up_no=number)
    assert ((await life.refund())["state"], (await life.refund())["attempt"]) == ("needs_review", 2)


async def test_rule_2_a_retry_within_the_keys_retention_runs(life: Life) -> None:
    command = await life.begin()
    assert await life.claim(command) == "claimed"
    await life.hear("retryable", provider_code="rate_limit")
    again = issue_in(await life.wake())
    await life.later(timedelta(hours=23, minutes=40))
    assert await life.claim(again) == "claimed"


async def test_rule_3_a_stalled_adapter_wakes_after_nothing_was_found_and_the_client_is_paid_once(life: Life) -> None:
    command = await life.begin()
    assert await life.claim(command) == "claimed"
    await life.hear("uncertain", provider_code="timeout")
    number = look_up_in(await life.wake()).look_up_no
    await life.hear("not_found", via="look_up", look_up_no=number)
    assert (await life.refund())["state"] == "retrying"
    again = issue_in(await life.wake())
    assert again.idempotency_key == command.idempotency_key
    await life.hear("succeeded", provider_refund_id="re_1")  # the stalled call, at last
    assert (await life.refund())["state"] == "succeeded"
    assert await life.successor() is None
    assert await life.lines() == ["refund_settled"]
    await life.check()


async def stalled_and_declined(life: Life) -> None:
    """The first attempt's call stalls, and the second attempt is declined."""
    command = await life.begin()
    assert await life.claim(command) == "claimed"
    await life.hear("uncertain", provider_code="timeout")
    number = look_up_in(await life.wake()).look_up_no
    await life.hear("not_found", via="look_up", look_up_no=number)
    again = issue_in(await life.wake())
    assert await life.claim(again) == "claimed"
    await life.hear("declined", attempt=2, provider_code="expired_or_canceled_card")


async def test_rule_4_attempt_1_stalls_attempt_2_is_declined_and_the_wallet_waits_for_attempt_1(life: Life) -> None:
    await stalled_and_declined(life)
    assert (await life.refund())["state"] == "declined"
    assert "refund.look_up" not in life.told[-1:]
    # An answer that comes by itself proves nothing: no look-up was begun after the calls' end.
    number = (await life.refund())["look_up_no"]
    await life.hear("not_found", attempt=2, via="look_up", look_up_no=number)
    assert await life.successor() is None
    await life.hear("succeeded", attempt=1, provider_refund_id="re_1")
    assert (await life.refund())["state"] == "succeeded"
    assert await life.lines() == ["refund_settled"]
    await life.check()


async def test_rule_4_once_no_call_can_be_under_way_an_empty_look_up_sends_the_money_to_the_wallet(life: Life) -> None:
    await stalled_and_declined(life)
    number = look_up_in(await life.wake()).look_up_no
    assert life.now >= START + LEASE + STALL
    verdict = await life.hear("not_found", attempt=2, via="look_up", look_up_no=number)
    (command,) = commands_of([verdict])
    assert isinstance(command, RefundIssue)
    await life.credit(command)
    assert (await life.successor())["state"] == "succeeded"
    assert await life.balance("wallet:cli_1") == 4500
    assert await life.balance("refunding:card") == 0
    await life.check()


async def test_rule_5_an_old_empty_answer_is_no_proof(life: Life) -> None:
    await stalled_and_declined(life)
    number = look_up_in(await life.wake()).look_up_no
    await life.hear("not_found", attempt=1, via="look_up", look_up_no=number - 1)
    assert (await life.refund())["state"] == "declined"
    assert await life.successor() is None
    await life.hear("not_found", attempt=2, via="look_up", look_up_no=number)
    assert (await life.refund())["state"] == "redirected"


async def test_rule_6_a_failed_notice_then_an_older_succeeded_one_does_not_stick_in_success(life: Life) -> None:
    await life.begin()
    await life.hear("declined", provider_refund_id="re_1", via="webhook", provider_code="declined")
    await life.hear("succeeded", provider_refund_id="re_1", via="webhook")
    assert (await life.refund())["state"] == "declined"
    assert await life.lines() == []


async def redirected(life: Life) -> RefundIssue:
    """The card's refund was declined, and the wallet's was asked for."""
    command = await life.begin()
    assert await life.claim(command) == "claimed"
    number = look_up_in(await life.hear("declined", provider_code="expired_or_canceled_card")).look_up_no
    verdict = await life.hear("not_found", via="look_up", look_up_no=number)
    (issue,) = commands_of([verdict])
    assert isinstance(issue, RefundIssue)
    return issue


async def test_rule_6_a_late_success_withdraws_a_redirect_that_nobody_took_up(life: Life) -> None:
    wallet = await redirected(life)
    await life.hear("succeeded", provider_refund_id="re_1", via="webhook")
    assert (await life.refund())["state"] == "succeeded"
    assert await life.claim(wallet) == "stale"
    assert await life.balance("wallet:cli_1") == 0
    await life.check()


@pytest.mark.parametrize("heard", [True, False])
async def test_rule_6_a_late_success_beside_a_wallet_that_was_paid_is_for_a_person(life: Life, heard: bool) -> None:
    """Also where nobody has heard yet that it was paid: that it was claimed says so."""
    await life.credit(await redirected(life), heard=heard)
    await life.hear("succeeded", provider_refund_id="re_1", via="webhook")
    successor = await life.successor()
    assert (successor["state"], successor["code"]) == ("needs_review", "overpaid")
    assert await life.balance("suspense") == -4500


async def test_rule_7_a_command_that_is_lost_again_and_again_is_sent_again_each_time(life: Life) -> None:
    command = await life.begin()
    assert [issue_in(await life.wake()) for _ in range(3)] == [command] * 3


async def test_rule_7_a_lost_command_of_a_redirect_is_sent_again(life: Life) -> None:
    command = await redirected(life)
    assert issue_in(await life.wake(command.refund_id)) == command


async def test_rule_7_a_claim_without_an_answer_is_swept(life: Life) -> None:
    assert await life.claim(await life.begin()) == "claimed"
    await life.wake_until("uncertain")
    assert look_up_in(await life.wake()).attempt == 1


async def test_rule_7_a_gate_whose_look_up_got_lost_asks_again(life: Life) -> None:
    await stalled_and_declined(life)
    first = look_up_in(await life.wake())
    assert look_up_in(await life.wake()).look_up_no == first.look_up_no


async def test_rule_7_a_lost_notice_of_a_bounce_is_found_by_an_audit(life: Life) -> None:
    await life.begin()
    await life.hear("succeeded", provider_refund_id="re_1")
    look_up = look_up_in(await life.wake())
    assert life.now == START + timedelta(days=1)
    await life.hear("declined", provider_refund_id="re_1", via="look_up", look_up_no=look_up.look_up_no)
    assert (await life.refund())["state"] == "bounced"
    assert await life.wake() is not None


async def test_rule_8_a_click_on_what_has_moved_since_is_refused(life: Life, observer: Any) -> None:
    await life.begin()
    await life.flag()
    seen = (await life.refund())["revision"]
    await life.hear("succeeded", provider_refund_id="re_1", via="webhook")
    verdict = await life.decide(await life.click("release", "act_1", seen))
    assert verdict.label == "refused"
    assert (await life.refund())["state"] == "needs_review"
    row = await observer.fetchrow("SELECT outcome, detail FROM manual_actions")
    assert tuple(row) == ("refused", "refund_moved")


async def test_rule_8_a_click_redelivered_does_nothing(life: Life) -> None:
    await life.begin()
    await life.flag()
    click = await life.click("release", "act_1", (await life.refund())["revision"])
    assert (await life.decide(click)).label == "applied"
    await life.flag()
    assert (await life.decide(click)).label == "duplicate"
    assert (await life.refund())["state"] == "needs_review"


async def test_rule_8_a_person_pays_only_once_it_is_proved_that_no_stalled_call_will(life: Life) -> None:
    command = await life.begin()
    assert await life.claim(command) == "claimed"
    await life.flag()
    assert (await life.act("mark_settled", "act_0")).label == "refused"
    assert (await life.act("settle", "act_1")).label == "applied"
    assert (await life.act("mark_settled", "act_2")).label == "refused"
    number = look_up_in(await life.wake()).look_up_no
    assert life.now >= START + LEASE + STALL
    await life.hear("not_found", via="look_up", look_up_no=number)
    assert (await life.refund())["gate"] == "frozen"
    assert await life.claim(command) == "stale"
    assert (await life.act("mark_settled", "act_3")).label == "applied"
    assert (await life.refund())["state"] == "settled_elsewhere"
    assert (await life.refund())["refund_id"] == REFUND
    await life.check()


async def paid_by_a_person(life: Life) -> None:
    """The card's refund was given up, a person has paid by other means, and later something is odd about it."""
    command = await life.begin()
    assert await life.claim(command) == "claimed"
    await life.hear("rejected", provider_code="charge_not_refundable")
    number = look_up_in(await life.act("settle", "act_1")).look_up_no
    await life.hear("not_found", via="look_up", look_up_no=number)
    assert (await life.act("mark_settled", "act_2")).label == "applied"
    await life.flag("disputed")
    assert (await life.refund())["state"] == "needs_review"


@pytest.mark.parametrize("kind", ["retry", "redirect", "settle"])
async def test_rule_8_what_a_person_has_paid_is_paid_no_other_way_whatever_is_said_of_it_later(
    life: Life, observer: Any, kind: str
) -> None:
    await paid_by_a_person(life)
    assert (await life.act(kind, "act_3")).label == "refused"
    assert await observer.fetchval("SELECT detail FROM manual_actions WHERE action_id = 'act_3'") == "paid_elsewhere"
    assert (await life.act("release", "act_4")).label == "applied"
    assert (await life.refund())["state"] == "settled_elsewhere"
    await life.check()


@pytest.mark.parametrize("flagged", [True, False])
async def test_rule_8_a_stalled_call_that_pays_what_a_person_paid_is_told_as_overpaid(
    life: Life, flagged: bool
) -> None:
    """The ledger has it as paid once too often, and not as if more had been under way."""
    await paid_by_a_person(life)
    if not flagged:
        await life.act("release", "act_3")
    await life.hear("succeeded", provider_refund_id="re_1", via="webhook")
    assert ((await life.refund())["state"], (await life.refund())["code"]) == ("needs_review", "overpaid")
    assert await life.lines() == ["overpaid", "settled_elsewhere"]
    assert (await life.balance("refunding:card"), await life.balance("suspense")) == (0, 0)
    await life.act("release", "act_4")
    await life.hear("succeeded", provider_refund_id="re_1", via="webhook")
    assert (await life.refund())["state"] == "settled_elsewhere"
    assert await life.lines() == ["overpaid", "settled_elsewhere"]
    await life.check()
