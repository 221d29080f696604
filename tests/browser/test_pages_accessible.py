"""Every page and scene: no violation of WCAG 2.2 AA that axe-core knows of, light and dark; nothing sticks out."""

import os
from typing import Any

import pytest
from kit.browser import PHONE, SCHEMES, WIDE, Scheme, examples_of, pages_of, somebody, sticks_out, violations
from kit.browser_scenes import SCENES, half_there

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


def told(found: dict[str, list[str]]) -> str:
    return "\n".join(f"{path}\n  " + "\n  ".join(wrong) for path, wrong in found.items())


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
    assert not found, told(found)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_axe_finds_nothing_where_something_is_wrong(
    annul: RunningAnnul, browser: Any, url: str, scheme: Scheme
) -> None:
    found: dict[str, list[str]] = {}
    where = await examples_of(annul.stack.dsn)
    for name, (who, scene) in SCENES.items():
        async with somebody(browser, url, who, scheme=scheme) as page:
            await scene(page, where)
            found |= {name: wrong} if (wrong := await violations(page)) else {}
    async with half_there(annul.stack.dsn) as pages, somebody(browser, url, scheme=scheme) as page:
        for name, address in pages.items():
            await page.goto(address)
            found |= {name: wrong} if (wrong := await violations(page)) else {}
    assert not found, told(found)


@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
@pytest.mark.parametrize("size", [PHONE, WIDE], ids=["phone", "wide"])
async def test_nothing_sticks_out_of_any_page(
    annul: RunningAnnul, browser: Any, url: str, language: str, size: tuple[int, int]
) -> None:
    """Neither a page nor a table on it: who has to push sideways at night overlooks what is there."""
    wide: dict[str, int] = {}
    async with somebody(browser, url, "anna", size=size, locale=language) as page:
        for path in await pages_of(annul.stack.dsn):
            await page.goto(path)
            if pixels := await sticks_out(page):
                wide[path] = pixels
    assert not wide
