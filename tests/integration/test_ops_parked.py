"""The dashboard's pages of parked messages on a real database: groups, one closely, many put back or given up."""

import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest
from kit.feed import rows_of
from kit.ops_pages import Visit, visiting
from kit.parked import IN, ParkingLot, back

MANY = 500
ADD_MANY = """
INSERT INTO parked_messages (parked_id, topic_id, consumer_group, topic, partition, record_offset, key, value, headers,
                             reason, field, detail, stage, parked_at, status_at)
SELECT format('%s:3:%s', $1::text, n), 'topic', 'annul-cancellations', $1, 3, n, convert_to('ord_' || n, 'UTF8'),
       convert_to('{"reason": "Jane Doe"}', 'UTF8'), '\\x90', 'late_field', 'stage', 'it came too late', 'decide',
       annul_now() - n * interval '1 minute', annul_now()
  FROM generate_series($2::int, $3::int) AS n RETURNING parked_id
"""
FILTER = "action=redriven&reason=late_field"


@pytest.fixture
async def visit(lot: ParkingLot) -> AsyncIterator[Visit]:
    async with visiting(lot.settings) as visit:
        yield visit


async def many(lot: ParkingLot, first: int = 1, last: int = MANY) -> None:
    await rows_of(lot.url, ADD_MANY, IN, first, last)


async def in_status(lot: ParkingLot, status: str) -> int:
    return list((await lot.statuses()).values()).count(status)


async def audited(lot: ParkingLot) -> list[Any]:
    return await rows_of(lot.url, "SELECT actor, what, subject, detail FROM audit_entries ORDER BY seq")


def fields_of(page: str) -> dict[str, str]:
    """What the page's own form would send."""
    form = page[page.index('<form method="post" action="/parked-act">') :]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[: form.index("</form>")]))


async def test_open_messages_are_counted_by_reason_with_the_oldest_and_the_newest(
    lot: ParkingLot, visit: Visit
) -> None:
    await many(lot)
    page = (await visit.get("/parked")).text
    assert "502 messages wait for a person" in page
    assert re.search(r'href="/parked\?reason=late_field">late_field</a></th>\s*<td[^>]*><div>500<', page)
    visit.become(language="fr")
    assert "502 messages attendent une personne" in (await visit.get("/parked")).text


