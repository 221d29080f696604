"""Every page as a picture, light and dark, wide and on a phone, in both languages; and whatever can be wrong.

By `make screenshots`; somebody looks at them.
"""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from kit.browser import PHONE, SCHEMES, WIDE, Scheme, examples_of, pages_of, somebody
from kit.browser_scenes import SCENES, half_there

from workers.demo.running import RunningAnnul

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif("ANNUL_SCREENSHOTS" not in os.environ, reason="by `make screenshots`"),
]
_SIZES = {"wide": WIDE, "phone": PHONE}
_IN_FRENCH = {("wide", "light"), ("phone", "dark")}


@pytest.fixture
def folder() -> Path:
    made = Path(os.environ["ANNUL_SCREENSHOTS"])
    made.mkdir(parents=True, exist_ok=True)
    return made


async def draw(page: Any, folder: Path, name: str, size: str, scheme: Scheme, language: str = "en") -> None:
    file = re.sub(r"\W+", "_", name).strip("_") or "overview"
    await page.screenshot(path=str(folder / f"{file[:80]}-{size}-{scheme}-{language}.png"), full_page=True)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", list(_SIZES))
async def test_every_page_is_drawn(
    annul: RunningAnnul, browser: Any, url: str, folder: Path, scheme: Scheme, size: str
) -> None:
    paths = await pages_of(annul.stack.dsn)
    assert len(paths) > len(SCENES)
    for language in ("en", "fr") if (size, scheme) in _IN_FRENCH else ("en",):
        locale = {"en": "en-GB", "fr": "fr-FR"}[language]
        async with somebody(browser, url, "anna", scheme=scheme, size=_SIZES[size], locale=locale) as page:
            for path in paths:
                await page.goto(path)
                await draw(page, folder, path, size, scheme, language)
        async with somebody(browser, url, scheme=scheme, size=_SIZES[size], locale=locale) as page:
            await page.goto("/sign-in")
            await draw(page, folder, "signed_out", size, scheme, language)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", list(_SIZES))
async def test_whatever_can_be_wrong_is_drawn(
    annul: RunningAnnul, browser: Any, url: str, folder: Path, scheme: Scheme, size: str
) -> None:
    where = await examples_of(annul.stack.dsn)
    for name, (who, scene) in SCENES.items():
        async with somebody(browser, url, who, scheme=scheme, size=_SIZES[size]) as page:
            await scene(page, where)
            await draw(page, folder, f"scene_{name}", size, scheme)
    async with (
        half_there(annul.stack.dsn) as pages,
        somebody(browser, url, scheme=scheme, size=_SIZES[size], scripts=False) as page,
    ):
        for name, address in pages.items():
            await page.goto(address)
            await draw(page, folder, f"scene_{name}", size, scheme)
