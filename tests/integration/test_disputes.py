"""Disputes that a person closes: what they held back is free again, it is on record, and old news opens nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit.feed import break_rows
from kit.reviewing import Review

from workers.actions.disputes import close_dispute, list_disputes
from workers.actions.rules import ActionError
from workers.insight.refunds import RefundView, show_refund
from workers.providers.port import Answer
from workers.store.queries import sql

AN_HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
async def review(database_url: str) -> AsyncIterator[Review]:
    async with Review(database_url) as made:
        await made.begin()
        yield made


async def dispute(
    review: Review, reference: str = "pi_one", dispute_id: str = "dp_1", at: datetime = AN_HOUR_AGO, **changes: Any
) -> None:
    """What a webhook of that time tells."""
    told = {"provider": "card", "status": "needs_response", "is_open": True, **changes}
    row = (told["provider"], dispute_id, reference, told["status"], told["is_open"], at)
    async with review.connection() as connection:
        await connection.fetch(sql("upsert_disputes"), *([value] for value in row))


async def close(review: Review, dispute_id: str = "dp_1", actor: str = "ann", reason: str = "won on 3 May") -> Any:
    async with review.connection() as connection:
        return await close_dispute(connection, dispute_id, actor, reason)


async def listed(review: Review, **wishes: Any) -> list[tuple[str, str, str, bool]]:
    async with review.connection() as connection:
        found = await list_disputes(connection, **wishes)
    return [(one["dispute_id"], one["reference"], one["status"], one["is_open"]) for one in found]


async def view(review: Review) -> RefundView:
    async with review.connection() as connection:
        found = await show_refund(connection, review.rules, review.refund_id)
    assert found is not None
    return found


async def test_a_refund_that_an_open_dispute_blocks_goes_through_once_it_is_closed_by_hand(review: Review) -> None:
    """Its closing webhook was lost: each retry comes back."""
    await dispute(review)
    review.answer = Answer(outcome="succeeded", provider_refund_id="re_1")
    assert await review.act("retry") == "applied"
    refund = await review.refund()
    assert (refund["state"], refund["code"]) == ("needs_review", "disputed")
    assert [one["dispute_id"] for one in (await view(review)).disputes] == ["dp_1"]
    await close(review)
    assert (await view(review)).disputes == []
    assert await review.act("retry") == "applied"
    assert (await review.refund())["state"] == "succeeded"
    assert await review.violations() == []


async def test_all_payments_of_a_dispute_are_closed_and_nothing_else(review: Review) -> None:
    await dispute(review)
    await dispute(review, "ch_one")
    await dispute(review, "ch_won", is_open=False, status="won")
    await dispute(review, dispute_id="dp_2")
    closed = await close(review)
    assert [(one.reference, one.status, one.is_open) for one in closed] == [
        ("ch_one", "closed_by_hand", False),
        ("pi_one", "closed_by_hand", False),
    ]
    assert await listed(review, only_open=True) == [("dp_2", "pi_one", "needs_response", True)]
    assert {one[:3] for one in await listed(review)} == {
        ("dp_1", "ch_one", "closed_by_hand"),
        ("dp_1", "pi_one", "closed_by_hand"),
        ("dp_1", "ch_won", "won"),
        ("dp_2", "pi_one", "needs_response"),
    }


async def test_who_closed_it_and_why_stands_in_the_audit_chain(review: Review) -> None:
    await dispute(review)
    await close(review, actor=" Ann  Lee ")
    (entry,) = await review.rows("SELECT actor, what, subject, detail FROM audit_entries WHERE true")
    assert tuple(entry)[:3] == ("Ann Lee", "dispute.closed", "dp_1")
    assert entry["detail"] == (
        '{"payments":[{"provider":"card","reference":"pi_one","status":"needs_response"}],"reason":"won on 3 May"}'
    )
    assert await review.violations("I10") == []
    await break_rows(review.url, "UPDATE audit_entries SET detail = '{}'")
    assert len(await review.violations("I10")) == 1


@pytest.mark.parametrize(
    ("dispute_id", "actor", "reason", "code"),
    [
        ("dp_none", "ann", "won", "unknown_dispute"),
        ("dp_won", "ann", "won", "dispute_closed"),
        ("dp_1", "ann", "  ", "no_reason"),
        ("dp_1", "ann", "x" * 501, "bad_reason"),
        ("dp_1", "", "won", "bad_name"),
    ],
)
async def test_what_is_not_enough_changes_nothing(
    review: Review, dispute_id: str, actor: str, reason: str, code: str
) -> None:
    await dispute(review)
    await dispute(review, dispute_id="dp_won", is_open=False, status="won")
    before = await listed(review)
    with pytest.raises(ActionError) as refused:
        await close(review, dispute_id, actor, reason)
    assert refused.value.code == code
    assert await listed(review) == before
    assert await review.rows("SELECT * FROM audit_entries WHERE true") == []


async def test_older_news_does_not_open_it_again_and_later_news_does(review: Review) -> None:
    await dispute(review)
    await close(review)
    await dispute(review, at=datetime.now(UTC) - timedelta(minutes=1), status="under_review")
    assert await listed(review) == [("dp_1", "pi_one", "closed_by_hand", False)]
    await dispute(review, at=datetime.now(UTC) + timedelta(minutes=1), status="needs_response")
    assert await listed(review) == [("dp_1", "pi_one", "needs_response", True)]


async def test_a_redirected_refund_shows_the_dispute_of_the_payment_it_came_from(review: Review) -> None:
    assert await review.act("redirect") == "applied"
    await review.feed.fire()
    (original,) = await review.rows("SELECT redirected_to FROM refunds WHERE refund_id = $1", review.refund_id)
    review.refund_id = original["redirected_to"]
    assert review.refund_id is not None
    await dispute(review)
    assert [one["reference"] for one in (await view(review)).disputes] == ["pi_one"]
