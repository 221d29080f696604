"""A chat that closes too soon: found by its id, kept open longer, then for good; what an old tab shows does nothing."""

import os
from datetime import datetime, timedelta
from typing import Any

import pytest
from kit.browser import somebody

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif("ANNUL_BROWSER" not in os.environ, reason="by `make browser`"),
]
CLOSING = """SELECT conversation_id FROM conversations WHERE close_at > now() + interval '1 day'
              ORDER BY conversation_id DESC LIMIT 1"""


async def test_a_chat_is_found_extended_and_left_open(browser: Any, url: str, database: Any) -> None:
    chat = await database.fetchval(CLOSING)
    closes = "SELECT close_at FROM conversations WHERE conversation_id = $1"
    before = await database.fetchval(closes, chat)
    async with somebody(browser, url, "olga") as page:
        await page.goto("/")
        await page.get_by_role("searchbox").fill(chat)
        await page.get_by_role("button", name="Find").click()
        # The conversation's order is found; its page leads to the chat.
        await page.get_by_role("main").get_by_role("link", name=chat).first.click()
        await page.wait_for_url(f"**/chats/{chat}")
        old = await page.context.new_page()
        await old.goto(page.url)
        least = datetime.fromisoformat(await page.locator("#close_at").get_attribute("min"))
        await page.locator("#close_at").fill(f"{least + timedelta(days=2):%Y-%m-%dT%H:%M}")
        await page.locator("#extend-reason").fill("the client is on a journey")
        async with page.expect_navigation():
            await page.get_by_role("button", name="Close later").click()
        assert "the client is on a journey" in await page.locator(".timeline").inner_text()
        after = await database.fetchval(closes, chat)
        assert after > before

        # In the other tab the page is from before: what it shows is over, and nothing is done.
        await old.locator("#withdraw-reason").fill("from an old page")
        async with old.expect_navigation() as going:
            await old.get_by_role("button", name="Keep it open").click()
        assert (await going.value).status == 409
        assert await database.fetchval(closes, chat) == after

        await page.goto(f"/chats/{chat}")
        await page.locator("#withdraw-reason").fill("they work together again")
        async with page.expect_navigation():
            await page.get_by_role("button", name="Keep it open").click()
        assert "no close is scheduled" in await page.locator(".verdict").inner_text()
        assert "they work together again" in await page.locator(".timeline").inner_text()
    assert await database.fetchval("SELECT count(*) FROM chat_interventions WHERE conversation_id = $1", chat) == 2
