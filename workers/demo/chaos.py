"""Breaking things while traffic flows: kill -9 of every worker in turn, PostgreSQL or Kafka gone for a while."""

import asyncio
import signal

from rich.console import Console

from workers.demo.running import RunningAnnul

_BETWEEN_KILLS_S = 1.0
_FIRST_S = 2.0


async def break_things(
    annul: RunningAnnul, console: Console, *, kill: bool, outage: str | None, outage_s: float
) -> None:
    """Do what was asked for, once; returns when all of it is over and everything runs again."""
    if kill or outage:
        await asyncio.sleep(_FIRST_S)
    if kill:
        await _kill_each(annul, console)
    if outage:
        await _take_away(annul, console, outage, outage_s)


async def _kill_each(annul: RunningAnnul, console: Console) -> None:
    for name in annul.health:
        supervisor = annul.stack.supervisor
        times = supervisor.restarts(name) + 2
        supervisor.kill(name, signal.SIGKILL)
        console.print(f"kill -9 {name}")
        await supervisor.started(name, times)
        await asyncio.sleep(_BETWEEN_KILLS_S)
    await annul.wait_ready()


async def _take_away(annul: RunningAnnul, console: Console, what: str, seconds: float) -> None:
    part = annul.stack.postgres if what == "postgres" else annul.stack.kafka
    if part is None:
        console.print(f"{what} is not ours to stop")
        return
    console.print(f"{what} stopped for {seconds:g} s")
    part.kill()
    await asyncio.sleep(seconds)
    await part.start()
    console.print(f"{what} is back")
