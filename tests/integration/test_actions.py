"""What people do with refunds, from the wish to what the worker decides, on a real database."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from kit.builders import NOW, decide, refund_in, situation, successor, tender
from kit.database import set_clock
from kit.population import cancellation
from kit.reviewing import Review

from schemas.refunds import RefundFlagged
from workers.actions.asking import approve, list_actions, reject
from workers.actions.preview import Preview
from workers.actions.rules import ActionError
from workers.domain.refund_types import ActionKind
from workers.providers.port import Answer

SUCCEEDED = Answer(outcome="succeeded", provider_refund_id="re_1")


@pytest.fixture
async def review(database_url: str) -> AsyncIterator[Review]:
    async with Review(database_url) as made:
        await made.begin()
        yield made


@pytest.fixture
async def large(database_url: str) -> AsyncIterator[Review]:
    """Of more than one person may decide."""
    async with Review(database_url) as made:
        await made.begin(captured_minor=50_001)
        yield made


async def everything(review: Review) -> dict[str, Any]:
    """All rows that a person's wish could touch."""
    tables = ("refunds", "ledger_transfers", "scheduled_messages", "manual_actions", "audit_entries", "refund_steps")
    return {name: await review.rows(f"SELECT * FROM {name} AS t ORDER BY t::text") for name in tables}


# ---------------------------------------------------------------- each kind, carried out


async def test_a_redirect_pays_the_wallet_once_nothing_is_alive(review: Review) -> None:
    assert await review.act("redirect") == "applied"
    states = await review.rows("SELECT provider, state FROM refunds ORDER BY provider")
    assert [tuple(row) for row in states] == [("card", "redirected"), ("wallet", "succeeded")]
    assert review.feed.ids("order.refunded")
    assert await review.violations() == []


async def test_what_is_alive_is_never_paid_another_way(review: Review) -> None:
    review.found = Answer(outcome="pending", provider_refund_id="re_1")
    assert await review.act("redirect") == "applied"
    refund = await review.refund()
    assert (refund["state"], refund["code"], refund["gate"]) == ("needs_review", "alive_after_all", None)
    assert [row["provider"] for row in await review.rows("SELECT provider FROM refunds WHERE true")] == ["card"]
    assert await review.violations() == []


async def test_a_retry_sends_the_same_key_again(review: Review) -> None:
    review.answer = SUCCEEDED
    assert await review.act("retry") == "applied"
    refund = await review.refund()
    assert (refund["state"], refund["attempt"]) == ("succeeded", 2)
    assert len({command.idempotency_key for command in review.feed.commands("ord_one")}) == 1
    assert await review.violations() == []


async def test_settled_elsewhere_goes_from_freezing_to_marking(review: Review) -> None:
    with pytest.raises(ActionError, match="isn't frozen"):
        await review.ask("mark_settled", evidence="transfer 77")
    assert await review.act("settle") == "applied"
    assert (await review.refund())["gate"] == "frozen"
    with pytest.raises(ActionError, match="takes evidence"):
        await review.ask("mark_settled", evidence=" ")
    assert await review.act("mark_settled", evidence="transfer 77") == "applied"
    assert (await review.refund())["state"] == "settled_elsewhere"
    (line,) = await review.rows("SELECT * FROM ledger_transfers WHERE kind = 'settled_elsewhere'")
    assert (line["debit_account"], line["credit_account"]) == ("refunding:card", "suspense")
    assert review.feed.ids("order.refunded")
    assert await review.violations() == []


async def test_a_release_asks_the_provider_first(review: Review) -> None:
    review.found = SUCCEEDED
    assert await review.act("release") == "applied"
    assert (await review.refund())["state"] == "uncertain"
    assert await review.violations() == []


async def test_a_look_up_moves_no_money(review: Review) -> None:
    commands = len(review.feed.commands("ord_one"))
    assert await review.act("look_up") == "applied"
    assert [type(one).__name__ for one in review.feed.commands("ord_one")[commands:]] == ["RefundLookUp"]
    assert (await review.refund())["state"] == "needs_review"


# ---------------------------------------------------------------- what they saw


async def test_what_moved_since_it_was_seen_is_not_even_asked_for(review: Review) -> None:
    before = (await review.refund())["revision"]
    await review.act("look_up")
    with pytest.raises(ActionError) as error:
        await review.ask("redirect", revision=before)
    assert error.value.code == "refund_moved"
    assert len(await review.rows("SELECT * FROM manual_actions WHERE true")) == 1


