"""Running `annul` as a person would."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from workers import cli
from workers.demo.running import RunningAnnul

Annul = Callable[..., Coroutine[Any, Any, int]]
"""Runs the console script in this process with these arguments; gives its exit code."""


def console_script(monkeypatch: pytest.MonkeyPatch, folder: Path, database_url: str, *before: str) -> Annul:
    """`annul` beside a database, as a person calls it; `before` are arguments that each call begins with."""
    monkeypatch.setenv("ANNUL_DATABASE_URL", database_url)
    monkeypatch.setenv("ANNUL_LOCAL_DIR", str(folder))  # no running local stack's settings
    monkeypatch.setattr(cli, "quiet_logging", lambda: None)  # other tests look at logs

    def call() -> int:
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    async def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["annul", *before, *arguments])
        return await asyncio.to_thread(call)

    return run


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
