"""`annul verify`: a healthy database holds to everything, and whatever is broken on purpose is told of."""

import asyncio
from collections.abc import Sequence

import pytest
from kit.builders import tender
from kit.feed import Feed, break_rows, broken
from kit.population import POLICY, acceptance, cancellation, placement, script, settings_for

from workers.insight.verify import Report, check_tables, verify
from workers.store.queries import names

CARD = "order_id = 'ord_refunded' AND provider = 'card'"
TWIN = """INSERT INTO refunds SELECT (jsonb_populate_record(r, '{"refund_id": "rfd_twin"}')).* FROM refunds AS r"""
LINE = """INSERT INTO ledger_transfers
          SELECT (jsonb_populate_record(l, '{"transfer_id": "extra", "kind": "refund_settled"}')).*
            FROM ledger_transfers AS l WHERE kind = 'refund_requested'"""
LATE_CLOSE = """INSERT INTO scheduled_messages
                SELECT (jsonb_populate_record(s, '{"schedule_id": "chat.close:cnv_free:9", "revision": 9}')).*
                  FROM scheduled_messages AS s WHERE schedule_id = 'chat.close:cnv_free:3'"""
LOOP = "('ord_free_no_more', 'loop', NULL, 'loop', 'suspense', 'suspense', 1, 'EUR', now())"
OLD_WORD = """
INSERT INTO chat_interventions
SELECT conversation_id, revision - 1, 'withdrawn', 'ord_free', now(), NULL, 'Ada', 'overtaken', now() FROM conversations
"""
NO_TIME_CHECK = "ALTER TABLE scheduled_messages DROP CONSTRAINT scheduled_messages_check"