async def test_what_moves_between_asking_and_deciding_is_refused(review: Review) -> None:
    asked = await review.ask("redirect")
    await review.flag("disputed")
    await review.feed.fire()
    (row,) = await review.rows("SELECT outcome, detail FROM manual_actions WHERE true")
    assert tuple(row) == ("refused", "refund_moved")
    assert (await review.refund())["gate"] is None
    (entry,) = await review.rows("SELECT * FROM audit_entries WHERE what = 'action.refused'")
    assert (entry["subject"], entry["actor"]) == (asked.action.action_id, "refunds")
    assert await review.violations() == []


async def test_a_dispute_is_told_to_who_may_be_paying_and_they_can_still_say_that_they_did(review: Review) -> None:
    await review.act("settle")
    assert (await review.refund())["gate"] == "frozen"
    seen = (await review.refund())["revision"]
    await review.flag("disputed")
    refund = await review.refund()
    assert (refund["state"], refund["gate"], refund["code"]) == ("needs_review", "frozen", "disputed")
    await review.flag("disputed")
    assert (await review.refund())["revision"] == refund["revision"], "told once"
    with pytest.raises(ActionError, match="look at it again"):
        await review.ask("mark_settled", evidence="transfer 77", revision=seen)
    with pytest.raises(ActionError, match="takes evidence"):
        await review.ask("release")
    await review.act("mark_settled", evidence="transfer 77")
    assert (await review.refund())["state"] == "settled_elsewhere"


def test_that_it_was_paid_twice_is_not_painted_over() -> None:
    before = refund_in("needs_review", code="overpaid")
    flag = RefundFlagged(refund_id=before.refund_id, order_id=before.order_id, code="disputed", observed_at=NOW)
    assert not decide(before, flag).changed
    behind = decide(refund_in("redirected"), flag, situation(successor=successor("needs_review", code="overpaid")))
    assert behind.successor is None


async def test_a_second_click_is_no_second_action(review: Review) -> None:
    asked = await review.ask("redirect")
    with pytest.raises(ActionError, match=asked.action.action_id) as error:
        await review.ask("redirect", actor="bob")
    assert error.value.code == "already_asked"


async def test_a_message_that_comes_twice_is_decided_once(review: Review) -> None:
    asked = await review.ask("look_up")
    await review.say(asked.action.action_id, times=2)
    await review.feed.fire()
    (row,) = await review.rows("SELECT outcome, detail FROM manual_actions WHERE true")
    assert tuple(row) == ("applied", None)
    assert await review.violations("I10") == []


async def test_an_action_is_of_its_own_refund_alone(review: Review) -> None:
    asked = await review.ask("redirect")
    await review.feed.take(cancellation("two", tender(reference="pi_two")))
    (command,) = review.feed.commands("ord_two")
    await review.say(asked.action.action_id, refund_id=command.refund_id, order_id="ord_two")
    (row,) = await review.rows("SELECT outcome FROM manual_actions WHERE true")
    assert row["outcome"] is None
    assert await review.rows("SELECT * FROM refunds WHERE gate IS NOT NULL") == []


async def test_of_two_wishes_the_first_is_carried_out(review: Review) -> None:
    await review.ask("redirect")
    await review.ask("settle", actor="bob")
    await review.feed.fire()
    rows = await review.rows("SELECT kind, outcome FROM manual_actions ORDER BY asked_at")
    assert [tuple(row) for row in rows] == [("redirect", "applied"), ("settle", "refused")]
    assert await review.violations() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": "  "}, "no_reason"),
        ({"reason": "x" * 501}, "bad_reason"),
        ({"reason": "a\x00b"}, "bad_reason"),
        ({"evidence": "x" * 1001}, "bad_evidence"),
        ({"actor": ""}, "bad_name"),
        ({"actor": "x" * 129}, "bad_name"),
        ({"refund_id": "rfd_none"}, "unknown_refund"),
    ],
)
async def test_what_is_not_said_well_is_not_recorded(review: Review, changes: dict[str, str], code: str) -> None:
    with pytest.raises(ActionError) as error:
        await review.ask("redirect", **changes)
    assert error.value.code == code
    assert await review.rows("SELECT * FROM manual_actions WHERE true") == []
    assert await review.rows("SELECT * FROM audit_entries WHERE true") == []


# ---------------------------------------------------------------- a second person


