"""Debian's Chromium, and somebody in front of it who looks at the dashboard."""

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import asyncpg
from starlette.routing import Route

from workers.ops.assembly import routes

Scheme = Literal["light", "dark"]
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
PASSWORD: Final = "correct horse battery"
PEOPLE: Final[Mapping[str, Literal["viewer", "operator", "approver"]]] = {
    "vera": "viewer",
    "olga": "operator",
    "oskar": "operator",
    "anna": "approver",
}
WIDE: Final = (1280, 900)
PHONE: Final = (360, 740)
_AXE: Final = Path(__file__).parents[1] / "browser" / "axe.min.js"
_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_EXAMPLES: Final[Mapping[str, str]] = {
    "order_id": "SELECT order_id FROM refunds ORDER BY state = 'needs_review' DESC, order_id LIMIT 1",
    "refund_id": "SELECT refund_id FROM refunds WHERE state = 'needs_review' ORDER BY refund_id LIMIT 1",
    "action": "SELECT 'look-up'",
    "action_id": "SELECT action_id FROM manual_actions ORDER BY action_id LIMIT 1",
    "parked_id": "SELECT parked_id FROM parked_messages ORDER BY parked_id LIMIT 1",
    "seller_id": "SELECT seller_id FROM sellers ORDER BY seq DESC, seller_id LIMIT 1",
    "conversation_id": "SELECT conversation_id FROM conversations WHERE close_at IS NOT NULL ORDER BY 1 LIMIT 1",
    "worker": "SELECT 'cancellations'",
    "provider": "SELECT 'paypal'",
}
"""By the name of a part of a path: what to put there."""
_BESIDE: Final = (
    "/parked-act?action=redriven&reason=malformed_json",
    "/parked-act?action=discarded&reason=malformed_json",
    "/refunds?state=needs_review",
    "/refunds?code=nothing_like_this",
    "/find?q=nothing_like_this",
    "/orders/nothing_like_this",
)
"""Pages with a filter, without anything, with an error."""
_NO_PAGES: Final = ("/events", "/parked-act", "/oidc")


@asynccontextmanager
async def chromium() -> AsyncIterator[Any]:
    """A browser without a window."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - installed for these tests alone

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program is not None, "Debian's chromium is not there: `make browser` installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def somebody(
    browser: Any,
    url: str,
    name: str | None = None,
    *,
    scheme: Scheme = "light",
    size: tuple[int, int] = WIDE,
    scripts: bool = True,
    locale: str = "en-GB",
) -> AsyncIterator[Any]:
    """A page in a browser of one's own; signed in where there is a name."""
    context = await browser.new_context(
        base_url=url,
        color_scheme=scheme,
        viewport={"width": size[0], "height": size[1]},
        locale=locale,
        java_script_enabled=scripts,
    )
    context.set_default_timeout(15_000)
    try:
        page = await context.new_page()
        if name is not None:
            await sign_in(page, name)
        yield page
    finally:
        await context.close()


async def sign_in(page: Any, name: str, password: str = PASSWORD) -> None:
    """As a person does it."""
    await page.goto("/sign-in")
    await page.locator("main input[name=name]").fill(name)
    await page.locator("main input[name=password]").fill(password)
    await press(page, page.locator("main form button"))


async def press(page: Any, button: Any) -> None:
    """Send a form, and wait for what comes back, style sheet and all."""
    async with page.expect_navigation():
        await button.click()


async def pages_of(database_url: str) -> list[str]:
    """The address of every page there is, with something on it, and of those that have nothing or fail.

    Fails where a page has no example: no page is forgotten.
    """
    examples = await examples_of(database_url)
    found = ["/sign-in"]
    for route in routes():
        if not isinstance(route, Route) or "GET" not in (route.methods or ()) or route.path.startswith(_NO_PAGES):
            continue
        parts = re.findall(r"{(\w+)(?::\w+)?}", route.path)
        assert examples.keys() >= set(parts), f"{route.path}: no example"
        if all(examples[part] is not None for part in parts):
            found.append(re.sub(r"{(\w+)(?::\w+)?}", lambda match: str(examples[match[1]]), route.path))
    return list(dict.fromkeys([*found, *_BESIDE]))


async def examples_of(database_url: str) -> dict[str, Any]:
    """What there is, by the name of a part of a path; None where there is none."""
    connection = await asyncpg.connect(database_url)
    try:
        return {name: await connection.fetchval(query) for name, query in _EXAMPLES.items()}
    finally:
        await connection.close()


async def violations(page: Any) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA on the page as it is."""
    await page.evaluate(_AXE.read_text())
    found = await page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", _TAGS
    )
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


async def sticks_out(page: Any) -> int:
    """By how many pixels the page, or a table on it, is wider than its place: what is cut, or scrolls sideways."""
    pixels: int = await page.evaluate(
        """Math.max(...[document.documentElement, ...document.querySelectorAll(".scroll")].map(
             (one) => one.scrollWidth - one.clientWidth))"""
    )
    return pixels
