"""Wishes about much money wait for a second person; any can be taken back before it is decided."""

import pytest
from kit.reviewing import Review

from workers.actions.asking import approve, list_actions, reject
from workers.actions.rules import ActionError
from workers.domain.refund_types import ActionKind


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
