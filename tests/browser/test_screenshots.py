"""Every page as a picture, light and dark, wide and on a phone. By `make screenshots`; somebody looks at them."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from kit.browser import PHONE, SCHEMES, WIDE, pages_of, somebody

from workers.demo.running import RunningAnnul

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif("ANNUL_SCREENSHOTS" not in os.environ, reason="by `make screenshots`"),
]


@pytest.fixture
def folder() -> Path:
    made = Path(os.environ["ANNUL_SCREENSHOTS"])
    made.mkdir(parents=True, exist_ok=True)
    return made


async def test_every_page_is_drawn(annul: RunningAnnul, browser: Any, url: str, folder: Path) -> None:
    drawn = 0
    paths = await pages_of(annul.stack.dsn)
    for scheme in SCHEMES:
        for name, size in (("wide", WIDE), ("phone", PHONE)):
            async with somebody(browser, url, "anna", scheme=scheme, size=size) as page:
                for path in paths:
                    await page.goto(path)
                    file = re.sub(r"\W+", "_", path).strip("_") or "overview"
                    await page.screenshot(path=str(folder / f"{file[:80]}-{name}-{scheme}.png"), full_page=True)
                    drawn += 1
            async with somebody(browser, url, scheme=scheme, size=size) as page:
                await page.goto("/sign-in")
                await page.screenshot(path=str(folder / f"sign_in-{name}-{scheme}.png"), full_page=True)
    assert drawn == 4 * len(paths)
