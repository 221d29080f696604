"""Running `annul` as a person would."""

import asyncio
import sys
from collections.abc import Mapping
from types import MappingProxyType

from workers.demo.running import RunningAnnul


async def run_annul(
    annul: RunningAnnul, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, str]:
    """Its exit code and what it printed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={**annul.environment, "PATH": "", **environment},
    )
    output, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, output.decode()