# What was done to the data, which check tells of it, and of what it tells.
BREAKS: list[tuple[str, str, Sequence[str]]] = [
    ("i1_no_more_than_captured", "ord_refunded", [f"UPDATE refunds SET amount_minor = 4501 WHERE {CARD}"]),
    ("i1_no_more_than_captured", "ord_refunded", [f"UPDATE refunds SET currency = 'USD' WHERE {CARD}"]),
    ("i1_no_more_than_captured", "ord_pending", ["DROP INDEX refunds_one_live", f"{TWIN} WHERE state = 'pending'"]),
    ("i1_all_back_once_told", "ord_refunded", [f"UPDATE refunds SET amount_minor = 4499 WHERE {CARD}"]),
    ("i1_all_back_once_told", "ord_refunded", [f"DELETE FROM refunds WHERE {CARD}"]),
    ("i1_told_once_all_is_back", "ord_refunded", ["UPDATE orders SET refunded_at = NULL"]),
    ("i1_told_once_all_is_back", "ord_free", ["UPDATE orders SET refunded_at = NULL"]),
    ("i1_refunds_of_tenders", "ord_refunded", [f"UPDATE refunds SET tender_id = 'tnd_9' WHERE {CARD}"]),
    ("i1_refunds_of_tenders", "ord_refunded", [f"UPDATE refunds SET reference = 'pi_other' WHERE {CARD}"]),
    ("i2_one_live_refund", "ord_refunded", ["DROP INDEX refunds_one_live", f"{TWIN} WHERE {CARD}"]),
    (
        "i3_transfers_sum_to_zero",
        "ord_free_no_more",
        [
            "ALTER TABLE ledger_transfers DROP CONSTRAINT ledger_transfers_check",
            f"INSERT INTO ledger_transfers VALUES {LOOP}",
        ],
    ),
    (
        "i5_refunded_and_paid",
        "ord_refunded",
        ["INSERT INTO payouts VALUES ('pay_1', 'ord_refunded', 'sel_0', 1, 'EUR', now(), true, 'completed', now())"],
    ),
    ("i3_escrow", "escrow:ord_pending", ["DELETE FROM ledger_transfers WHERE kind = 'captured'"]),
    ("i3_escrow", "escrow:ord_refunded", ["DELETE FROM ledger_transfers WHERE kind = 'refund_requested'"]),
    ("i3_lines_agree_with_state", "rfd_", ["DELETE FROM ledger_transfers WHERE kind = 'refund_settled'"]),
    ("i3_lines_agree_with_state", "rfd_", [f"UPDATE refunds SET state = 'bounced' WHERE {CARD}"]),
    ("i3_lines_agree_with_state", "rfd_", ["DELETE FROM ledger_transfers WHERE kind = 'refund_requested'"]),
    ("i3_lines_agree_with_state", "rfd_", [f"{LINE} AND order_id = 'ord_pending'"]),
    ("i3_lines_agree_with_state", "rfd_", [f"{LINE} AND order_id = 'ord_closed'"]),
    (
        "i3_lines_agree_with_state",  # a wallet's credit that no claim allowed
        "rfd_",
        [
            "UPDATE refunds SET state = 'requested', settled_at = NULL WHERE provider = 'wallet'",
            "DELETE FROM refund_attempts",
        ],
    ),
    (
        "i3_lines_agree_with_refund",
        "ord_refunded",
        ["UPDATE ledger_transfers SET credit_account = 'wallet:cli_9' WHERE kind = 'refund_settled'"],
    ),
    ("i3_lines_agree_with_refund", "ord_bounced", ["UPDATE ledger_transfers SET amount_minor = amount_minor + 1"]),
    ("i3_lines_agree_with_refund", "ord_pending", ["UPDATE ledger_transfers SET refund_id = 'rfd_none'"]),
    ("i4_due_tenders_have_refunds", "ord_stalled", ["DELETE FROM refunds WHERE order_id = 'ord_stalled'"]),
    ("i4_escrow_is_opened", "ord_bounced", ["DELETE FROM ledger_transfers WHERE kind = 'refunded_before'"]),
    ("i4_escrow_is_opened", "ord_free", ["UPDATE ledger_transfers SET order_id = 'ord_free'"]),
    (
        "i6_never_early",
        "chat.close:cnv_closed:3",
        [NO_TIME_CHECK, "UPDATE scheduled_messages SET fired_at = due_at - interval '1 ms' WHERE fired_at > due_at"],
    ),
    (
        "i6_never_early",
        "chat.close:cnv_closed:3",
        ["UPDATE scheduled_messages SET firing_since = due_at - '1 ms'::interval"],
    ),
    ("i6_close_is_scheduled", "cnv_free", ["DELETE FROM scheduled_messages WHERE schedule_id LIKE 'chat.close:%'"]),
    ("i6_close_is_scheduled", "cnv_free", ["UPDATE scheduled_messages SET state = 'withdrawn'"]),
    ("i6_close_is_scheduled", "cnv_free", ["UPDATE scheduled_messages SET due_at = due_at - interval '1 s'"]),
    ("i6_close_is_scheduled", "cnv_free", ["UPDATE conversations SET close_at = NULL, scheduled_revision = NULL"]),
    (
        "i6_close_is_scheduled",
        "cnv_free",
        [
            "UPDATE conversations SET close_at = NULL, scheduled_revision = NULL",
            OLD_WORD,
        ],
    ),
    (
        "i6_close_is_scheduled",
        "cnv_free",
        ["UPDATE conversations SET placed_order = 'ord_2', placed_at = cancelled_at + interval '1 s'"],
    ),
    ("i6_one_close", "cnv_free", [LATE_CLOSE]),
    ("i6_one_close", "cnv_outlived", ["UPDATE scheduled_messages SET state = 'waiting' WHERE state = 'withdrawn'"]),
    ("i6_cancellations_reach_chats", "ord_free", ["DELETE FROM conversations WHERE conversation_id = 'cnv_free'"]),
    ("i6_cancellations_reach_chats", "ord_free", ["UPDATE conversations SET cancelled_at = '2020-01-01Z'"]),
    ("i7_seq_gapless", "sel_1", ["DELETE FROM seller_outcomes WHERE seq = 2"]),
    ("i7_seq_gapless", "sel_1", ["UPDATE sellers SET seq = seq + 1"]),
    ("i7_seq_gapless", "sel_1", ["DELETE FROM sellers"]),
    ("i7_outcomes_agree_with_orders", "ord_completed", ["UPDATE seller_outcomes SET outcome = 'accepted'"]),
    ("i7_outcomes_agree_with_orders", "ord_early", ["UPDATE seller_outcomes SET seller_id = 'sel_' || order_id"]),
    ("i7_outcomes_agree_with_orders", "ord_late", ["UPDATE seller_outcomes SET replaces_outcome = NULL"]),
    ("i7_every_end_counts", "ord_early", ["UPDATE orders SET counted_close = NULL, counted_close_at = NULL"]),
    ("i7_every_end_counts", "ord_early", ["UPDATE orders SET counted_close = 'cancelled_after_acceptance'"]),
    ("i8_transitions", "rfd_", [f"UPDATE refunds SET state = 'requested', revision = revision + 1 WHERE {CARD}"]),
    ("i8_transitions", "rfd_", ["UPDATE refund_steps SET state = 'requested' WHERE state = 'succeeded'"]),
    ("i8_transitions", "rfd_", ["UPDATE refund_steps SET state_before = 'pending' WHERE state = 'succeeded'"]),
    ("i8_transitions", "rfd_", ["DELETE FROM refund_steps"]),
    ("i3_under_way", "ord_pending", ["DELETE FROM ledger_transfers WHERE kind = 'refund_requested'"]),
    ("i3_under_way", "ord_bounced", ["DELETE FROM ledger_transfers WHERE kind = 'refund_bounced'"]),
    (
        "i9_uncertain_in_time",
        "rfd_",
        ["UPDATE refunds SET state_since = now() - interval '5 days 1 hour' WHERE state = 'uncertain'"],
    ),
    ("i9_something_moves_it", "rfd_", ["DELETE FROM scheduled_messages WHERE schedule_id LIKE 'refund:%'"]),
    ("i9_something_moves_it", "rfd_", ["UPDATE scheduled_messages SET state = 'withdrawn'"]),
    (
        "i9_something_moves_it",  # a success is audited for a while
        "rfd_",
        ["DELETE FROM scheduled_messages WHERE subject IN (SELECT refund_id FROM refunds WHERE state = 'succeeded')"],
    ),
    (
        "i9_something_moves_it",  # somebody waits for a gate to open
        "rfd_",
        ["UPDATE refunds SET gate = 'redirect' WHERE state = 'needs_review'"],
    ),
]