async def test_above_the_amount_nothing_happens_until_another_person_agrees(large: Review) -> None:
    asked = await large.ask("redirect")
    assert asked.action.needs_second
    assert await large.feed.fire() == 0
    await large.say(asked.action.action_id)  # not even if somebody sends its message
    assert (await large.refund())["gate"] is None
    async with large.connection() as connection:
        for name in ("ann", " Ann ", "ANN"):
            with pytest.raises(ActionError) as error:
                await approve(connection, asked.action.action_id, name)
            assert error.value.code == "same_person"
        await approve(connection, asked.action.action_id, "bob")
        with pytest.raises(ActionError, match="approved already"):
            await approve(connection, asked.action.action_id, "eve")
    await large.feed.fire()
    (row,) = await large.rows("SELECT approved_by, outcome FROM manual_actions WHERE true")
    assert tuple(row) == ("bob", "applied")
    entries = await large.rows("SELECT what, actor FROM audit_entries ORDER BY seq")
    assert [tuple(one) for one in entries] == [
        ("action.asked", "ann"),
        ("action.approved", "bob"),
        ("action.applied", "refunds"),
    ]
    assert await large.violations() == []


async def test_who_agrees_late_agrees_to_what_was_seen(large: Review) -> None:
    asked = await large.ask("redirect")
    await large.flag("disputed")
    async with large.connection() as connection:
        await approve(connection, asked.action.action_id, "bob")
    await large.feed.fire()
    (row,) = await large.rows("SELECT outcome, detail FROM manual_actions WHERE true")
    assert tuple(row) == ("refused", "refund_moved")


async def test_what_is_rejected_stays_undone(large: Review) -> None:
    asked = await large.ask("redirect")
    async with large.connection() as connection:
        await reject(connection, asked.action.action_id, "bob", "wait for the bank")
        with pytest.raises(ActionError, match="decided already"):
            await approve(connection, asked.action.action_id, "bob")
        assert await list_actions(connection, only_open=True) == []
    await large.say(asked.action.action_id)
    assert (await large.refund())["gate"] is None
    again = await large.ask("redirect")
    assert again.action.action_id != asked.action.action_id
    assert await large.violations() == []


async def test_ones_own_wish_can_be_taken_back_before_it_is_decided(review: Review) -> None:
    asked = await review.ask("redirect")
    async with review.connection() as connection:
        await reject(connection, asked.action.action_id, "ann", "wrong refund")
    assert await review.feed.fire() == 0
    assert (await review.refund())["gate"] is None
    assert await review.violations() == []


@pytest.mark.parametrize(
    ("kind", "amount", "currency", "needed"),
    [
        ("redirect", 50_000, "EUR", False),
        ("redirect", 50_001, "EUR", True),
        ("release", 50_001, "EUR", True),
        ("look_up", 50_001, "EUR", False),
        ("retry", 501, "JPY", True),
        ("retry", 500_000, "KWD", False),
        ("retry", 500_001, "KWD", True),
    ],
)
async def test_the_amount_is_counted_in_whole_units(
    review: Review, kind: ActionKind, amount: int, currency: str, needed: bool
) -> None:
    assert review.rules.need_second(kind, amount, currency) == needed


# ---------------------------------------------------------------- what would happen


class Since:
    """What is recorded from here on, to be held against what was shown."""

    def __init__(self, review: Review, lines: int, steps: int) -> None:
        self._review = review
        self._lines = lines
        self._steps = steps
        self._sent = Counter(self._commands())

    @classmethod
    async def now(cls, review: Review) -> "Since":
        lines, steps = [
            (await review.rows(f"SELECT count(*) FROM {name} WHERE true"))[0][0]
            for name in ("ledger_transfers", "refund_steps")
        ]
        return cls(review, lines, steps)

    def _commands(self) -> list[tuple[Any, ...]]:
        return [_told_of(one) for one in self._review.feed.commands("ord_one")]

    async def agrees(self, shown: Preview) -> None:
        """Every line, command and step that was shown came about, and no other."""
        assert shown.refused is None
        rows = await self._review.rows("SELECT * FROM ledger_transfers ORDER BY posted_at, transfer_id")
        fields = ("kind", "debit_account", "credit_account", "amount_minor", "currency")
        lines = [tuple(getattr(line, name) for name in fields) for stage in shown.stages for line in stage.ledger]
        assert sorted(lines) == sorted(tuple(row[name] for name in fields) for row in rows[self._lines :])
        commands = Counter(_told_of(one) for stage in shown.stages for one in stage.commands)
        assert commands == Counter(self._commands()) - self._sent
        rows = await self._review.rows("SELECT * FROM refund_steps ORDER BY stepped_at")
        steps = [(row["refund_id"], row["state_before"], row["state"]) for row in rows[self._steps :]]
        moves = [move for stage in shown.stages for move in stage.moves]
        changed = [move for move in moves if move.state_before not in (None, move.state)]
        assert sorted((move.refund_id, move.state_before, move.state) for move in changed) == sorted(steps)
        for refund_id, move in {move.refund_id: move for move in moves}.items():
            query = "SELECT state, gate, revision, provider, reference FROM refunds WHERE refund_id = $1"
            (row,) = await self._review.rows(query, refund_id)
            assert tuple(row) == (move.state, move.gate, move.revision, move.provider, move.reference)


