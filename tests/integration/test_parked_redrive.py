"""`annul parked redrive / discard`: putting back what could not be processed, or giving it up."""

import asyncio
import json

import pytest
from kit.feed import Feed, break_rows, rows_of
from kit.parked import EVERYTHING, IN, ParkingLot, back, gone
from kit.population import script, settings_for

from workers.commands import parked as command
from workers.insight.parked import Which, redrive, show_parked
from workers.insight.verify import verify
from workers.pipeline.messages import unpack_one
from workers.pipeline.parking import REDRIVEN_FROM

# ---------------------------------------------------------------- putting back


async def test_a_dry_run_counts_and_changes_nothing(lot: ParkingLot) -> None:
    change = await back(lot, dry_run=True)
    assert (change.matched, change.changed, change.ids) == (2, 0, [])
    assert change.by == [
        {"reason": "bad_envelope", "topic": IN, "count": 1},
        {"reason": "contradicts_recorded", "topic": IN, "count": 1},
    ]
    assert set((await lot.statuses()).values()) == {"parked"}
    assert await lot.scheduled() == []
    assert (await gone(lot, dry_run=True)).matched == 2
    assert set((await lot.statuses()).values()) == {"parked"}


async def test_a_redriven_message_goes_back_as_it_was_with_a_mark(lot: ParkingLot) -> None:
    change = await back(lot, Which(ids=(lot.junk,)))
    assert (change.changed, change.ids, change.ok) == (1, [lot.junk], True)
    (row,) = await lot.scheduled()
    assert (row["schedule_id"], row["subject"], row["state"]) == (f"redrive:{lot.junk}:1", lot.junk, "waiting")
    message = unpack_one(row["message"])
    assert (message.topic, message.key, message.value) == (IN, b"ord_two", b"\xffjunk")
    assert message.headers == [("ce_id", b"evt_junk"), (REDRIVEN_FROM, lot.junk.encode())]
    assert await lot.statuses() == {lot.junk: "redriven", lot.other: "parked"}


async def test_what_can_be_processed_by_now_is(lot: ParkingLot) -> None:
    await break_rows(lot.url, *(f"DELETE FROM {table}" for table in TABLES_OF_AN_ORDER))
    assert (await back(lot, Which(reason="contradicts_recorded"))).changed == 1
    assert await lot.feed.fire() == 1
    (row,) = await rows_of(lot.url, "SELECT amount_minor FROM refunds")
    assert row["amount_minor"] == 9900
    assert (await verify(lot.settings)).violations == []


TABLES_OF_AN_ORDER = (
    "refund_observations",
    "refund_steps",
    "refund_facts",
    "refund_attempts",
    "ledger_transfers",
    "refunds",
    "orders",
    "conversations",
    "sellers",
    "seller_outcomes",
    "scheduled_messages",
)


async def test_what_fails_again_shows_its_history(lot: ParkingLot) -> None:
    for place in (3, 4):
        previous = lot.junk if place == 3 else f"{IN}:0:3"
        assert (await back(lot, Which(ids=(previous,)))).ok
        assert await lot.feed.fire() == 1
        assert (await lot.statuses())[f"{IN}:0:{place}"] == "parked"
    found = await show_parked(lot.settings, f"{IN}:0:4")
    assert found is not None
    assert [one["parked_id"] for one in found["earlier"]] == [f"{IN}:0:3", lot.junk]
    assert [one["name"] for one in found["headers"]] == ["ce_id", REDRIVEN_FROM], "one mark, however often"
    before = await show_parked(lot.settings, lot.junk)
    assert before is not None
    assert [one["parked_id"] for one in before["again"]] == [f"{IN}:0:3"]
    assert before["sends"][0]["state"] == "fired"


async def test_a_message_is_put_back_once(lot: ParkingLot) -> None:
    changes = await asyncio.gather(*(back(lot) for _ in range(5)))
    assert sorted(change.changed for change in changes) == [0, 0, 0, 0, 2]
    assert len(await lot.scheduled()) == 2
    again = await back(lot, Which(ids=(lot.junk,)))
    assert not again.ok
    assert again.refused[0]["why"].startswith("it was redriven ")
    assert not (await gone(lot, Which(ids=(lot.junk,)))).ok


