"""What people come for, from the first click to the end: in a real browser, on a running Annul."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kit.browser import somebody
from kit.client import ForeignClient, cancellation, fresh, tender

from workers.demo.running import RunningAnnul

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif("ANNUL_BROWSER" not in os.environ, reason="by `make browser`"),
]


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - what is waited for is on a page
            await asyncio.sleep(0.5)


async def main_text(page: Any) -> str:
    text: str = await page.get_by_role("main").inner_text()
    return text


# ---------------------------------------------------------------- who may


async def test_a_person_signs_in_and_out(browser: Any, url: str) -> None:
    async with somebody(browser, url, "vera") as page:
        assert await page.get_by_text("vera").is_visible()
        await page.get_by_role("button", name="Sign out").click()
        await page.goto("/refunds")
        assert "/sign-in?next=/refunds" in page.url


async def test_who_has_no_session_is_led_back_to_where_they_wanted_to_go(browser: Any, url: str) -> None:
    async with somebody(browser, url) as page:
        await page.goto("/parked?reason=malformed_json")
        await page.get_by_label("Name").fill("vera")
        await page.get_by_label("Password").fill("not the password at all")
        await page.get_by_role("main").get_by_role("button", name="Sign in").click()
        assert await page.get_by_role("alert").is_visible()
        await page.get_by_label("Password").fill("correct horse battery")
        await page.get_by_role("main").get_by_role("button", name="Sign in").click()
        await page.wait_for_url("**/parked?reason=malformed_json")


async def test_a_viewer_is_offered_nothing_and_refused_what_they_ask_for_all_the_same(
    browser: Any, url: str, database: Any
) -> None:
    refund_id = await database.fetchval("SELECT refund_id FROM refunds WHERE state = 'needs_review' LIMIT 1")
    async with somebody(browser, url, "vera") as page:
        await page.goto("/parked?reason=malformed_json")
        assert await page.get_by_role("button", name="Put back").count() == 0
        answer = await page.goto(f"/refunds/{refund_id}/actions")
        assert answer.status == 403
        assert "role does not allow" in await main_text(page)


async def test_a_form_without_its_token_is_refused_and_changes_nothing(browser: Any, url: str, database: Any) -> None:
    async with somebody(browser, url, "olga") as page:
        await page.goto("/providers/card")
        await page.get_by_label("Reason").fill("forged")
        await page.eval_on_selector_all("main input[name=csrf]", "all => all.forEach(one => { one.value = 'x' })")
        async with page.expect_navigation() as going:
            await page.get_by_role("main").get_by_role("button", name="Pause").click()
        assert (await (await going.value).header_value("content-type")).startswith("text/html")
        assert (await going.value).status == 403
    assert await database.fetchval("SELECT count(*) FROM provider_pauses WHERE detail = 'forged'") == 0


async def test_an_expired_session_sees_nothing(browser: Any, url: str, database: Any) -> None:
    async with somebody(browser, url, "vera") as page:
        await database.execute("UPDATE ops_sessions SET seen_at = seen_at - interval '3 hours' WHERE name = 'vera'")
        await page.goto("/audit")
        assert "/sign-in" in page.url


# ---------------------------------------------------------------- money


async def test_a_stuck_refund_is_found_and_released_by_two_people(browser: Any, url: str, database: Any) -> None:
    """It went through, and was disputed since: the first asks and may not agree, the second agrees, and it is done."""
    stuck = "SELECT refund_id FROM refunds WHERE state = 'needs_review' AND code = 'disputed' LIMIT 1"

    async def is_stuck() -> bool:
        return await database.fetchval(stuck) is not None

    await until(is_stuck)
    refund_id = await database.fetchval(stuck)
    async with somebody(browser, url, "olga") as page:
        await page.goto("/")
        assert "Refunds that wait for a person" in await page.locator(".verdict").first.inner_text()
        assert re.search(r"It holds [\d,.]+ EUR", await main_text(page)), "how much money it holds"
        await page.locator(".verdict a").first.click()
        await page.get_by_label("Code").fill("disputed")
        await page.get_by_role("main").get_by_role("button", name="Filter").click()
        await page.get_by_role("main").get_by_role("link", name=refund_id).click()
        await page.wait_for_url(f"**/orders/*#refund-{refund_id}")
        await page.locator(f"#refund-{refund_id}").get_by_role("link", name="What may be done with it").click()
        row = page.locator("main tbody tr").filter(has=page.get_by_role("rowheader", name="Release", exact=True))
        assert "possible, with a second person" in await row.inner_text()
        await row.get_by_role("link").click()
        await page.get_by_label("Reason").fill("the dispute was opened by mistake, says the bank")
        await page.get_by_role("button", name="Show what it would do").click()
        assert "A second person has to agree first." in await main_text(page)
        await page.get_by_role("button", name="Ask for approval").click()
        await page.wait_for_url("**/actions/*")
        assert await page.get_by_role("button", name="Approve").count() == 0
        where = page.url
        assert await database.fetchval("SELECT state FROM refunds WHERE refund_id = $1", refund_id) == "needs_review"
    async with somebody(browser, url, "anna") as page:
        await page.goto("/refunds")
        await page.get_by_role("region", name="Actions that wait").get_by_role("link", name="Release").first.click()
        assert page.url == where
        await page.get_by_role("button", name="Approve").click()

        async def carried_out() -> bool:
            await page.goto(where)
            return "was carried out" in await main_text(page)

        await until(carried_out)
        await page.get_by_role("main").get_by_role("link", name=refund_id).click()

        async def released() -> bool:
            await page.reload()
            return "succeeded" in await page.locator(f"#refund-{refund_id} .tag").inner_text()

        await until(released)
        told = await main_text(page)
        assert "action.applied" in told
        assert "olga" in told
        assert "anna" in told
        await page.goto("/audit?verify=1")
        audit = await main_text(page)
        assert "The chain verifies" in audit
        assert "olga" in audit


async def test_an_orders_story_is_found_and_read(browser: Any, url: str, database: Any) -> None:
    refund_id, order_id, provider_refund_id = await database.fetchrow(
        """SELECT refund_id, order_id, provider_refund_id FROM refunds
            WHERE state = 'succeeded' AND provider = 'card' ORDER BY refund_id LIMIT 1"""
    )
    async with somebody(browser, url, "vera", scripts=False) as page:
        for word in (order_id, refund_id, provider_refund_id):
            await page.goto("/")
            await page.get_by_role("searchbox").fill(word)
            await page.get_by_role("button", name="Find").click()
            if "/orders/" not in page.url:
                await page.get_by_role("main").get_by_role("link", name=order_id).first.click()
            await page.wait_for_url(f"**/orders/{order_id}*")
        story = await main_text(page)
        for told in (refund_id, provider_refund_id, "escrow"):
            assert told in story


# ---------------------------------------------------------------- consumers


async def test_a_paused_provider_lags_in_seconds_and_drains_once_it_is_let_go_on(
    annul: RunningAnnul, browser: Any, url: str
) -> None:
    async with somebody(browser, url, "olga") as page:
        await page.goto("/consumers")
        await page.get_by_role("link", name="paypal").last.click()
        await page.goto("/providers/paypal")
        await page.get_by_label("Reason").fill("their status page is red")
        await page.get_by_role("main").get_by_role("button", name="Pause").click()
        assert "olga" in await main_text(page)
        async with ForeignClient(annul.stack.bootstrap) as client:
            sent = cancellation(tender("paypal", fresh("CAP")))
            await asyncio.sleep(2.5)  # every process follows a person's pause within two seconds
            await client.publish("order.cancelled", sent)
            await client.event(sent["order_id"], "refund.issue")

            async def lags() -> int:
                await page.goto("/consumers/paypal")
                found = re.search(r"\b(\d+) s\b", await main_text(page))
                return int(found[1]) if found else 0

            async def lags_for_long() -> bool:
                return await lags() >= 10

            await until(lags_for_long)
            assert not client.of(sent["order_id"], "refund.succeeded")
            await page.goto("/providers/paypal")
            await page.get_by_label("Reason").fill("it is green again")
            await page.get_by_role("main").get_by_role("button", name="Resume").click()
            await client.event(sent["order_id"], "order.refunded", within_s=60)

        async def drained() -> bool:
            return await lags() == 0

        await until(drained)


# ---------------------------------------------------------------- parked


async def test_five_hundred_parked_messages_are_put_back_by_filter_after_a_dry_run(
    browser: Any, url: str, database: Any
) -> None:
    """They are as bad as before, so each is parked again, and says that it was here already."""
    count = "SELECT count(*) FROM parked_messages WHERE reason = 'malformed_json' AND status = $1"
    before = await database.fetchval(count, "parked")
    assert before >= 500
    async with somebody(browser, url, "olga") as page:
        await page.goto("/parked")
        await page.get_by_label("Reason", exact=True).select_option("malformed_json")
        await page.locator("main form.filters button").first.click()
        await page.get_by_role("main").get_by_role("button", name="Put back").first.click()
        dry = await main_text(page)
        assert str(before) in dry
        assert await database.fetchval(count, "redriven") == 0, "a dry run changes nothing"
        await page.get_by_role("main").locator("form[method=post]").get_by_role("button").click()
        await page.wait_for_url("**/parked?redriven=*")
        assert await database.fetchval(count, "redriven") == before

        async def parked_again() -> bool:
            again = "SELECT count(*) FROM parked_messages WHERE earlier_parked_id IS NOT NULL AND status = 'parked'"
            return bool(await database.fetchval(again) >= before)

        await until(parked_again)
        again = await database.fetchval(
            "SELECT parked_id FROM parked_messages WHERE earlier_parked_id IS NOT NULL AND status = 'parked' LIMIT 1"
        )
        earlier = await database.fetchval("SELECT earlier_parked_id FROM parked_messages WHERE parked_id = $1", again)
        await page.goto(f"/parked/{again}")
        assert earlier in await main_text(page)
