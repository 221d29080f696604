"""What every command needs: settings as a person has them, and an event loop."""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from workers.settings import Settings

T = TypeVar("T")


def operator_settings(*needed: str) -> Settings:
    """Settings for a person's command: from the environment, and what is not there from the local stack that runs."""
    try:
        from workers.local.home import live_stacks  # noqa: PLC0415 - a production installation has no local stack
    except ImportError:
        stacks = []
    else:
        stacks = [folder.state.settings for folder in live_stacks() if folder.state.settings]
    if stacks:
        for name, value in stacks[-1].items():
            os.environ.setdefault(name, value)
    settings = Settings.read()
    settings.need(*needed)
    return settings


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
