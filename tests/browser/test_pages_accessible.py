"""Every page: no violation of WCAG 2.2 AA that axe-core knows of, light and dark; nothing sticks out on a phone."""

import os
from typing import Any

import pytest
from kit.browser import PHONE, SCHEMES, Scheme, pages_of, somebody, sticks_out, violations

from workers.demo.running import RunningAnnul

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif("ANNUL_BROWSER" not in os.environ, reason="by `make browser`"),
]


async def test_axe_would_see_what_is_wrong(browser: Any, url: str) -> None:
    async with somebody(browser, url) as page:
        await page.goto("/sign-in")
        await page.eval_on_selector_all("label", "all => all.forEach(one => one.remove())")
        assert any(one.startswith("label:") for one in await violations(page))


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_axe_finds_nothing_on_any_page(annul: RunningAnnul, browser: Any, url: str, scheme: Scheme) -> None:
    found: dict[str, list[str]] = {}
    async with somebody(browser, url, "anna", scheme=scheme) as page:
        for path in await pages_of(annul.stack.dsn):
            await page.goto(path)
            if wrong := await violations(page):
                found[path] = wrong
    async with somebody(browser, url, scheme=scheme) as page:
        await page.goto("/sign-in")
        found |= {"signed out": wrong} if (wrong := await violations(page)) else {}
    assert not found, "\n".join(f"{path}\n  " + "\n  ".join(wrong) for path, wrong in found.items())


async def test_nothing_sticks_out_of_any_page_on_a_phone(annul: RunningAnnul, browser: Any, url: str) -> None:
    async with somebody(browser, url, "anna", size=PHONE) as page:
        wide = {}
        for path in await pages_of(annul.stack.dsn):
            await page.goto(path)
            if pixels := await sticks_out(page):
                wide[path] = pixels
    assert not wide
