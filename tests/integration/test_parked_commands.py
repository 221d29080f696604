"""`annul parked list / show`: looking at what could not be processed."""

from datetime import timedelta
from typing import Any

import pytest
from kit.feed import break_rows
from kit.parked import EVERYTHING, IN, ParkingLot

from workers.commands import parked as command
from workers.insight.parked import Which, list_parked, read_raw, show_parked


async def listed(lot: ParkingLot, which: Which = EVERYTHING, **changes: Any) -> list[str]:
    """The ids in the list."""
    given = {"status": "parked", "since": None, "limit": 50, **changes}
    found = await list_parked(lot.settings, which, **given)
    return [one["parked_id"] for one in found["parked"]]


async def test_the_list_is_filtered_and_the_youngest_comes_first(lot: ParkingLot) -> None:
    assert await listed(lot) == [lot.junk, lot.other]
    assert await listed(lot, Which(reason="contradicts_recorded")) == [lot.other]
    assert await listed(lot, Which(topic=IN)) == [lot.junk, lot.other]
    assert await listed(lot, Which(topic="refunds.results.v1")) == []
    assert await listed(lot, status="redriven") == []
    assert await listed(lot, status=None) == [lot.junk, lot.other]
    assert await listed(lot, limit=1) == [lot.junk]
    assert (await list_parked(lot.settings, EVERYTHING, status=None, since=None, limit=1))["total"] == 2


async def test_the_list_goes_back_as_far_as_was_asked(lot: ParkingLot) -> None:
    move = f"UPDATE parked_messages SET parked_at = now() - interval '3 hours' WHERE parked_id = '{lot.junk}'"
    await break_rows(lot.url, move)
    assert await listed(lot, since=timedelta(hours=2)) == [lot.other]
    assert await listed(lot, since=timedelta(hours=4)) == [lot.other, lot.junk]


async def test_one_is_shown_closely_and_masked(lot: ParkingLot) -> None:
    found = await show_parked(lot.settings, lot.other)
    assert found is not None
    assert (found["reason"], found["field"], found["stage"]) == ("contradicts_recorded", "escrow", "decide")
    assert found["value"]["json"]["order_id"] == "ord_one"
    assert found["value"]["json"]["reason"] == "*** 15 characters"
    assert found["value"]["json"]["escrow"]["tenders"][0]["captured_minor"] == 9900
    assert {one["name"]: one["value"] for one in found["headers"]}["ce_type"] == "order.cancelled"
    assert (found["earlier"], found["again"], found["sends"]) == ([], [], [])


async def test_what_is_not_json_is_shown_by_its_size(lot: ParkingLot) -> None:
    found = await show_parked(lot.settings, lot.junk)
    assert found is not None
    assert found["key"] == {"bytes": 7, "text": "ord_two"}
    assert found["value"] == {"bytes": 5, "json": None}
    assert await read_raw(lot.settings, lot.junk) == (b"\xffjunk",)


async def test_people_see_nothing_personal(lot: ParkingLot, capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (True, False):
        for parked_id in (lot.other, lot.junk):
            assert await command.show(lot.settings, parked_id, as_json=as_json)
        await command.list_(lot.settings, EVERYTHING, status=None, since=None, limit=9, as_json=as_json)
    printed = capsys.readouterr().out
    assert "ord_one" in printed
    assert "Jane" not in printed
    assert "junk" not in printed.replace("evt_junk", "")


async def test_an_unknown_id_is_one_clear_line(lot: ParkingLot, capsys: pytest.CaptureFixture[str]) -> None:
    assert not await command.show(lot.settings, "x:0:1", as_json=False)
    assert not await command.raw(lot.settings, "x:0:1")
    assert capsys.readouterr().err == "annul: there is no parked message 'x:0:1'\n" * 2
