"""Running `annul` as a person would."""

import asyncio
import sys

from workers.demo.running import RunningAnnul


async def run_annul(annul: RunningAnnul, *arguments: str) -> tuple[int, str]:
    """Its exit code and what it printed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={**annul.environment, "PATH": ""},
    )
    output, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, output.decode()
