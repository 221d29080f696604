"""Runs against real rows: what is found, asked, told and recorded, and that no refund is ever touched."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from kit.database import set_clock
from kit.desk import Desk
from kit.reconcile_runs import decoded, found, run
from kit.reconciling import (
    LONG_AGO,
    NOW,
    TellingProvider,
    fact,
    insert_due,
    insert_refund,
    listed,
    money_rows,
    plan,
    told,
)

from schemas.refunds import RefundFlagged, RefundResult
from workers.pipeline.clock import SystemClock
from workers.providers.port import Answer
from workers.reconcile import reading
from workers.reconcile.run import reconcile
from workers.refunds import Refunds
from workers.store.database import Database


@pytest.fixture(autouse=True)
async def _at_noon(observer: Any) -> None:
    await set_clock(observer, NOW)


async def test_a_run_where_all_agrees_is_recorded_and_tells_nothing(database: Database, observer: Any) -> None:
    await insert_refund(observer, "rfd_1", fact())
    provider = TellingProvider("card", listed())
    report = await run(database, provider)
    assert (report.ok, found(report)) == (True, [])
    (part,) = report.providers
    assert (part.provider, part.listed, part.ours, part.failed) == ("card", 1, 1, None)
    assert await told(observer) == []
    row = await observer.fetchrow("SELECT * FROM reconciliations")
    assert (row["run_id"], row["differences"], row["period_to"]) == (report.run_id, 0, NOW)
    assert json.loads(row["report"])["ok"] is True
    assert provider.periods == [(NOW - timedelta(days=2), NOW)]


async def test_differences_are_told_once_and_never_mended(database: Database, observer: Any) -> None:
    await insert_refund(observer, "rfd_amount", fact("re_amount", refund_id="rfd_amount"))
    await insert_refund(observer, "rfd_bounced", fact("re_bounced", refund_id="rfd_bounced"))
    await insert_refund(observer, "rfd_gone", fact("re_gone", refund_id="rfd_gone"))
    await insert_refund(observer, "rfd_twice", fact("re_one", refund_id="rfd_twice"))
    await insert_refund(observer, "rfd_hand", fact("re_ours", refund_id="rfd_hand"))
    provider = TellingProvider(
        "card",
        listed("re_amount", refund_id="rfd_amount", amount_minor=4501),
        listed("re_bounced", refund_id="rfd_bounced", standing="failed"),
        listed("re_one", refund_id="rfd_twice"),
        listed("re_two", refund_id="rfd_twice"),
        listed("re_ours", refund_id="rfd_hand"),
        listed("re_by_hand", refund_id=None, reference="pi_rfd_hand", amount_minor=1),
        listed("re_stranger", refund_id=None, reference="pi_nobody"),
    )
    before = await money_rows(observer)
    report = await run(database, provider)
    assert found(report) == [
        ("amount_differs", "rfd_amount", "re_amount", "review"),
        ("duplicate", "rfd_twice", "re_two", "review"),
        ("missing_at_provider", "rfd_gone", "re_gone", "review"),
        ("state_differs", "rfd_bounced", "re_bounced", "told"),
        ("unknown_refund", "rfd_hand", "re_by_hand", "review"),
        ("unknown_refund", None, "re_stranger", "reported"),
    ]
    messages = await told(observer)
    flags = {one["refund_id"]: decoded(one) for one in messages if one["type"] == "refund.flagged"}
    assert {name: flag.code for name, flag in flags.items()} == {
        "rfd_amount": "reconcile_amount_differs",
        "rfd_gone": "reconcile_missing_at_provider",
        "rfd_hand": "reconcile_unknown_refund",
        "rfd_twice": "reconcile_duplicate",
    }
    assert flags["rfd_twice"] == RefundFlagged(
        refund_id="rfd_twice",
        order_id="ord_rfd_twice",
        code="reconcile_duplicate",
        provider_refund_id="re_two",
        observed_at=NOW,
    )
    results = {one["refund_id"]: decoded(one) for one in messages if one["type"] == "refund.result"}
    assert results.keys() == {"rfd_bounced", "rfd_twice"}
    assert results["rfd_bounced"] == RefundResult(
        refund_id="rfd_bounced",
        order_id="ord_rfd_bounced",
        provider="card",
        attempt=1,
        outcome="declined",
        provider_refund_id="re_bounced",
        provider_code="lost_or_stolen_card",
        observed_at=NOW,
        via="look_up",
    )
    assert all(one["key"] == one["order_id"] for one in messages)

    again = await run(database, provider)
    assert {action for *_, action in found(again)} == {"told_before", "reported"}
    assert len(again.differences) == len(report.differences)
    assert not again.ok
    assert await told(observer) == messages
    assert await money_rows(observer) == before


async def test_a_dry_run_asks_and_leaves_no_trace(database: Database, observer: Any) -> None:
    await insert_refund(observer, "rfd_1", fact())
    await insert_refund(observer, "rfd_late", state="uncertain", state_since=NOW - timedelta(hours=1))
    await insert_due(observer, "rfd_late", NOW + timedelta(minutes=4))
    provider = TellingProvider("card", listed(standing="failed"), listed("re_2", refund_id=None, reference="pi_rfd_1"))
    report = await run(database, provider, dry_run=True)
    assert [action for *_, action in found(report)] == ["would_tell", "would_review"]
    assert report.providers[0].woken == 1
    assert await told(observer) == []
    assert await observer.fetchval("SELECT count(*) FROM reconciliations") == 0
    assert await observer.fetchval("SELECT due_at FROM scheduled_messages") == NOW + timedelta(minutes=4)


async def test_what_waits_for_its_provider_past_its_time_is_asked_about_now(database: Database, observer: Any) -> None:
    soon = NOW + timedelta(minutes=30)
    hour = timedelta(hours=1)
    for name, state, since, provider in [
        ("unsure", "uncertain", NOW - hour, "card"),
        ("unsure_young", "uncertain", NOW - timedelta(minutes=1), "card"),
        ("pends", "pending", NOW - 2 * hour, "card"),
        ("pends_young", "pending", NOW - hour / 2, "card"),
        ("retries", "retrying", NOW - 2 * hour, "card"),
        ("elsewhere", "uncertain", NOW - hour, "paypal"),
    ]:
        await insert_refund(observer, name, state=state, state_since=since, provider=provider)
        await insert_due(observer, name, soon)
    await insert_refund(observer, "firing", state="uncertain", state_since=NOW - hour)
    await insert_due(observer, "firing", NOW - hour, state="firing")
    report = await run(database, TellingProvider("card"))
    assert report.providers[0].woken == 2
    rows = await observer.fetch("SELECT subject FROM scheduled_messages WHERE due_at = $1 ORDER BY 1", NOW)
    assert [row["subject"] for row in rows] == ["pends", "unsure"]
    assert report.ok, "to wait is no difference"


async def test_a_sample_of_successes_and_the_original_of_every_redirect_are_asked_about(
    database: Database, observer: Any
) -> None:
    for number in range(4):
        name = f"rfd_{number}"
        await insert_refund(observer, name, fact(f"re_{number}", refund_id=name))
    for name, since in (("moved", NOW - timedelta(days=59)), ("moved_long_ago", NOW - timedelta(days=61))):
        await insert_refund(observer, name, state="redirected", state_since=since)
    provider = TellingProvider(
        "card",
        *(listed(f"re_{number}", refund_id=f"rfd_{number}") for number in range(4)),
        listed("re_alive", refund_id="moved", made_at=NOW - timedelta(days=58)),
    )
    report = await run(database, provider, sample=2)
    asked = [one.refund_id for one in provider.asked]
    assert len(asked) == 3
    assert asked.count("moved") == 1
    assert found(report) == [("state_differs", "moved", "re_alive", "told")]
    (word,) = await told(observer)
    assert (word["outcome"], word["provider_refund_id"], word["via"]) == ("succeeded", "re_alive", "look_up")
    assert "look_up_no" not in word or word["look_up_no"] is None, "must not pass for proof of absence"


async def test_other_days_sample_others(database: Database, observer: Any) -> None:
    for number in range(12):
        name = f"rfd_{number}"
        await insert_refund(observer, name, fact(f"re_{number}", refund_id=name))
    sampled = []
    for day in (0, 0, 1):
        await set_clock(observer, NOW + timedelta(days=day))
        provider = TellingProvider("card", *(listed(f"re_{n}", refund_id=f"rfd_{n}") for n in range(12)))
        await run(database, provider, sample=4)
        sampled.append({one.refund_id for one in provider.asked})
    assert sampled[0] == sampled[1] != sampled[2]


async def test_an_empty_look_up_is_never_told_as_absence(database: Database, observer: Any) -> None:
    await insert_refund(observer, "rfd_1", fact())
    report = await run(database, TellingProvider("card"), sample=1)
    assert found(report) == [("missing_at_provider", "rfd_1", "re_1", "review")]
    assert [one["type"] for one in await told(observer)] == ["refund.flagged"]


async def test_a_list_that_only_lags_is_no_difference(database: Database, observer: Any) -> None:
    young = NOW - timedelta(hours=5)
    await insert_refund(observer, "rfd_1", fact(heard_at=young), first_issued_at=young, issued_at=young)
    await insert_refund(observer, "rfd_2", fact("re_2", refund_id="rfd_2"))
    provider = TellingProvider("card", listed("re_2", refund_id="rfd_2", made_at=NOW - timedelta(days=3)))
    report = await run(database, provider)
    assert report.providers[0].listed == 0
    assert [one.refund_id for one in provider.asked] == ["rfd_2"], "not in the list, yet the provider knows it"
    assert report.ok


async def test_one_that_was_heard_of_before_its_last_step_is_expected_all_the_same(
    database: Database, observer: Any
) -> None:
    await insert_refund(observer, "rfd_1", fact(heard_at=NOW - timedelta(minutes=1)))
    await observer.execute(
        """INSERT INTO refund_observations (refund_id, message_id, attempt, outcome, via, provider_refund_id,
             observed_at, recorded_at, state_after, revision_after)
           VALUES ('rfd_1', 'm', 1, 'pending', 'call', 're_1', $1, $1, 'pending', 2)""",
        LONG_AGO,
    )
    report = await run(database, TellingProvider("card"))
    assert found(report) == [("missing_at_provider", "rfd_1", "re_1", "review")]


async def test_a_list_that_breaks_off_proves_nothing_and_others_go_on(
    database: Database, observer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 1)  # what was read before it broke off was compared already
    await insert_refund(observer, "rfd_1", fact())
    await insert_refund(observer, "rfd_2", fact("8AC", refund_id="rfd_2"), provider="paypal")
    card = TellingProvider("card", listed("re_stranger", refund_id=None, reference="pi_x"), listed())
    card.breaks_after = 1
    paypal = TellingProvider("paypal", listed("8AC", refund_id="rfd_2", amount_minor=1))
    report = await run(database, card, paypal)
    assert not report.ok
    assert [(one.provider, one.failed) for one in report.providers] == [
        ("card", "list_failed: http_503"),
        ("paypal", None),
    ]
    assert found(report) == [("amount_differs", "rfd_2", "8AC", "review")]


async def test_a_provider_that_knows_none_of_ours_sends_none_to_review(database: Database, observer: Any) -> None:
    """Another account's key: what is wrong is the setting, not a hundred refunds."""
    for number in range(10):
        name = f"rfd_{number}"
        await insert_refund(observer, name, fact(f"re_{number}", refund_id=name))
    report = await run(database, TellingProvider("card"), sample=10)
    assert (report.ok, found(report)) == (False, [])
    assert report.providers[0].failed == "list_has_none_of_ours"
    older = NOW - timedelta(days=30)
    await observer.execute("ALTER TABLE refunds DISABLE TRIGGER refunds_kept")
    await observer.execute("UPDATE refunds SET first_issued_at = $1", older)
    report = await run(database, TellingProvider("card"), sample=10)
    assert (report.ok, found(report)) == (False, [])
    assert report.providers[0].failed == "knows_none_of_ours"
    assert await told(observer) == []


