"""Keeps processes of ours running: the workers, in the demo and in tests that kill them."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from workers.local.child import Child
from workers.local.home import StackFolder

log = structlog.get_logger()

FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 5.0
STEADY_AFTER_S: Final = 30.0  # who lived this long is not in a crash loop


@dataclass(slots=True)
class _Kept:
    """One process to keep running, through all its lives."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    child: Child | None = None
    starts: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    keeper: asyncio.Task[None] | None = None


class Supervisor:
    """Starts processes, and starts them again whenever they end while they should not."""

    def __init__(self, folder: StackFolder) -> None:
        self._folder = folder
        self._kept: dict[str, _Kept] = {}

    @property
    def names(self) -> list[str]:
        return list(self._kept)

    async def add(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Start a process, with `env` on top of our own environment; returns its first pid."""
        if name in self._kept:
            raise ValueError(f"{name} is already kept running")
        kept = _Kept(name, list(argv), {**os.environ, **(env or {})})
        self._kept[name] = kept
        kept.keeper = asyncio.create_task(self._keep(kept), name=f"keep {name}")
        return await self.started(name, 1)

    async def started(self, name: str, times: int) -> int:
        """Wait until it has been started that many times in all; returns the pid of its present life."""
        kept = self._kept[name]
        async with kept.changed:
            await kept.changed.wait_for(lambda: kept.starts >= times and kept.child is not None)
        if kept.child is None:
            raise RuntimeError(f"{name} ended")
        return kept.child.pid

    def pid(self, name: str) -> int | None:
        """None between two lives."""
        child = self._kept[name].child
        return child.pid if child and child.is_running else None

    def restarts(self, name: str) -> int:
        return max(0, self._kept[name].starts - 1)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal; nothing between two lives."""
        child = self._kept[name].child
        if child:
            child.send(number)

    async def stop_one(self, name: str, grace_s: float = 10.0) -> None:
        """SIGTERM, SIGKILL after the grace; the name is free again."""
        await self._stop(self._kept[name], grace_s)
        self._kept.pop(name, None)

    async def stop(self, grace_s: float = 10.0) -> None:
        """Stop all at once."""
        await asyncio.gather(*(self.stop_one(name, grace_s) for name in self.names))

    async def _stop(self, kept: _Kept, grace_s: float) -> None:
        kept.stopping.set()
        if kept.child:
            kept.child.send(signal.SIGTERM)
        if kept.keeper:
            done, _ = await asyncio.wait({kept.keeper}, timeout=grace_s)
            if not done:
                log.warning("process.killed", process=kept.name, grace_s=grace_s)
                if kept.child:
                    kept.child.kill()
                await kept.keeper

    async def _keep(self, kept: _Kept) -> None:
        delay_s = FIRST_DELAY_S
        clock = asyncio.get_running_loop().time
        while not kept.stopping.is_set():
            born = clock()
            try:
                code = await self._live(kept)
            except OSError as error:  # no memory, no pids: that may pass
                log.exception("process.start_failed", process=kept.name)
                code = error.errno or -1
            if kept.stopping.is_set():
                return
            if clock() - born >= STEADY_AFTER_S:
                delay_s = FIRST_DELAY_S
            log.warning("process.ended", process=kept.name, code=code, restart_in_s=delay_s)
            try:
                await asyncio.wait_for(kept.stopping.wait(), delay_s)
            except TimeoutError:
                delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    async def _live(self, kept: _Kept) -> int:
        """One life, from start to exit code."""
        child = await Child.start(self._folder, kept.name, kept.argv, env=kept.env)
        async with kept.changed:
            kept.child = child
            kept.starts += 1
            kept.changed.notify_all()
        if kept.stopping.is_set():  # it was told to while there was no process to tell
            child.send(signal.SIGTERM)
        code = await child.wait()
        kept.child = None
        return code
