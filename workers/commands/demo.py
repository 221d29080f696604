"""`annul demo` and `annul up` for people."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from rich.console import Console

from workers.demo import run as demo
from workers.demo import up

T = TypeVar("T")


async def run_demo(wishes: demo.Wishes) -> bool:
    """True if all is well."""
    return bool(await _ended_by_signals(demo.run(wishes, Console())))


async def run_up() -> None:
    """Until Ctrl-C or SIGTERM."""
    await _ended_by_signals(up.run(Console()))


async def _ended_by_signals(work: Coroutine[Any, Any, T]) -> T | None:
    """Ctrl-C and SIGTERM end the work in order; None then."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)
