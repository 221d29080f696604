"""The dashboard's list of refunds: filters, order, pages, and what waits for a second person."""

import re
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from kit.feed import rows_of
from kit.ops_pages import Visit, visiting
from kit.population import settings_for
from kit.reviewing import REASON, Review

from workers.insight.refund_search import DONE, MOST_LOOKED_AT, OPEN, PAGE
from workers.store.queries import sql

_ROW = re.compile(r'<th scope="row"><a class="code" href="/orders/(ord_[^"#]+)#refund-([^"]+)">')
_NEXT = re.compile(r'rel="next" href="([^"]+)"')


async def listed(visit: Visit, query: str = "") -> list[str]:
    """The orders of the refunds that a page lists, from above."""
    answer = await visit.get(f"/refunds{query}")
    assert answer.status == 200
    return [order for order, _ in _ROW.findall(answer.text)]


async def many(url: str, count: int, **changes: Any) -> None:
    """Further refunds of `ord_refunded`: each a minute longer in its state than the one before."""
    fields = {"state": "uncertain", "code": "timeout", "settled_at": None, **changes}
    await rows_of(
        url,
        """INSERT INTO refunds (refund_id, order_id, tender_id, client_id, provider, reference, amount_minor, currency,
             idempotency_key, state, attempt, look_up_no, first_issued_at, issued_at, state_since, give_up_at, revision,
             code, settled_at)
           SELECT 'rfd_' || lpad(n::text, 6, '0'), 'ord_refunded', 'x_' || n, 'cli', 'card', 'pi_x' || n, n, 'EUR',
                  'k_' || n, $2, 1, 1, now(), now(), '2026-01-01'::timestamptz - n * interval '1 minute', now(), 1,
                  $3, $4
             FROM generate_series(1, $1::int) AS n RETURNING 1""",
        count,
        fields["state"],
        fields["code"],
        fields["settled_at"],
    )


async def test_what_is_not_done_is_listed_with_state_money_and_a_way_to_the_order(populated_shared: str) -> None:
    async with visiting(settings_for(populated_shared)) as visit:
        answer = await visit.get("/refunds")
        assert await listed(visit)
        assert set(await listed(visit)) == {
            "ord_pending",
            "ord_uncertain",
            "ord_declined",
            "ord_stalled",
            "ord_bounced",
        }
    for word in ("1.005 KWD", "30.00 EUR", "needs review", "pending at the provider", "expired_or_canceled_card"):
        assert word in answer.text
    refunds = await rows_of(populated_shared, "SELECT refund_id FROM refunds WHERE order_id = 'ord_pending'")
    assert f'href="/orders/ord_pending#refund-{refunds[0][0]}"' in answer.text


@pytest.mark.parametrize(
    ("query", "orders"),
    [
        ("?state=pending", {"ord_pending"}),
        ("?provider=paypal", {"ord_pending"}),
        ("?code=lost_or_stolen_card", {"ord_bounced"}),
        ("?currency=KWD", {"ord_stalled"}),
        ("?currency=KWD&from=1.005&to=1.005", {"ord_stalled"}),
        ("?currency=KWD&from=1.006", set()),
        ("?currency=EUR&to=30,00", {"ord_bounced"}),
        ("?age=7d", set()),
        ("?state=succeeded&currency=JPY", {"ord_retried"}),
        ("?state=succeeded&currency=JPY&from=701", set()),
        ("?state=redirected", set()),
    ],
)
async def test_each_filter_leaves_what_it_says(populated_shared: str, query: str, orders: set[str]) -> None:
    async with visiting(settings_for(populated_shared)) as visit:
        assert set(await listed(visit, query)) == orders


@pytest.mark.parametrize(
    "query",
    [
        "?state=gone",
        "?provider=bank",
        "?from=10",
        "?currency=JPY&from=1.5",
        "?currency=EUR&to=-1",
        "?currency=EUR&to=1e9",
        "?currency=ABC",
        "?age=1s",
        "?after=yesterday",
        "?after=" + quote("2026-01-01T00:00:00~rfd"),
        "?code=%00",
    ],
)
async def test_what_can_t_be_read_is_refused(populated_shared: str, query: str) -> None:
    async with visiting(settings_for(populated_shared)) as visit:
        assert (await visit.get(f"/refunds{query}")).status == 400


async def test_pages_go_through_all_of_them_the_longest_in_their_state_first(populated: str) -> None:
    await many(populated, 2 * PAGE + 5)
    seen: list[str] = []
    async with visiting(settings_for(populated)) as visit:
        path: str | None = "/refunds?state=uncertain"
        while path is not None:
            text = (await visit.get(path)).text
            page = [refund for _, refund in _ROW.findall(text)]
            assert 0 < len(page) <= PAGE
            seen += page
            found = _NEXT.search(text)
            path = found[1].replace("&amp;", "&") if found else None
    (last,) = await rows_of(populated, "SELECT refund_id FROM refunds WHERE order_id = 'ord_uncertain'")
    assert seen == [f"rfd_{n:06}" for n in range(2 * PAGE + 5, 0, -1)] + [last[0]]


async def test_what_is_settled_is_listed_from_the_newest_on(populated: str) -> None:
    (moment,) = await rows_of(populated, "SELECT now()")
    await many(populated, PAGE + 1, state="succeeded", code=None, settled_at=moment[0])
    async with visiting(settings_for(populated)) as visit:
        first = (await visit.get("/refunds?state=succeeded")).text
        found = _NEXT.search(first)
        assert found is not None
        rest = (await visit.get(found[1].replace("&amp;", "&"))).text
    ids = [refund for _, refund in [*_ROW.findall(first), *_ROW.findall(rest)]]
    assert [one for one in ids if re.fullmatch(r"rfd_\d{6}", one)] == [f"rfd_{n:06}" for n in range(1, PAGE + 2)]
    assert not re.fullmatch(r"rfd_\d{6}", ids[0])


async def test_a_filter_that_fits_few_looks_through_a_bounded_number_and_can_go_on(populated: str) -> None:
    await many(populated, MOST_LOOKED_AT)
    query = "/refunds?state=uncertain&currency=EUR&from=45&to=45&code=none_such"
    async with visiting(settings_for(populated)) as visit:
        text = (await visit.get(query)).text
        assert "5,000 refunds were looked through" in text
        found = _NEXT.search(text)
        assert found is not None
        last = (await visit.get(found[1].replace("&amp;", "&"))).text
    assert "No refund fits." in last
    assert _NEXT.search(last) is None


async def test_what_waits_for_a_second_person_is_listed_without_why(database_url: str) -> None:
    async with Review(database_url) as review:
        await review.begin(captured_minor=50_001)
        asked = await review.ask("redirect")
    async with visiting(settings_for(database_url)) as visit:
        text = (await visit.get("/refunds")).text
    assert f'href="/actions/{asked.action.action_id}"' in text
    assert "500.01 EUR" in text
    assert REASON not in text


@pytest.mark.parametrize(("name", "states"), [("search_refunds_oldest", OPEN), ("search_refunds_newest", DONE[:1])])
async def test_the_list_is_read_in_the_order_of_an_index(populated: str, name: str, states: tuple[str, ...]) -> None:
    await many(populated, 20_000)
    connection = await asyncpg.connect(populated)
    try:
        await connection.execute("ANALYZE refunds")
        now = await connection.fetchval("SELECT now()")
        given = (list(states), now, "", now, None, None, None, None, None, PAGE + 1, PAGE + 1)
        told = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql(name)}", *given))
    finally:
        await connection.close()
    assert "refunds_in_state" in told
    assert "Seq Scan on refunds" not in told