async def test_what_is_suspected_and_not_answered_goes_to_review(database: Database, observer: Any) -> None:
    await insert_refund(observer, "rfd_1", fact())
    provider = TellingProvider("card", listed(standing="failed"))
    provider.answer = Answer(outcome="uncertain", code="timeout")
    report = await run(database, provider)
    assert report.providers[0].failed == "look_ups_unanswered"
    assert found(report) == [("state_differs", "rfd_1", "re_1", "review")]
    assert [one["type"] for one in await told(observer)] == ["refund.flagged"]


async def test_a_provider_that_is_down_is_not_asked_for_ever(database: Database, observer: Any) -> None:
    for number in range(60):
        await insert_refund(observer, f"rfd_{number}", fact(f"re_{number}", refund_id=f"rfd_{number}"))
    provider = TellingProvider("card", *(listed(f"re_{n}", refund_id=f"rfd_{n}") for n in range(60)))
    provider.answer = Answer(outcome="uncertain", code="timeout")
    report = await run(database, provider, sample=60)
    assert report.providers[0].failed == "look_ups_unanswered"
    assert len(provider.asked) < 60


async def test_a_provider_without_credentials_is_left_out(database: Database, observer: Any) -> None:
    report = await reconcile(database, SystemClock(), {"card": TellingProvider("card"), "paypal": None}, plan())
    assert report.ok
    assert [(one.provider, one.failed) for one in report.providers] == [("card", None), ("paypal", "not_configured")]


