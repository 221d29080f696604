"""The overview and the pages of consumers on a database with orders in every state."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest
from kit.database import set_clock
from kit.groups_seen import all_well, group, place, seen
from kit.ops_pages import Visit, visiting
from kit.population import settings_for
from structlog.testing import capture_logs

from workers.insight.overview import KEPT, keep_sample, read_figures
from workers.ops.assembly import assemble
from workers.ops.watching import MOST_LISTENERS, Seen, TooManyError
from workers.store.queries import sql

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def well() -> Seen:
    return seen(all_well(datetime.now(UTC)))


@pytest.fixture
async def visit(populated: str) -> AsyncIterator[Visit]:
    async with visiting(settings_for(populated), well()) as made:
        yield made


@pytest.fixture
async def there(populated: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(populated)
    yield connection
    await connection.close()


# ---------------------------------------------------------------- what is open


async def test_figures_are_what_the_tables_say(there: Any) -> None:
    figures = await read_figures(there)
    rows = await there.fetch(
        """SELECT currency, count(*), sum(amount_minor)::bigint FROM refunds
            WHERE state IN ('requested', 'pending', 'declined', 'retrying', 'uncertain', 'bounced', 'needs_review')
            GROUP BY currency"""
    )
    assert figures.money() == {currency: minor for currency, _, minor in rows}
    assert figures.refunds() == sum(count for _, count, _ in rows) > 3
    assert figures.refunds("uncertain") == 1
    assert figures.parked == await there.fetchval("SELECT count(*) FROM parked_messages WHERE status = 'parked'") > 0
    assert figures.oldest_at() == await there.fetchval(
        "SELECT min(first_issued_at) FROM refunds WHERE state NOT IN ('succeeded', 'redirected', 'settled_elsewhere')"
    )
    assert figures.cancellations == await there.fetchval("SELECT count(*) FROM orders WHERE cancelled_at IS NOT NULL")


async def test_no_figure_reads_a_table_from_end_to_end(there: Any) -> None:
    """With so few rows PostgreSQL would rather read them all: it is told that this costs a lot."""
    await there.execute("SET enable_seqscan = off")
    day = timedelta(days=1)
    questions: dict[str, tuple[tuple[Any, ...], str]] = {
        # the arguments, and what must be in the plan: a condition on an index, or one that holds only what is open
        "read_unsettled": ((), "Index Cond: (state = ANY"),
        "read_parked_open": ((10,), "using parked_open"),
        "read_chats_due": ((day, 10), "Index Cond: (due_at <"),
        "read_timers_late": ((day,), "Index Cond: (due_at <"),
        "read_samples": ((day,), "Index Cond: (at >="),
    }
    for name, (arguments, expected) in questions.items():
        plan = "\n".join(row[0] for row in await there.fetch("EXPLAIN " + sql(name), *arguments))
        assert "Seq Scan" not in plan, f"{name}\n{plan}"
        assert expected in plan, f"{name}\n{plan}"


async def test_chats_due_are_those_of_the_next_day_that_nothing_withdrew(there: Any) -> None:
    await there.execute(
        "UPDATE scheduled_messages SET due_at = annul_now() + interval '2 days' WHERE state = 'waiting'"
    )
    closes = "SELECT schedule_id FROM scheduled_messages WHERE state = 'waiting' AND schedule_id LIKE 'chat.close:%'"
    soon, late, gone = [row[0] for row in await there.fetch(closes)][:3]
    move = "UPDATE scheduled_messages SET due_at = annul_now() + $2::interval WHERE schedule_id = $1"
    await there.execute(move, soon, timedelta(hours=23))
    await there.execute(move, late, timedelta(minutes=-5))
    await there.execute("UPDATE scheduled_messages SET state = 'withdrawn' WHERE schedule_id = $1", gone)
    figures = await read_figures(there)
    assert (figures.chats, figures.chats_overdue) == (2, 1)
    assert figures.timers_late_since == figures.next_chat_at
    assert figures.timers_late_since is not None


# ---------------------------------------------------------------- samples


async def test_of_two_dashboards_one_writes_a_minute_and_what_is_old_goes(there: Any) -> None:
    await set_clock(there, NOW)
    await keep_sample(there, await read_figures(there), {"card": 1.5, "wallet": None})
    await keep_sample(there, await read_figures(there), {"card": 9.0})
    await set_clock(there, NOW + timedelta(minutes=1))
    await keep_sample(there, await read_figures(there), None)
    one, two = (await read_figures(there)).samples
    assert (one.at, one.lag_s) == (NOW, {"card": 1.5, "wallet": None})
    assert (two.at, two.lag_s) == (NOW + timedelta(minutes=1), None), "Kafka was away: not known, never 0"
    assert one.waiting_minor == (await read_figures(there)).money()
    await set_clock(there, NOW + KEPT + timedelta(minutes=1))
    await keep_sample(there, await read_figures(there), {})
    kept = await there.fetch("SELECT at FROM ops_samples ORDER BY at")
    assert [row["at"] for row in kept] == [NOW + timedelta(minutes=1), NOW + KEPT + timedelta(minutes=1)]


# ---------------------------------------------------------------- pages


async def test_the_overview_says_the_worst_and_links_every_card(visit: Visit) -> None:
    page = await visit.get("/")
    assert page.status == 200
    # What is worst depends on how long the others have waited already.
    assert '<p class="verdict bad"><a href=' in page.text
    assert '<a href="/refunds?state=needs_review">Refunds that wait for a person' in page.text
    for link in ("/consumers/cancellations", "/refunds", "/consumers", "/parked", "/chats"):
        assert f'class="card" href="{link}"' in page.text
    assert "EUR" in page.text


async def test_the_part_that_changes_comes_without_the_rest(visit: Visit) -> None:
    for path in ("/", "/consumers", "/consumers/card", "/consumers/timers"):
        whole, part = await visit.get(path), await visit.get(path, part="1")
        assert "<html" in whole.text
        assert "<html" not in part.text
        assert f'data-live="{path}"' in whole.text


@pytest.mark.parametrize("path", ["/", "/consumers", "/consumers/card", "/consumers/timers", "/providers/card"])
async def test_every_page_is_drawn_in_french_and_for_who_only_looks(visit: Visit, path: str) -> None:
    visit.become(language="fr", role="viewer")
    page = await visit.get(path)
    assert page.status == 200
    assert '<html lang="fr">' in page.text
    assert 'name="reason"' not in page.text


async def test_while_kafka_is_away_no_page_says_nought(visit: Visit) -> None:
    for nothing in (Seen(), Seen(away_since=NOW, fault="KafkaConnectionError")):
        visit.watch.seen = nothing
        assert "unknown" in (await visit.get("/")).text
        page = await visit.get("/consumers", part="1")
        assert page.text.count(">unknown<") >= 9 * 4
        assert "running" not in page.text
    assert "Kafka does not answer since 2026-11-23 03:00:00 UTC (KafkaConnectionError)" in page.text


async def test_a_consumers_partitions_come_a_hundred_at_a_time(visit: Visit) -> None:
    many = [place(1, 1, partition=number) for number in range(150)]
    visit.watch.seen = seen(all_well(datetime.now(UTC), card=group("card", *many)))
    first = await visit.get("/consumers/card", part="1")
    assert first.text.count('<th scope="row" class="code">orders.events.v1') == 100
    assert "/consumers/card?after=orders.events.v1%3A99" in first.text
    second = await visit.get("/consumers/card?after=orders.events.v1%3A99", part="1")
    assert second.text.count('<th scope="row" class="code">orders.events.v1') == 50
    assert "after=" not in second.text
    assert (await visit.get("/consumers/card?after=x")).status == 400
    assert (await visit.get("/consumers/nobody")).status == 404
    assert (await visit.get("/providers/wallet")).status == 404


async def test_pausing_and_resuming_by_forms(visit: Visit, there: Any) -> None:
    done = await visit.post("/consumers/card/pause", reason="a bad release")
    assert (done.status, done.headers["location"]) == (303, "/consumers/card")
    page = await visit.get("/consumers/card")
    assert "Paused by Ada since" in page.text
    assert "a bad release" in page.text
    assert 'action="/consumers/card/resume"' in page.text
    assert "was paused by Ada" in (await visit.get("/")).text
    assert (await visit.post("/consumers/card/pause", reason="again")).status == 409
    assert (await visit.post("/consumers/card/resume", reason="")).status == 400
    assert (await visit.post("/consumers/card/resume", reason="fixed")).status == 303
    assert 'action="/consumers/card/pause"' in (await visit.get("/consumers/card")).text
    assert (await visit.post("/providers/paypal/pause", reason="they asked")).status == 303
    assert "paused by a person" in (await visit.get("/consumers")).text
    assert "provider paused" in (await visit.get("/consumers/paypal")).text
    assert (await visit.post("/providers/paypal/resume", reason="they are back")).status == 303
    told = await there.fetch("SELECT what, subject FROM audit_entries ORDER BY seq")
    assert [tuple(row) for row in told] == [
        ("consumer.paused", "card"),
        ("consumer.resumed", "card"),
        ("provider.paused", "paypal"),
        ("provider.resumed", "paypal"),
    ]


async def test_who_only_looks_pauses_nothing(visit: Visit, there: Any) -> None:
    visit.as_("viewer")
    for path in ("/consumers/card/pause", "/providers/card/pause"):
        assert (await visit.post(path, reason="why not")).status == 403
    assert await there.fetchval("SELECT count(*) FROM audit_entries") == 0


async def test_what_a_person_wrote_is_text_and_never_markup(visit: Visit) -> None:
    await visit.post("/consumers/card/pause", reason="<script>alert(1)</script>")
    page = await visit.get("/consumers/card")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


# ---------------------------------------------------------------- news


async def test_news_come_with_each_look_and_end_with_the_process(visit: Visit) -> None:
    listening = visit.watch.listen()
    looks = listening.looks()
    first = asyncio.ensure_future(anext(looks))
    await asyncio.sleep(0)
    visit.watch._tell()
    assert (await first)["event"] == "look"
    last = asyncio.ensure_future(anext(looks, None))
    await asyncio.sleep(0)
    visit.watch.close()
    assert await last is None


async def test_a_place_that_was_left_is_free_again_and_no_more_than_fifty_listen(visit: Visit) -> None:
    places = [visit.watch.listen() for _ in range(MOST_LISTENERS)]
    with pytest.raises(TooManyError):
        visit.watch.listen()
    assert (await visit.get("/events")).status == 503
    places[0].leave()
    places[0].leave()
    visit.watch.listen()
    with pytest.raises(TooManyError):
        visit.watch.listen()


async def test_the_worker_serves_says_what_it_does_not_know_and_lets_listeners_go_when_it_stops(
    database_url: str,
) -> None:
    settings = settings_for(database_url, kafka_bootstrap_servers="127.0.0.1:9", ops_port=0)
    ops = assemble(settings)
    with capture_logs() as told:
        running = asyncio.create_task(ops.run())
        await ops.ready.wait()
    (port,) = [one["port"] for one in told if one["event"] == "ops.served"]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as browser:
        async with browser.get("/events") as news, asyncio.timeout(30):
            assert news.headers["content-type"].startswith("text/event-stream")
            assert (await news.content.readline()).startswith(b"event: look")
            async with browser.get("/", headers={"accept-language": "en"}) as page:
                assert "Kafka does not answer" in await page.text()
            ops.stop()
            await news.read()
        await running
