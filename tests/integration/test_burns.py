"""Twelve burns that other teams took with refunds, each by its story."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from kit.builders import ORDER, REFUND, cancelled_json, due, refund
from kit.clock import VirtualClock, settle
from kit.desk import commands_of, incoming, messages_of
from kit.model_life import START, Life, Sent, by_hand, issue_in, look_up_in
from kit.provider import PlayedProvider
from kit.provider_kit import KINDS, Kind, bench
from msgspec.structs import asdict

from schemas.base import encode
from schemas.refunds import RefundDue, RefundEvent, RefundIssue, RefundResult
from schemas.topics import ORDERS_EVENTS, REFUNDS_COMMANDS, REFUNDS_RESULTS
from workers.domain import ids
from workers.providers.simulated.book import Captured
from workers.store.database import Database
from workers.store.queries import sql

KEPT_FOREVER = "may not lose or change what it is for"


@pytest.fixture
def life(database: Database, observer: Any) -> Life:
    return Life(database, observer)


async def test_burn_1_the_webhook_outran_the_answer_and_refund_and_debit_were_recorded_twice(
    life: Life, observer: Any
) -> None:
    assert await life.claim(await life.begin()) == "claimed"
    await life.hear("succeeded", provider_refund_id="re_1", via="webhook")
    await life.hear("succeeded", provider_refund_id="re_1", via="call")
    await life.hear("succeeded", provider_refund_id="re_1", via="webhook")
    assert await life.lines() == ["refund_settled"]
    assert life.told == ["refund.succeeded", "order.refunded"]
    assert await observer.fetchval("SELECT count(*) FROM refunds") == 1
    assert await observer.fetchval("SELECT count(*) FROM refund_facts") == 1
    assert await observer.fetchval("SELECT count(*) FROM refund_observations") == 3
    await life.check()


async def test_burn_2_the_failure_path_deleted_the_row_and_the_retry_used_a_new_key(life: Life) -> None:
    command = await life.begin()
    for attempt in (1, 2, 3):
        assert await life.claim(command) == "claimed"
        await life.hear("uncertain", attempt=attempt, provider_code="timeout")
        number = look_up_in(await life.wake()).look_up_no
        await life.hear("not_found", attempt=attempt, via="look_up", look_up_no=number)
        again = issue_in(await life.wake())
        assert (again.idempotency_key, again.attempt) == (command.idempotency_key, attempt + 1)
        command = again


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM refunds",
        "UPDATE refunds SET idempotency_key = 'another', revision = revision + 1",
        "UPDATE refunds SET amount_minor = 1, revision = revision + 1",
        "UPDATE refunds SET state = 'retrying'",
    ],
)
async def test_burn_2_postgresql_itself_keeps_the_row_and_its_key(life: Life, observer: Any, statement: str) -> None:
    await life.begin()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=KEPT_FOREVER):
        await observer.execute(statement)


async def test_burn_3_a_refund_failed_days_after_its_success_and_the_order_stayed_refunded(life: Life) -> None:
    await life.begin()
    await life.hear("succeeded", provider_refund_id="re_1")
    await life.later(timedelta(days=3))
    verdict = await life.hear(
        "declined", provider_refund_id="re_1", via="webhook", provider_code="expired_or_canceled_card"
    )
    (event,) = [one for one in messages_of([verdict]) if isinstance(one, RefundEvent)]
    assert (event.state, event.provider_refund_id, event.code) == ("bounced", "re_1", "expired_or_canceled_card")
    assert "refund.bounced" in life.told
    assert await life.lines() == ["refund_settled", "refund_bounced"]
    assert await life.balance("refunding:card") == 4500
    assert (await life.refund())["settled_at"] is None
    await life.check()
    number = look_up_in(verdict).look_up_no
    (command,) = commands_of([await life.hear("not_found", via="look_up", look_up_no=number)])
    assert isinstance(command, RefundIssue)
    await life.credit(command)
    assert await life.balance("wallet:cli_1") == 4500
    assert life.told.count("order.refunded") == 1
    await life.check()


async def test_burn_4_a_forced_sync_skipped_terminal_refunds_and_a_lost_reversal_left_success_standing(
    life: Life,
) -> None:
    await life.begin()
    await life.hear("succeeded", provider_refund_id="re_1")
    forced = look_up_in(await life.act("look_up"))
    assert forced.provider_refund_id == "re_1"
    await life.hear("succeeded", provider_refund_id="re_1", via="look_up", look_up_no=forced.look_up_no)
    days = []
    for _ in range(4):
        audit = look_up_in(await life.wake())
        days.append((audit.issued_at - START).days)
        outcome = "declined" if days[-1] == 30 else "succeeded"
        await life.hear(outcome, provider_refund_id="re_1", via="look_up", look_up_no=audit.look_up_no)
    assert days == [1, 5, 14, 30]
    assert (await life.refund())["state"] == "bounced"
    assert await life.lines() == ["refund_settled", "refund_bounced"]


@pytest.mark.parametrize(
    ("last", "older"), [("succeeded", "pending"), ("declined", "pending"), ("declined", "succeeded")]
)
async def test_burn_5_a_sync_overwrote_a_terminal_status_with_an_older_one(
    life: Life, observer: Any, last: str, older: str
) -> None:
    await life.begin()
    await life.hear("pending", provider_refund_id="re_1")
    await life.hear(last, provider_refund_id="re_1", via="webhook", provider_code="declined")
    before = await life.refund()
    for via in ("webhook", "look_up", "call"):
        await life.hear(older, provider_refund_id="re_1", via=via, look_up_no=before["look_up_no"])
    assert await life.refund() == before
    standing = await observer.fetchval("SELECT standing FROM refund_facts")
    assert standing == {"declined": "failed"}.get(last, last)


async def test_burn_5_postgresql_itself_lets_no_fact_go_back(life: Life, observer: Any) -> None:
    await life.begin()
    await life.hear("succeeded", provider_refund_id="re_1")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only moves forward"):
        await observer.execute("UPDATE refund_facts SET standing = 'pending'")


async def test_burn_6_pending_was_shown_though_the_provider_was_never_called(life: Life, database: Database) -> None:
    """Asked for, sent again, claimed, and stalled before the call: nothing of it is pending."""
    command = await life.begin()
    issue_in(await life.wake())
    clock, sent = VirtualClock(), Sent()
    provider = PlayedProvider()
    adapter = by_hand(provider, sent, clock, database)
    (verdict,) = await life.desk.decide(adapter, command)
    assert (await life.refund())["state"] == "requested"
    await clock.advance(3600)
    adapter.perform([verdict.effect])
    await settle()
    (said,) = sent.results
    await life.decide(said)
    assert provider.asked == []
    assert (await life.refund())["state"] == "retrying"
    assert "refund.pending" not in life.told
    again = issue_in(await life.wake())
    assert await life.claim(again) == "claimed"
    await life.wake_until("uncertain")
    assert "refund.pending" not in life.told


@pytest.mark.parametrize("via", ["webhook", "look_up"])
@pytest.mark.parametrize("outcome", ["succeeded", "pending"])
async def test_burn_7_a_time_out_left_no_provider_id_and_webhooks_did_not_fill_it(
    life: Life, via: str, outcome: str
) -> None:
    assert await life.claim(await life.begin()) == "claimed"
    await life.hear("uncertain", provider_code="timeout")
    number = look_up_in(await life.wake()).look_up_no
    assert (await life.refund())["provider_refund_id"] is None
    await life.hear(outcome, provider_refund_id="re_1", via=via, look_up_no=number)
    row = await life.refund()
    assert (row["state"], row["provider_refund_id"]) == (outcome, "re_1")


async def test_burn_7_a_success_first_heard_without_an_id_gets_it_from_the_webhook(life: Life) -> None:
    """By the id alone a later bounce is known for what it is."""
    await life.begin()
    await life.hear("succeeded")
    await life.hear("succeeded", provider_refund_id="re_1", via="webhook")
    assert (await life.refund())["provider_refund_id"] == "re_1"
    await life.later(timedelta(days=2))
    await life.hear("declined", provider_refund_id="re_1", via="webhook", provider_code="declined")
    assert (await life.refund())["state"] == "bounced"
    assert await life.lines() == ["refund_settled", "refund_bounced"]


async def dispute(observer: Any, *, is_open: bool) -> None:
    """The client's bank asks for the payment's money back, or has given up."""
    await observer.execute(
        """INSERT INTO disputes VALUES ('card', 'dp_1', 'pi_3Nx', 'any', $1, annul_now())
           ON CONFLICT (provider, dispute_id, reference) DO UPDATE SET is_open = $1""",
        is_open,
    )


async def test_burn_8_a_refund_during_a_dispute_debited_the_seller_twice(life: Life, observer: Any) -> None:
    command = await life.begin()
    await dispute(observer, is_open=True)
    assert await life.claim(command) == "disputed"
    await life.decide(await life.refusal_of(command))
    assert ((await life.refund())["state"], (await life.refund())["code"]) == ("needs_review", "disputed")
    assert await observer.fetchval("SELECT count(*) FROM refund_attempts") == 0
    again = issue_in(await life.act("retry"))
    assert await life.claim(again) == "disputed"
    await dispute(observer, is_open=False)
    assert await life.claim(again) == "claimed"


async def test_burn_8_a_dispute_that_comes_up_stops_what_is_under_way(life: Life) -> None:
    command = await life.begin()
    await life.flag("disputed")
    assert ((await life.refund())["state"], (await life.refund())["code"]) == ("needs_review", "disputed")
    assert await life.claim(command) == "stale"


async def test_burn_9_only_the_latest_id_was_kept_and_an_older_webhook_made_a_duplicate(
    life: Life, observer: Any
) -> None:
    """One of ours with two of theirs: the first failed, and the same key made another once it was forgotten."""
    assert await life.claim(await life.begin()) == "claimed"
    await life.hear("pending", provider_refund_id="re_1")
    await life.hear("declined", provider_refund_id="re_1", via="webhook", provider_code="expired_or_canceled_card")
    await life.hear("succeeded", provider_refund_id="re_2", via="webhook")
    before, told = await life.refund(), list(life.told)
    assert (before["state"], before["provider_refund_id"]) == ("succeeded", "re_2")
    for outcome in ("pending", "succeeded", "declined"):
        await life.hear(outcome, provider_refund_id="re_1", via="webhook", provider_code="declined")
    assert await life.refund() == before
    assert life.told == told
    assert await life.lines() == ["refund_settled"]
    facts = await observer.fetch("SELECT provider_refund_id, standing FROM refund_facts ORDER BY 1")
    assert [tuple(row) for row in facts] == [("re_1", "failed"), ("re_2", "succeeded")]
    await life.check()


async def test_burn_9_both_ids_lead_to_the_refund(life: Life, observer: Any) -> None:
    await life.begin()
    await life.hear("pending", provider_refund_id="re_1")
    await life.hear("declined", provider_refund_id="re_1", via="webhook", provider_code="expired_or_canceled_card")
    await life.hear("succeeded", provider_refund_id="re_2", via="webhook")
    for name in ("re_1", "re_2"):
        rows = await observer.fetch(sql("read_refunds_heard_of"), [], [name], [])
        assert [row["refund_id"] for row in rows] == [REFUND]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("currency", ["JPY", "EUR"])
async def test_burn_10_a_hard_coded_hundred_turned_5800_yen_into_58(kind: Kind, currency: str) -> None:
    """The book counts in the currency's own smallest unit: yen have no hundredths, and 5800 cents are 58 euros."""
    async with bench(kind) as at:
        order = at.issue(currency=currency, amount_minor=5800)
        at.book.register("stripe" if kind == "card" else "paypal", order.reference, Captured(5800, currency))
        answer = await at.adapter.issue(order)
        (entry,) = at.book.effective()
    assert answer.outcome == "succeeded"
    assert (entry.currency.upper(), entry.amount) == (currency, 5800)


