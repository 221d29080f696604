"""What a person reads who is tired, mistypes, or comes while something is away: words that help, never a failure."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from kit.groups_seen import all_well, group, place, seen
from kit.ops_pages import Visit, visiting
from kit.population import settings_for
from kit.reviewing import Review

NOW = datetime.now(UTC)
GARBAGE = ("\x00", "%00", "x" * 300, "☃", "%", "'; --", "../..", "<script>", "-1", "9" * 30, "NaN", "٣", "1e309")
ADDRESSES = (
    "/orders/{}",
    "/chats/{}",
    "/parked/{}",
    "/actions/{}",
    "/refunds/{}/actions",
    "/consumers/{}",
    "/providers/{}",
    "/find?q={}",
    "/refunds?code={}",
    "/refunds?currency=EUR&from={}",
    "/refunds?after={}",
    "/parked?reason={}",
    "/parked?since={}",
    "/parked?after={}",
    "/parked-act?action=redriven&by=id&id={}",
    "/chats?after={}",
    "/timers?kind={}",
    "/audit?actor={}",
    "/audit?before={}",
)


@pytest.fixture
async def visit(populated_shared: str) -> AsyncIterator[Visit]:
    stopped = group("wallet", place(3, 9, NOW), members=())
    async with visiting(settings_for(populated_shared), seen(all_well(NOW, wallet=stopped))) as made:
        yield made


@pytest.mark.parametrize("address", ADDRESSES)
async def test_whatever_is_typed_is_answered_in_words(visit: Visit, address: str) -> None:
    for word in GARBAGE:
        answer = await visit.get(address.format(word))
        assert answer.status in {200, 303, 400, 404, 405}, (address, word)
        assert answer.status == 303 or "</html>" in answer.text


async def test_an_amount_that_cannot_be_read_is_said_beside_the_form_that_keeps_it(visit: Visit) -> None:
    for query in ("from=1.5", "currency=EUR&from=1.234", "currency=JPY&to=1.5", "currency=EUR&from=-3"):
        answer = await visit.get(f"/refunds?{query}")
        assert answer.status == 400
        assert "The amount can" in answer.text
        assert f'value="{query.rpartition("=")[2]}"' in answer.text, "what was typed is still there"
        assert "<table>" not in answer.text, "a list without the filter would look like the answer"
    assert "The amount can" not in (await visit.get("/refunds?currency=EUR&from=1")).text


async def test_an_error_says_what_and_where_to_go_on(visit: Visit) -> None:
    missing = (await visit.get("/orders/ord_nobody")).text
    assert "<h1>Not found</h1>" in missing
    assert "finds orders, refunds, chats" in missing
    visit.become(name="vera", role="viewer")
    refused = (await visit.get("/refunds/rfd_1/actions")).text
    assert "<h1>Not allowed</h1>" in refused
    assert "You are signed in as vera, whose role is viewer." in refused
    assert "be read: after." in (await visit.get("/refunds?after=yesterday")).text


async def test_what_moved_meanwhile_is_one_step_away(visit: Visit) -> None:
    answer = await visit.post("/providers/card/resume", reason="it is not paused")
    assert answer.status == 409
    assert "It is not paused." in answer.text
    assert '<a class="button" href="/providers/card">' in answer.text


async def test_the_sentence_says_how_much_money_a_stopped_consumer_holds(database_url: str) -> None:
    async with Review(database_url) as review:
        await review.begin()
    async with visiting(settings_for(database_url), seen(all_well(NOW))) as made:
        assert "Refunds that wait for a person: 1, since" in (told := (await made.get("/")).text)
        assert "). It holds 45.00 EUR." in told


async def test_under_a_pause_no_partition_that_waits_is_called_running(visit: Visit) -> None:
    waiting = group("card", place(3, 9, NOW), place(9, 9, partition=1))
    visit.watch.seen = seen(all_well(NOW, card=waiting))
    assert (await visit.get("/consumers/card")).text.count(">running<") == 3
    await visit.post("/providers/card/pause", reason="their status page is red")
    try:
        told = (await visit.get("/consumers/card")).text
    finally:
        await visit.post("/providers/card/resume", reason="it is green again")
    assert told.count(">running<") == 1, "the partition in which nothing waits"
    assert told.count(">provider paused<") == 2


async def test_that_nothing_was_done_yet_is_not_said_of_a_filter_that_fits_nothing(database_url: str) -> None:
    async with visiting(settings_for(database_url), seen(all_well(NOW))) as made:
        assert "Nobody has done anything yet." in (await made.get("/audit")).text
        assert "No entry fits." in (await made.get("/audit?actor=nobody")).text