async def test_a_long_list_is_taken_in_chunks(database: Database, observer: Any) -> None:
    count = 2_500
    await insert_refund(observer, "rfd_first", fact("re_0", refund_id="rfd_first"))
    await insert_refund(observer, "rfd_last", fact("re_2499", refund_id="rfd_last"))
    strangers = [listed(f"re_{n}", refund_id=None, reference=f"pi_{n}", standing="failed") for n in range(1, count - 1)]
    provider = TellingProvider(
        "card", listed("re_0", refund_id="rfd_first"), *strangers, listed("re_2499", refund_id=None, reference=None)
    )
    report = await run(database, provider)
    assert (report.providers[0].listed, report.providers[0].ours, found(report)) == (count, 2, [])


async def test_a_tender_s_earlier_refund_is_no_stranger(database: Database, observer: Any) -> None:
    await insert_refund(observer, "rfd_1", fact(), refunded_minor=700)
    before = listed("re_0", refund_id=None, amount_minor=700, made_at=LONG_AGO - timedelta(hours=1))
    assert (await run(database, TellingProvider("card", listed(), before))).ok


async def test_refunds_from_before_facts_were_kept_are_known(database: Database, observer: Any) -> None:
    await insert_refund(observer, "rfd_1", provider_refund_id="re_1")
    assert (await run(database, TellingProvider("card", listed()), sample=1)).ok


