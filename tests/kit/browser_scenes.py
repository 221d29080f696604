"""What the dashboard looks like when something is wrong, or half done: each scene as a person comes to it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from kit.browser import press, sign_in
from kit.dashboard import dashboard

Where = Mapping[str, Any]
"""Examples, by the name of a part of a path."""
Scene = Callable[[Any, Where], Awaitable[None]]
_MOST_TRIES: Final = 10


async def _refused_by_role(page: Any, where: Where) -> None:
    await page.goto(f"/refunds/{where['refund_id']}/actions")


async def _wrong_password(page: Any, where: Where) -> None:
    del where
    await sign_in(page, "vera", "not the password at all")


async def _tried_too_often(page: Any, where: Where) -> None:
    del where
    for _ in range(_MOST_TRIES):
        await sign_in(page, "mallory", "guess after guess")
        if "Too many" in await page.get_by_role("alert").inner_text():
            return
    raise AssertionError("the sign-in is not limited")


async def _moved_meanwhile(page: Any, where: Where) -> None:
    await page.goto(f"/chats/{where['conversation_id']}")
    await page.eval_on_selector_all("main input[name=revision]", "all => all.forEach(one => { one.value = '1' })")
    await page.get_by_label("Reason").last.fill("the other tab is older")
    await press(page, page.get_by_role("main").get_by_role("button", name="Keep it open"))


async def _unreadable_amount(page: Any, where: Where) -> None:
    del where
    await page.goto("/refunds?from=1.234")


async def _unreadable_address(page: Any, where: Where) -> None:
    del where
    await page.goto("/refunds?after=yesterday")


async def _forged(page: Any, where: Where) -> None:
    del where
    await page.goto("/providers/card")
    await page.get_by_label("Reason").fill("forged")
    await page.eval_on_selector_all("main input[name=csrf]", "all => all.forEach(one => { one.value = 'x' })")
    await press(page, page.get_by_role("main").get_by_role("button", name="Pause"))


async def _before_confirming(page: Any, where: Where) -> None:
    await page.goto(f"/refunds/{where['refund_id']}/actions/release")
    await page.get_by_label("Reason").fill("the provider says that it went through")
    await press(page, page.get_by_role("button", name="Show what it would do"))


async def _without_a_reason(page: Any, where: Where) -> None:
    await page.goto(f"/refunds/{where['refund_id']}/actions/release")
    await page.get_by_label("Reason").fill("   ")
    await press(page, page.get_by_role("button", name="Show what it would do"))


async def _ask_for_a_redirect(page: Any, where: Where) -> None:
    await page.goto(f"/refunds/{where['refund_id']}/actions/redirect")
    await page.get_by_label("Reason").fill("the card is closed, says the client")
    await press(page, page.get_by_role("button", name="Show what it would do"))
    await press(page, page.get_by_role("button", name="Ask for approval"))


async def _waits_for_a_second_person(page: Any, where: Where) -> None:
    await page.goto("/refunds")
    waiting = page.get_by_role("region", name="Actions that wait").get_by_role("link", name="Redirect")
    if await waiting.count():
        await page.goto(await waiting.first.get_attribute("href"))
    else:
        await _ask_for_a_redirect(page, where)
    assert "waits for a second person" in await page.locator(".verdict").inner_text()


async def _asked_already(page: Any, where: Where) -> None:
    await _ask_for_a_redirect(page, where)
    assert await page.get_by_role("alert").is_visible()


async def _chain_verified(page: Any, where: Where) -> None:
    del where
    await page.goto("/audit?verify=1")


SCENES: Final[Mapping[str, tuple[str | None, Scene]]] = {
    "refused_by_role": ("vera", _refused_by_role),
    "forged": ("olga", _forged),
    "wrong_password": (None, _wrong_password),
    "tried_too_often": (None, _tried_too_often),
    "moved_meanwhile": ("olga", _moved_meanwhile),
    "unreadable_amount": ("vera", _unreadable_amount),
    "unreadable_address": ("vera", _unreadable_address),
    "before_confirming": ("olga", _before_confirming),
    "without_a_reason": ("olga", _without_a_reason),
    "waits_for_a_second_person": ("olga", _waits_for_a_second_person),
    "asked_already": ("oskar", _asked_already),
    "chain_verified": ("vera", _chain_verified),
}
"""By name: who comes to it, and how."""


@asynccontextmanager
async def half_there(dsn: str) -> AsyncIterator[Mapping[str, str]]:
    """Dashboards on which something is away, without users: the address of a page of each, by name."""
    nowhere = "postgresql://annul@127.0.0.1:1/annul"
    async with dashboard(dsn) as without_kafka, dashboard(nowhere) as without_database:
        yield {
            "kafka_away": f"{without_kafka}/",
            "kafka_away_consumers": f"{without_kafka}/consumers",
            "kafka_away_sellers": f"{without_kafka}/sellers",
            "database_away": f"{without_database}/",
        }