async def test_a_healthy_database_breaks_nothing(populated_shared: str) -> None:
    report = await verify(settings_for(populated_shared))
    assert report.violations == []
    assert report.ok
    assert report.counts == {
        "orders": 15,
        "cancellations": 12,
        "refunds": {"pending": 1, "requested": 1, "succeeded": 7, "uncertain": 1, "needs_review": 2},
        "parked_open": 2,
        "chats_closed": 1,
        "sellers": 3,
        "transfers": 36,
    }


async def test_an_empty_database_breaks_nothing(database_url: str) -> None:
    report = await verify(settings_for(database_url))
    assert report.ok
    assert report.counts["refunds"] == {}


@pytest.mark.parametrize(
    ("check", "subject", "statements"), BREAKS, ids=[f"{place}-{one[0]}" for place, one in enumerate(BREAKS)]
)
async def test_what_is_broken_is_told(
    populated_shared: str, check: str, subject: str, statements: Sequence[str]
) -> None:
    async with broken(populated_shared, *statements) as connection:
        found = await check_tables(connection, settings_for(populated_shared))
    invariant, _, holds_to = check.partition("_")
    violations = found[invariant.upper(), holds_to.replace("_", " ")]
    assert any(one.subject.startswith(subject) for one in violations), found
    assert all(one.invariant == invariant.upper() and one.detail for one in violations)


def test_every_check_is_seen_to_find_something() -> None:
    assert {f"verify_{check}" for check, _, _ in BREAKS} == set(names("verify_i"))


async def test_a_check_tells_of_a_thousand_at_most(populated: str) -> None:
    many = """INSERT INTO seller_outcomes SELECT 'sel_x', n * 2, 'ord_x', 'accepted', now(), 'accepted', now()
                FROM generate_series(1, 1500) AS n"""
    each = "INSERT INTO sellers SELECT 'sel_' || n, 7 FROM generate_series(100, 1700) AS n"
    await break_rows(populated, many, each)
    report = await verify(settings_for(populated))
    assert len([one for one in report.violations if one.invariant == "I7"]) == 1000


async def test_it_is_right_while_workers_run(database_url: str) -> None:
    done = asyncio.Event()

    async def verify_again_and_again() -> list[Report]:
        reports: list[Report] = []
        while not done.is_set() or not reports:
            reports.append(await verify(settings_for(database_url)))
        return reports

    verifying = asyncio.create_task(verify_again_and_again())
    async with Feed(database_url, script, policy=POLICY) as feed:
        for number in range(60):
            two = (tender(reference="pi_good"), tender("tnd_2", provider="wallet", reference="wal_1"))
            await feed.take(placement(f"n{number}"), cancellation(f"n{number}", *two), acceptance(f"n{number}"))
    done.set()
    reports = await verifying
    assert [report.violations for report in reports] == [[]] * len(reports)
    assert len({report.counts["transfers"] for report in reports}) > 1, "it looked while things changed"
