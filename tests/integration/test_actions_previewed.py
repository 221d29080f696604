"""What would happen is shown exactly, before anybody asks for it."""

from collections import Counter
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from kit.database import set_clock
from kit.reviewing import Review
from kit.wishes import everything

from workers.actions.preview import Preview
from workers.domain.refund_types import ActionKind
from workers.providers.port import Answer


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