async def test_who_decides_refunds_takes_what_is_told(database: Database, observer: Any) -> None:
    await insert_refund(observer, "rfd_amount", fact("re_amount", refund_id="rfd_amount"))
    await insert_refund(observer, "rfd_bounced", fact("re_bounced", refund_id="rfd_bounced"))
    await insert_refund(observer, "rfd_twice", fact("re_one", refund_id="rfd_twice"))
    provider = TellingProvider(
        "card",
        listed("re_amount", refund_id="rfd_amount", amount_minor=4501),
        listed("re_bounced", refund_id="rfd_bounced", standing="failed"),
        listed("re_one", refund_id="rfd_twice"),
        listed("re_two", refund_id="rfd_twice"),
    )
    await run(database, provider)
    desk = Desk(database)
    handler = Refunds(desk.policy.refunds, random.Random(1))
    for message in await told(observer):
        await desk.decide(handler, decoded(message))
    rows = dict(await observer.fetch("SELECT refund_id, state FROM refunds WHERE redirected_from IS NULL"))
    assert rows == {"rfd_amount": "needs_review", "rfd_bounced": "bounced", "rfd_twice": "needs_review"}
    codes = dict(await observer.fetch("SELECT refund_id, code FROM refunds"))
    assert codes["rfd_amount"] == "reconcile_amount_differs"
    gate = await observer.fetchrow("SELECT gate FROM refunds WHERE refund_id = 'rfd_bounced'")
    assert gate["gate"] == "redirect", "what the list says opens no gate: that takes a look-up of its own"
    facts = await observer.fetch("SELECT provider_refund_id FROM refund_facts WHERE refund_id = 'rfd_twice' ORDER BY 1")
    assert [row[0] for row in facts] == ["re_one", "re_two"]