async def test_a_message_is_put_back_in_the_order_it_came_in_and_within_the_limit(lot: ParkingLot) -> None:
    for number in range(120):
        await lot.feed.put(IN, b"more", key=b"k", headers=[("n", str(number).encode())])
    await lot.feed.work()
    first = await back(lot, limit=100)
    assert (first.matched, first.changed) == (122, 100)
    assert (await back(lot)).changed == 22
    offsets = [int(row["subject"].rpartition(":")[2]) for row in await lot.scheduled()]
    assert offsets == list(range(1, 123))


async def test_named_messages_that_cannot_be_put_back_are_told_and_the_others_go(lot: ParkingLot) -> None:
    change = await back(lot, Which(ids=(lot.other, "x:0:1", lot.other)))
    assert change.ids == [lot.other]
    assert change.refused == [{"parked_id": "x:0:1", "why": "there is no parked message of this id"}]
    assert not change.ok


async def test_a_message_without_room_for_the_mark_stays(lot: ParkingLot) -> None:
    await lot.feed.put(IN, b"x" * 1_048_000, key=b"k")
    await lot.feed.work()
    change = await back(lot)
    assert (change.changed, change.ok) == (2, True)
    why = "its topic's limit leaves no room for the mark of a redriven message"
    assert change.refused == [{"topic": IN, "count": 1, "why": why}]
    named = await back(lot, Which(ids=(f"{IN}:0:3",)))
    assert named.refused == [{"parked_id": f"{IN}:0:3", "why": why}]
    assert not named.ok
    assert (await gone(lot)).changed == 1


async def test_a_message_of_a_strange_topic_stays(lot: ParkingLot) -> None:
    await break_rows(lot.url, "UPDATE parked_messages SET topic = 'elsewhere.v1'")
    change = await back(lot)
    assert (change.changed, len(change.refused)) == (0, 1)
    assert change.refused[0]["why"] == "it is not of a topic that Annul reads"


async def test_a_topics_prefix_is_taken_off_and_may_be_left_out(database_url: str) -> None:
    settings = settings_for(database_url, topic_prefix="eu.")
    async with Feed(database_url, script, prefix="eu.") as feed:
        await feed.put(IN, b"junk")
        await feed.work()
        change = await redrive(settings, Which(topic=IN), limit=1, dry_run=False)
        assert change.ids == [f"eu.{IN}:0:0"]
        assert await feed.fire() == 1
        assert len(feed.records(IN)) == 2


async def test_a_topic_made_anew_counts_its_offsets_again(lot: ParkingLot) -> None:
    assert (await back(lot, Which(ids=(lot.junk,)))).changed == 1
    twin = """INSERT INTO parked_messages SELECT (jsonb_populate_record(p, '{"topic_id": "new", "status": "parked"}')).*
                FROM parked_messages AS p"""
    await break_rows(lot.url, f"{twin} WHERE parked_id = '{lot.junk}'")
    assert (await back(lot, Which(ids=(lot.junk,)))).changed == 1
    assert [row["schedule_id"] for row in await lot.scheduled()] == [
        f"redrive:{lot.junk}:1",
        f"redrive:{lot.junk}:2",
    ]


async def test_the_terminal_says_what_happens_next(lot: ParkingLot, capsys: pytest.CaptureFixture[str]) -> None:
    named = Which(ids=(lot.junk, "x:0:1"))
    assert not await command.put_back(lot.settings, named, limit=9, dry_run=False, as_json=False)
    printed = capsys.readouterr()
    assert "the worker `timers` sends them" in printed.out
    assert printed.err == "annul: x:0:1: there is no parked message of this id\n"
    assert await command.put_back(lot.settings, EVERYTHING, limit=9, dry_run=True, as_json=True)
    assert json.loads(capsys.readouterr().out)["matched"] == 1


# ---------------------------------------------------------------- giving up


async def test_a_discarded_message_stays_on_record_with_the_reason(lot: ParkingLot) -> None:
    change = await gone(lot, Which(reason="bad_envelope"))
    assert (change.action, change.ids) == ("discarded", [lot.junk])
    found = await show_parked(lot.settings, lot.junk)
    assert found is not None
    assert (found["status"], found["status_reason"]) == ("discarded", "tried twice")
    assert await lot.scheduled() == []
    refused = await back(lot, Which(ids=(lot.junk,)))
    assert refused.refused[0]["why"].startswith("it was discarded ")