def _told_of(command: Any) -> tuple[Any, ...]:
    number = getattr(command, "look_up_no", None)
    return command.refund_id, command.provider, command.idempotency_key, command.attempt, number, command.amount_minor


@pytest.mark.parametrize("kind", ["retry", "look_up", "redirect", "settle", "release"])
async def test_a_preview_changes_nothing_and_says_exactly_what_then_happens(review: Review, kind: ActionKind) -> None:
    before = await everything(review)
    shown = await review.preview(kind)
    assert await everything(review) == before
    since = await Since.now(review)
    review.answer = Answer(outcome="succeeded")
    assert await review.act(kind) == "applied"
    await since.agrees(shown)
    assert any(stage.moves for stage in shown.stages)


async def test_marking_is_shown_with_its_line_and_the_orders_end(review: Review) -> None:
    await review.act("settle")
    since = await Since.now(review)
    shown = await review.preview("mark_settled", evidence="transfer 77")
    assert shown.stages[0].told == ["refund.succeeded", "order.refunded"]
    assert len(shown.stages[0].ledger) == 1
    assert await review.act("mark_settled", evidence="transfer 77") == "applied"
    await since.agrees(shown)


async def test_calls_that_may_be_under_way_are_waited_for_and_shown(database_url: str, observer: Any) -> None:
    async with Review(database_url) as review:
        review.answer = None  # the call was begun, and no answer came
        await review.begin()
        await review.flag()
        since = await Since.now(review)
        shown = await review.preview("redirect")
        assert [stage.when.split(",")[0] for stage in shown.stages] == [
            "at once",
            "once calls of it that may be under way have ended",
            "once the provider's answer shows that nothing of it is alive",
            "once the wallet has it",
        ]
        assert shown.stages[0].commands == []
        assert shown.waits_for is not None
        assert await review.act("redirect") == "applied"
        assert await review.feed.fire() == 0
        meanwhile = await review.preview("look_up")
        assert [bool(stage.commands) for stage in meanwhile.stages] == [True, False, True, True, False]
        assert shown.stages[0].looked_at_again is not None
        await set_clock(observer, shown.stages[0].looked_at_again + timedelta(seconds=2))
        while await review.feed.fire():
            pass
        await since.agrees(shown)
        assert [line.credit_account for line in shown.stages[-1].ledger] == ["wallet:cli_one"]


async def test_what_was_asked_for_is_never_taken_away(review: Review) -> None:
    await review.act("look_up")
    await review.ask("redirect")
    async with review.connection() as connection:
        for statement in (
            "DELETE FROM manual_actions",
            "UPDATE manual_actions SET reason = 'another' WHERE kind = 'redirect'",
            "UPDATE manual_actions SET outcome = 'refused' WHERE kind = 'look_up'",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await connection.execute(statement)


async def test_a_preview_says_why_not(review: Review) -> None:
    shown = await review.preview("mark_settled", evidence="x")
    assert (shown.refused, shown.stages) == ("not_frozen", [])
    assert shown.why is not None
    shown = await review.preview("redirect", revision=1)
    assert shown.refused == "refund_moved"


async def test_a_preview_warns_of_what_stands_in_the_way(review: Review) -> None:
    async with review.connection() as connection:
        await connection.execute(
            "INSERT INTO disputes VALUES ('card', 'dp_1', 'pi_one', 'needs_response', true, now())"
        )
        await connection.execute(
            "INSERT INTO provider_pauses (provider, paused_at, code, probe_at) VALUES ('card', now(), 'timeout', now())"
        )
    told = (await review.preview("retry")).warnings
    assert len(told) == 2
    assert "dispute" in told[0]
    assert "card is paused (timeout)" in told[1]
    assert "bank may have given the money back" in (await review.preview("redirect")).warnings[0]
    assert (await review.preview("release")).warnings == []