async def test_the_list_is_paged_by_place_and_filtered(lot: ParkingLot, visit: Visit) -> None:
    await many(lot)
    seen: list[str] = []
    link: str | None = "/parked?reason=late_field"
    while link:
        page = (await visit.get(link)).text
        seen += re.findall(r'<th scope="row"><a class="code" href="/parked/[^"]*">([^<]+)</a></th>\s*<td', page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        link = found[1].replace("&amp;", "&") if found else None
    assert [one.rpartition(":")[2] for one in seen if one.startswith(f"{IN}:3:")] == [str(n) for n in range(1, 501)]
    assert len(seen) == len({*seen})
    recent = (await visit.get("/parked?reason=late_field&since=10m")).text
    assert len(re.findall('name="id"', recent)) in (9, 10)
    assert "No message fits." in (await visit.get("/parked?topic=payouts.requested.v1")).text
    assert "No message fits." in (await visit.get("/parked?status=discarded")).text
    assert (await visit.get("/parked?status=gone")).status == HTTPStatus.BAD_REQUEST


async def test_one_message_is_shown_without_what_may_be_personal(lot: ParkingLot, visit: Visit) -> None:
    page = (await visit.get(f"/parked/{lot.other}")).text
    assert "contradicts_recorded" in page
    assert "&#34;order_id&#34;: &#34;ord_one&#34;" in page
    assert "Jane" not in page
    assert "4a 61 6e 65" not in page, "nor in hex"
    assert "··" in page
    junk = (await visit.get(f"/parked/{lot.junk}")).text
    assert "000000  ff ·· ·· ·· ··" in junk, "what is no text is shown as it is"
    assert "junk" not in junk.replace("evt_junk", "")
    assert (await visit.get("/parked/nothing:0:1")).status == HTTPStatus.NOT_FOUND


async def test_five_hundred_are_put_back_by_filter_after_a_look(lot: ParkingLot, visit: Visit) -> None:
    await many(lot)
    look = (await visit.get(f"/parked-act?{FILTER}")).text
    assert "500 messages match; 500 of them would be acted on now" in look
    assert len(re.findall(rf'<a class="code" href="/parked/{IN}:3:', look.replace("%3A", ":"))) == 10
    assert f"{IN}:3:500" in look, "the oldest are first"
    assert await in_status(lot, "redriven") == 0
    answer = await visit.post("/parked-act", **fields_of(look))
    assert answer.status == HTTPStatus.SEE_OTHER
    assert await in_status(lot, "redriven") == MANY
    assert await in_status(lot, "parked") == 2
    assert len(await lot.scheduled()) == MANY
    entries = await audited(lot)
    assert len(entries) == MANY
    assert {(one["actor"], one["what"]) for one in entries} == {("Ada", "parked.redriven")}
    after = (await visit.get(answer.headers["location"])).text
    assert "500 messages are put back" in after


async def test_it_is_refused_with_both_numbers_where_more_match_by_now(lot: ParkingLot, visit: Visit) -> None:
    await many(lot, 1, 20)
    fields = fields_of((await visit.get(f"/parked-act?{FILTER}")).text)
    await many(lot, 21, 23)
    answer = await visit.post("/parked-act", **fields)
    assert answer.status == HTTPStatus.CONFLICT
    assert "23 messages match now, 20 were seen" in answer.text
    assert await in_status(lot, "redriven") == 0
    assert not await audited(lot)


async def test_fewer_than_were_seen_are_no_obstacle(lot: ParkingLot, visit: Visit) -> None:
    await many(lot, 1, 20)
    fields = fields_of((await visit.get(f"/parked-act?{FILTER}")).text)
    await visit.post("/parked-act", action="redriven", by="id", id=f"{IN}:3:1", seen="1")
    assert (await visit.post("/parked-act", **fields)).status == HTTPStatus.SEE_OTHER
    assert await in_status(lot, "redriven") == 20


async def test_chosen_ones_are_given_up_with_a_reason_and_not_without(lot: ParkingLot, visit: Visit) -> None:
    look = (await visit.get(f"/parked-act?action=discarded&by=id&id={lot.junk}")).text
    fields = fields_of(look)
    assert fields["id"] == lot.junk
    refused = await visit.post("/parked-act", **fields, why="  ")
    assert refused.status == HTTPStatus.BAD_REQUEST
    assert "A reason is mandatory." in refused.text
    assert await in_status(lot, "discarded") == 0
    assert (await visit.post("/parked-act", **fields, why="nobody knows it")).status == HTTPStatus.SEE_OTHER
    assert (await lot.statuses())[lot.junk] == "discarded"
    (entry,) = await audited(lot)
    assert (entry["actor"], entry["what"], entry["subject"]) == ("Ada", "parked.discarded", lot.junk)
    assert "nobody knows it" in entry["detail"]
    assert "nobody knows it" in (await visit.get(f"/parked/{lot.junk}")).text
    nothing = await visit.get("/parked-act?action=discarded&by=id")
    assert (nothing.status, "Choose messages first." in nothing.text) == (HTTPStatus.BAD_REQUEST, True)


async def test_what_cannot_be_put_back_is_said_beforehand(lot: ParkingLot, visit: Visit) -> None:
    await rows_of(lot.url, ADD_MANY, "strange.v1", 1, 3)
    look = (await visit.get(f"/parked-act?{FILTER}")).text
    assert "3 messages match; 0 of them would be acted on now" in look
    assert "t be put back: no topic that Annul reads" in look
    assert 'method="post" action="/parked-act"' not in look


async def test_a_message_that_fails_again_shows_what_happened(lot: ParkingLot, visit: Visit) -> None:
    await back(lot)
    assert await lot.feed.fire() == 2
    again = next(one for one in await rows_of(lot.url, "SELECT * FROM parked_messages WHERE status = 'parked'"))
    page = (await visit.get(f"/parked/{again['parked_id']}")).text
    steps = re.findall(r"UTC</span> (.+?)\n(?:<a[^>]*>([^<]+)|<span)", page)
    assert [what.partition(":")[0].partition(" for")[0] for what, _ in steps] == ["parked", "redriven", "failed again"]
    assert steps[0][1] == steps[1][1] == again["earlier_parked_id"]
    first = (await visit.get(f"/parked/{again['earlier_parked_id']}")).text
    assert "failed again" in first
    assert again["parked_id"] in first
    assert ">again<" in (await visit.get("/parked")).text


async def test_a_viewer_reads_and_changes_nothing(lot: ParkingLot, visit: Visit) -> None:
    visit.as_("viewer")
    page = await visit.get("/parked")
    assert page.status == HTTPStatus.OK
    assert "parked-act" not in page.text.replace('action="/parked-act">\n<input type="hidden" name="by"', "")
    assert 'name="id"' not in page.text
    assert (await visit.get(f"/parked-act?{FILTER}")).status == HTTPStatus.FORBIDDEN
    refused = await visit.post("/parked-act", action="redriven", seen="2")
    assert refused.status == HTTPStatus.FORBIDDEN
    assert await in_status(lot, "parked") == 2
