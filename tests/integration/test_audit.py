"""The audit chain: who did what, and that nobody changed it since."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from kit.feed import break_rows
from kit.parked import EVERYTHING, ParkingLot, back, gone
from kit.reviewing import Review

from workers.actions.asking import approve, reject
from workers.insight.audit import list_audit
from workers.insight.verify import verify
from workers.store.audit import Entry, append
from workers.store.database import Database


@pytest.fixture
async def review(database_url: str) -> AsyncIterator[Review]:
    """Seven entries: an action that was approved and applied, one that was refused, one that was rejected."""
    async with Review(database_url, approval_above=10) as made:
        await made.begin()
        async with made.connection() as connection:
            first = await made.ask("settle", evidence="none yet")
            await approve(connection, first.action.action_id, "bob")
            await made.feed.fire()
            second = await made.ask("mark_settled", evidence="transfer 77")
            await reject(connection, second.action.action_id, "bob", "not yet")
            third = await made.ask("look_up")
            await made.flag()
            await made.feed.fire()
            assert third.action.needs_second is False
        yield made


async def test_a_chain_that_nobody_touched_verifies(review: Review) -> None:
    assert await review.violations() == []
    report = await verify(review.settings)
    assert [check.invariant for check in report.checks][-1] == "I10"
    entries = await review.rows("SELECT what, actor FROM audit_entries ORDER BY seq")
    assert [tuple(one) for one in entries] == [
        ("action.asked", "ann"),
        ("action.approved", "bob"),
        ("action.applied", "refunds"),
        ("action.asked", "ann"),
        ("action.rejected", "bob"),
        ("action.asked", "ann"),
        ("action.refused", "refunds"),
    ]


async def test_the_check_is_made_where_nobody_did_anything(database_url: str) -> None:
    async with Review(database_url) as made:
        report = await verify(made.settings)
    assert [(check.invariant, check.found) for check in report.checks][-1] == ("I10", 0)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE audit_entries SET actor = 'eve' WHERE seq = 2", "entry 2 (action.approved"),
        ("UPDATE audit_entries SET at = at + interval '1 microsecond' WHERE seq = 3", "entry 3 "),
        ("UPDATE audit_entries SET what = 'action.refused' WHERE seq = 3", "entry 3 "),
        ("UPDATE audit_entries SET subject = subject || 'x' WHERE seq = 1", "entry 1 "),
        ("UPDATE audit_entries SET detail = replace(detail, 'support', 'me') WHERE seq = 1", "entry 1 "),
        ("UPDATE audit_entries SET detail = 'no JSON' WHERE seq = 5", "entry 5 "),
        ("UPDATE audit_entries SET hash = sha256('x') WHERE seq = 4", "entry 4 "),
        ("UPDATE audit_entries SET prev_hash = sha256('x') WHERE seq = 4", "entry 4 "),
        ("DELETE FROM audit_entries WHERE seq = 1", "entry 1 is missing"),
        ("DELETE FROM audit_entries WHERE seq = 4", "entry 4 is missing"),
        ("UPDATE audit_entries SET seq = seq + 1 WHERE seq = 7", "entry 7 is missing"),
        (
            """UPDATE audit_entries AS a SET actor = b.actor, what = b.what, subject = b.subject, detail = b.detail,
                                             at = b.at, hash = b.hash, prev_hash = b.prev_hash
                 FROM audit_entries AS b WHERE (a.seq, b.seq) IN ((2, 3), (3, 2))""",
            "entry 2 ",
        ),
    ],
)
async def test_what_is_changed_in_the_chain_is_found(review: Review, statement: str, told: str) -> None:
    await break_rows(review.url, statement)
    found = await review.violations("I10")
    assert found[0].startswith(f"audit chain: {told}")


async def test_a_changed_entry_that_was_hashed_anew_breaks_the_next_one(review: Review) -> None:
    (row,) = await review.rows("SELECT * FROM audit_entries WHERE seq = 2")
    moment = row["at"].isoformat(timespec="microseconds")
    made = hashlib.sha256()
    texts = [str(row["seq"]), moment, "eve", row["what"], row["subject"], row["detail"]]
    for part in (*(text.encode() for text in texts), row["prev_hash"]):
        made.update(len(part).to_bytes(8, "big") + part)
    await break_rows(
        review.url, f"UPDATE audit_entries SET actor = 'eve', hash = '\\x{made.hexdigest()}' WHERE seq = 2"
    )
    found = await review.violations("I10")
    assert found[0].startswith("audit chain: entry 3 (action.applied")
    assert found[0].endswith("doesn't follow the one before it")


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM audit_entries WHERE seq = 7", "action.refused is not in the audit chain"),
        ("DELETE FROM audit_entries WHERE seq >= 6", "action.asked is not in the audit chain"),
        ("DELETE FROM audit_entries", "action.approved is not in the audit chain"),
        ("DELETE FROM manual_actions WHERE kind = 'settle'", "there is no such action"),
        ("UPDATE manual_actions SET reason = 'another'", "says of action.asked"),
        ("UPDATE manual_actions SET evidence = NULL", "says of action.asked"),
        ("UPDATE manual_actions SET kind = 'redirect' WHERE kind = 'settle'", "says of action.asked"),
        ("UPDATE manual_actions SET needs_second = false", "says of action.asked"),
        ("UPDATE manual_actions SET approved_by = 'eve' WHERE kind = 'settle'", "says of action.approved"),
        ("UPDATE manual_actions SET approved_by = NULL WHERE kind = 'settle'", "without a second person"),
        ("UPDATE manual_actions SET outcome = 'applied' WHERE kind = 'look_up'", "action.applied is not in the"),
        ("UPDATE manual_actions SET detail = 'no' WHERE outcome = 'rejected'", "says of action.rejected"),
        ("UPDATE manual_actions SET outcome = NULL, decided_at = NULL", "the action doesn't say so"),
    ],
)
async def test_actions_are_what_the_chain_says_of_them(review: Review, statement: str, told: str) -> None:
    await break_rows(review.url, statement)
    assert any(told in one for one in await review.violations("I10"))


async def test_rows_refuse_to_be_changed(review: Review) -> None:
    async with review.connection() as connection:
        for statement in (
            "UPDATE audit_entries SET actor = 'eve'",
            "DELETE FROM audit_entries",
            "TRUNCATE audit_entries",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await connection.execute(statement)


async def test_who_appends_at_the_same_time_is_numbered_without_gaps(database_url: str) -> None:
    database = Database(database_url, max_connections=8)

    async def one(number: int) -> None:
        async with database.transaction() as connection:
            await append(connection, [Entry(actor="ann", what="thing.done", subject=str(number), detail={"ü": "é\n"})])
            if number % 5 == 0:
                raise ZeroDivisionError

    await asyncio.gather(*(one(number) for number in range(40)), return_exceptions=True)
    await database.close()
    async with Review(database_url) as made:
        rows = await made.rows("SELECT seq FROM audit_entries ORDER BY seq")
        assert [row["seq"] for row in rows] == list(range(1, 33))
        assert await made.violations("I10") == []


async def test_the_head_is_told_to_be_kept_elsewhere(review: Review) -> None:
    found = await list_audit(review.settings, subject=None, actor="bob", limit=10)
    assert found["head"]["seq"] == 7
    assert [one["what"] for one in found["entries"]] == ["action.rejected", "action.approved"]
    assert found["entries"][0]["detail"]["reason"] == "not yet"
    await break_rows(review.url, "UPDATE audit_entries SET detail = 'no JSON' WHERE seq = 7")
    (entry,) = (await list_audit(review.settings, subject=None, actor=None, limit=1))["entries"]
    assert (entry["detail"], entry["hash"]) == ("no JSON", found["head"]["hash"])


async def test_who_puts_parked_messages_back_or_gives_them_up_is_on_record(lot: ParkingLot) -> None:
    await back(lot, EVERYTHING, dry_run=True, by="ann")
    await back(lot, EVERYTHING, limit=1, by="ann")
    await gone(lot, EVERYTHING, by="bob")
    entries: list[Any] = (await list_audit(lot.settings, subject=None, actor=None, limit=9))["entries"]
    assert [(one["actor"], one["what"], one["subject"]) for one in entries] == [
        ("bob", "parked.discarded", lot.junk),
        ("ann", "parked.redriven", lot.other),
    ]
    assert entries[0]["detail"]["reason"] == "tried twice"
    assert (await verify(lot.settings)).ok
