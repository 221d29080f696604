"""Stripe's own mock server, built from the Go module proxy into a cache folder, running for a while."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

VERSION: Final = "v0.203.0"
MODULE: Final = "github.com/stripe/stripe-mock"
_LISTENS: Final = re.compile(rb"Listening for HTTP at address: .*?:(\d+)\s*$")


class Unavailable(Exception):
    """There is no Go here, or the module can't be built."""


async def build() -> Path:
    """The program; built once a version. Raises Unavailable."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "annul-mocks" / VERSION
    program = folder / "stripe-mock"
    if program.is_file():
        return program
    command = shutil.which("go")
    if command is None:
        raise Unavailable("Go is not on the PATH")
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-modcacherw"}
    building = await asyncio.create_subprocess_exec(
        command, "install", f"{MODULE}@{VERSION}", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await building.communicate()
    if building.returncode or not program.is_file():
        raise Unavailable(said.decode(errors="replace")[-2000:])
    return program


@asynccontextmanager
async def stripe_mock() -> AsyncIterator[str]:
    """Its base URL, on a port that it chose itself. Raises Unavailable."""
    program = await build()
    running = await asyncio.create_subprocess_exec(
        str(program), "-http-addr", "127.0.0.1:", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert running.stdout is not None
    reading = None
    try:
        async with asyncio.timeout(30):
            while (found := _LISTENS.search(line := await running.stdout.readline())) is None:
                if not line:
                    raise Unavailable("it ended before it listened")
        # What it says from now on is read, lest it wait for a reader.
        reading = asyncio.create_task(running.stdout.read())
        yield f"http://127.0.0.1:{int(found.group(1))}"
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()
        if reading is not None:
            await reading
