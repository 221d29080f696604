"""Where quixstreams is: an environment of its own in the local cache, since it can't be installed beside Annul.

It wants older versions of libraries that Annul has newer ones of.
"""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Final

from workers.local import home

VERSION: Final = "3.28.1"
_WANTED: Final = (f"quixstreams=={VERSION}", "msgspec")
_LONGEST_S: Final = 300.0


class NotInstalledError(Exception):
    """It isn't there and can't be had; says why."""


async def quix_python(*, install: bool) -> Path:
    """The Python that has it; installed the first time, if that is wanted. Raises NotInstalledError."""
    place = home.cache() / f"quixstreams-{VERSION}"
    ready = place / "ready"
    async with home.lock("quixstreams"):
        if not ready.exists():
            if not install:
                raise NotInstalledError("not installed")
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
            await _install(place)
            ready.touch()
    return place / "bin" / "python"


async def _install(place: Path) -> None:
    steps = (
        (sys.executable, "-m", "venv", str(place)),
        (str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--retries", "1", *_WANTED),
    )
    for step in steps:
        child = await asyncio.create_subprocess_exec(
            *step, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(_LONGEST_S):
                _, told = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            raise NotInstalledError("not installed: it took too long") from None
        if child.returncode:
            last = (told.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
            raise NotInstalledError(f"not installed: {last[:200]}")