def _without(name: str) -> bytes:
    return encode(cancelled_json(**{name: ""}))


def _tender_without(name: str) -> bytes:
    given = cancelled_json()
    given["escrow"]["tenders"][0][name] = ""
    return encode(given)


_cancelled = ORDERS_EVENTS.decoders()["order.cancelled"].decode
_result = REFUNDS_RESULTS.decoders()["refund.result"].decode
_issue = REFUNDS_COMMANDS["card"].decoders()["refund.issue"].decode
RESULT = RefundResult(
    refund_id=REFUND,
    order_id=ORDER,
    provider="card",
    attempt=1,
    outcome="succeeded",
    provider_refund_id="re_1",
    observed_at=START,
    via="call",
)
EMPTIED: list[tuple[str, Callable[[bytes], Any], bytes]] = [
    *((f"order.cancelled {name}", _cancelled, _without(name)) for name in ("order_id", "conversation_id", "seller_id")),
    *((f"order.cancelled tender {name}", _cancelled, _tender_without(name)) for name in ("tender_id", "reference")),
    *(
        (f"refund.result {name}", _result, encode({**asdict(RESULT), name: ""}))
        for name in ("refund_id", "order_id", "provider_refund_id")
    ),
]


@pytest.mark.parametrize(("decode", "value"), [one[1:] for one in EMPTIED], ids=[one[0] for one in EMPTIED])
def test_burn_11_an_empty_id_made_every_job_the_same_job(decode: Callable[[bytes], Any], value: bytes) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"_id|reference"):
        decode(value)


def test_burn_11_ids_that_are_made_of_parts_differ_where_any_part_does() -> None:
    parts = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), ("a", "b", "c"), ("abc",)]
    assert len({ids.derived("x", *one) for one in parts}) == len(parts)
    assert ids.refund_id("ord_1", "tnd_2") != ids.refund_id("ord_2", "tnd_1")


async def test_burn_12_recovery_read_a_stale_row_and_ran_work_that_another_process_owned(life: Life) -> None:
    """The sweep looks at the claim as it is now: within its lease the attempt is its owner's."""
    command = await life.begin()
    stale = RefundDue(**asdict(due(refund())))
    assert await life.claim(command) == "claimed"
    await life.decide(stale)
    assert (await life.refund())["state"] == "requested"
    assert life.told == []
    await life.hear("retryable", provider_code="rate_limit")
    await life.decide(stale)
    assert (await life.refund())["state"] == "retrying"
    assert await life.claim(command) == "stale"
    assert incoming(stale).data == stale
