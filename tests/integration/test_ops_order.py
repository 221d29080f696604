"""The dashboard's page of an order: every section of its story, with links, and nothing that is personal."""

import asyncpg
from kit.feed import rows_of
from kit.ops_pages import visiting
from kit.population import ago, settings_for
from kit.reviewing import REASON, Review

from workers.insight.story import MOST_ROWS, tell_story, tell_story_on

_SECTIONS = ("refunds", "facts", "disputes", "chat", "ledger", "payouts", "notices", "actions", "rates", "parked")


async def page(url: str, name: str, language: str = "en", role: str = "viewer") -> str:
    """The page of `ord_<name>`."""
    async with visiting(settings_for(url)) as visit:
        visit.become(language=language, role=role)
        answer = await visit.get(f"/orders/ord_{name}")
    assert answer.status == 200
    return answer.text


async def test_every_order_there_is_has_a_page_with_every_section(populated_shared: str) -> None:
    names = [row[0][4:] for row in await rows_of(populated_shared, "SELECT order_id FROM orders WHERE true")]
    for name in [*names, "unread"]:
        for language in ("en", "fr"):
            told = await page(populated_shared, name, language)
            assert all(f'<h2 id="{section}">' in told for section in (*_SECTIONS, "timeline")), name
            assert "Jane Doe" not in told, "why a client cancelled is personal"


async def test_a_refunded_order_shows_money_ids_answers_deadline_and_rates(populated_shared: str) -> None:
    told = await page(populated_shared, "refunded")
    refunds = await rows_of(populated_shared, "SELECT * FROM refunds WHERE order_id = 'ord_refunded'")
    for one in refunds:
        assert f'id="refund-{one["refund_id"]}"' in told
        assert one["idempotency_key"] in told
        assert f'<a href="#refund-{one["refund_id"]}">{one["refund_id"]}</a>' in told, "the timeline links to it"
    assert "45.00 EUR" in told
    assert "re_ord_refunded_tnd_1" in told
    assert '<a href="/chats/cnv_refunded">cnv_refunded</a> closes on' in told
    balance = 'escrow:ord_refunded</th><td data-label="Balance" class="number"><div>0.00 EUR'
    assert balance in told, "each account's balance"
    assert "The accounts balance." in told
    assert '<a href="/sellers/sel_2">' in told
    assert "cancelled after acceptance" in told
    (parked,) = await rows_of(populated_shared, "SELECT parked_id FROM parked_messages WHERE order_id = 'ord_refunded'")
    assert f'<a href="/parked/{parked[0]}">' in told


async def test_the_story_is_told_in_the_language_of_the_page(populated_shared: str) -> None:
    english, french = await page(populated_shared, "refunded"), await page(populated_shared, "refunded", "fr")
    for told, said in (
        ("by client (in progress); 50.00 EUR captured", "par client (en cours)\N{NO-BREAK SPACE}; 50,00 EUR encaissés"),
        ("50.00 EUR went back", "50,00 EUR rendus"),
        ("was asked for (revision", "était demandé (révision"),
    ):
        assert (told in english, said in english) == (True, False), told
        assert (told in french, said in french) == (False, True), said


async def test_other_currencies_keep_their_decimals_and_answers_their_debug_ids(populated_shared: str) -> None:
    assert "1.005 KWD" in await page(populated_shared, "stalled")
    told = await page(populated_shared, "retried")
    assert "700 JPY" in told
    assert "debug id f00" in told
    assert "rate_limit" in told


async def test_rates_are_told_as_they_would_be_without_the_order(populated: str) -> None:
    await rows_of(
        populated,
        """INSERT INTO seller_shares SELECT n, '\\x90'::bytea, 0, true, 'p', now() FROM generate_series(0, 7) AS n
           RETURNING 1""",
    )
    told = await page(populated, "refunded")
    assert "Without it" in told
    assert "completion" in told


async def test_a_payout_that_was_refused_is_told_with_its_reason_and_the_notices_with_whom(populated: str) -> None:
    await rows_of(
        populated,
        """WITH n AS (INSERT INTO notices VALUES ('ntf_1', 'ord_pending', 'seller', 'refused', now()))
           INSERT INTO payouts VALUES ('pay_1', 'ord_pending', 'sel_1', 4500, 'EUR', now(), false, 'order_cancelled',
             now()) RETURNING 1""",
    )
    told = await page(populated, "pending")
    assert "pay_1" in told
    assert "payout.refused" in told
    assert "order_cancelled" in told
    assert "ntf_1" in told


async def test_what_people_asked_is_linked_and_why_they_did_is_not_shown(database_url: str) -> None:
    async with Review(database_url) as review:
        await review.begin()
        asked = await review.ask("redirect")
    told = await page(database_url, "one")
    assert f"/actions/{asked.action.action_id}" in told
    assert REASON not in told
    assert f"/refunds/{review.refund_id}/actions" not in told, "a viewer is offered nothing"
    assert f"/refunds/{review.refund_id}/actions" in await page(database_url, "one", role="operator")


async def test_an_order_that_nobody_ever_heard_of_has_no_page(populated_shared: str) -> None:
    async with visiting(settings_for(populated_shared)) as visit:
        for path in ("/orders/ord_nobody", "/orders/%3Cb%3E", "/orders/\x00", "/orders/" + "x" * 65):
            assert (await visit.get(path)).status == 404, path


async def test_the_command_and_the_page_are_told_the_same(populated_shared: str) -> None:
    connection = await asyncpg.connect(populated_shared)
    try:
        told = await tell_story_on(connection, "ord_bounced")
    finally:
        await connection.close()
    assert told == await tell_story(settings_for(populated_shared), "ord_bounced")
    assert told is not None
    assert told.timeline[0].at <= ago(minutes=0)


async def test_of_a_refund_that_was_looked_up_for_days_the_first_answers_are_shown(populated: str) -> None:
    await rows_of(
        populated,
        """INSERT INTO refund_observations (refund_id, message_id, attempt, outcome, via, observed_at, recorded_at,
             state_after, revision_after)
           SELECT r.refund_id, 'msg_' || n, 1, 'uncertain', 'look_up', now(), now(), 'uncertain', 2
             FROM refunds AS r, generate_series(1, $1::int) AS n WHERE order_id = 'ord_uncertain' RETURNING 1""",
        MOST_ROWS,
    )
    assert "There is more than 2,000 of one kind here" in await page(populated, "uncertain")
