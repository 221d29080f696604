"""Refunds in review that a person may act on, and all that an action could touch."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kit.reviewing import Review
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
