"""The dashboard's search: one exact id leads to its page, several are listed, and each is found by an index."""

from typing import Any

import asyncpg
import pytest
from kit.feed import rows_of
from kit.ops_pages import visiting
from kit.population import settings_for

from workers.store.queries import sql

_ARN = "74000000000000123456789"


async def one(url: str, query: str) -> Any:
    """The first column of one row."""
    return (await rows_of(url, query))[0][0]


async def leads_to(url: str, text: str) -> str:
    """Where the search goes, or the page that it shows instead."""
    async with visiting(settings_for(url)) as visit:
        answer = await visit.get(f"/find?q={text}")
    return answer.headers["location"] if answer.status == 303 else answer.text


async def test_an_order_a_conversation_and_a_seller_lead_to_their_pages(populated_shared: str) -> None:
    assert await leads_to(populated_shared, "%20ord_pending%20") == "/orders/ord_pending"
    assert await leads_to(populated_shared, "cnv_pending") == "/orders/ord_pending#chat"
    assert await leads_to(populated_shared, "sel_1") == "/sellers/sel_1"


async def test_every_name_of_a_refund_leads_to_it_on_its_order(populated_shared: str) -> None:
    refund_id = await one(populated_shared, "SELECT refund_id FROM refunds WHERE order_id = 'ord_pending'")
    page = f"/orders/ord_pending#refund-{refund_id}"
    assert await leads_to(populated_shared, refund_id) == page
    assert await leads_to(populated_shared, "re_ord_pending_tnd_1") == page, "as the provider calls it"
    assert await leads_to(populated_shared, "8AC_pends") == page, "by its payment"


async def test_a_parked_message_leads_to_itself_and_names_its_order(populated_shared: str) -> None:
    parked_id = await one(populated_shared, "SELECT parked_id FROM parked_messages WHERE order_id = 'ord_refunded'")
    assert await leads_to(populated_shared, parked_id) == f"/parked/{parked_id}"


async def test_an_id_of_several_things_lists_them_all(populated_shared: str) -> None:
    told = await leads_to(populated_shared, "pi_1_good")
    for order in ("ord_refunded", "ord_late", "ord_early", "ord_outlived", "ord_closed"):
        assert order in told
    assert "reference at the bank" not in told


@pytest.mark.parametrize("text", ["nothing_like_it", "", "%3Cscript%3E", "x" * 301, "%00"])
async def test_what_nothing_is_called_is_said_to_be_unknown(populated_shared: str, text: str) -> None:
    told = await leads_to(populated_shared, text)
    assert ("Nothing has this id" if text else "Type an id") in told
    assert "<script>" not in told


async def test_the_bank_s_reference_finds_the_card_refund_whoever_told_it(populated: str) -> None:
    refund_id = await one(populated, "SELECT refund_id FROM refunds WHERE order_id = 'ord_late'")
    await rows_of(
        populated,
        """INSERT INTO refund_observations (refund_id, message_id, attempt, outcome, via, message, observed_at,
             recorded_at, state_after, revision_after)
           VALUES ($1, 'msg_1', 1, 'succeeded', 'webhook', $2, now(), now(), 'succeeded', 2),
                  ($1, 'msg_2', 1, 'succeeded', 'look_up', $2, now(), now(), 'succeeded', 2) RETURNING 1""",
        refund_id,
        f"arn={_ARN} type=refund",
    )
    assert await leads_to(populated, _ARN) == f"/orders/ord_late#refund-{refund_id}"


async def test_a_payout_a_dispute_and_an_action_lead_to_where_they_are_told(populated: str) -> None:
    refund_id = await one(populated, "SELECT refund_id FROM refunds WHERE order_id = 'ord_pending'")
    await rows_of(
        populated,
        """WITH p AS (INSERT INTO payouts VALUES ('pay_1', 'ord_pending', 'sel_1', 100, 'EUR', now(), false,
                        'order_cancelled', now())),
                d AS (INSERT INTO disputes VALUES ('paypal', 'PP-D-1', '8AC_pends', 'OPEN', true, now()))
           INSERT INTO manual_actions (action_id, refund_id, order_id, kind, revision, actor, reason, asked_at,
             needs_second) VALUES ('act_1', $1, 'ord_pending', 'look_up', 2, 'ann', 'why', now(), false) RETURNING 1""",
        refund_id,
    )
    assert await leads_to(populated, "pay_1") == "/orders/ord_pending#payouts"
    assert await leads_to(populated, "PP-D-1") == "/orders/ord_pending#disputes"
    assert await leads_to(populated, "act_1") == "/actions/act_1"


async def test_no_part_of_the_search_reads_a_whole_table(populated_shared: str) -> None:
    connection = await asyncpg.connect(populated_shared)
    try:
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        plan = await connection.fetch(f"EXPLAIN {sql('find_by_id')}", "x", 20)
    finally:
        await connection.close()
    told = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in told
    assert "Index Cond" in told
    assert told.count("Index Cond") >= told.count("Index Scan") + told.count("Index Only Scan"), (
        "no index is read whole"
    )
