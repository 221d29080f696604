"""One process of a stack: its own session, its log, and a life no longer than ours."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from workers.local import launcher, reaper
from workers.local.home import StackFolder

_LAUNCHER: Final = str(Path(launcher.__file__).resolve())
_TAIL_BYTES: Final = 4_000
_END_GRACE_S: Final = 5.0


class StartError(RuntimeError):
    """A program of the local stack did not come up; says why, as far as its log knows."""


@dataclass(frozen=True, slots=True)
class Account:
    """Another user of this system, to run as."""

    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


def clean_environment() -> dict[str, str]:
    """For programs that are not ours: nothing of the caller's settings reaches them."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


class Child:
    """A running process. Start it from a thread that stays: the system binds it to that thread's life."""

    def __init__(
        self, folder: StackFolder, name: str, log: Path, process: asyncio.subprocess.Process, death_signal: int
    ) -> None:
        self.name = name
        self.pid: Final = process.pid
        self._folder = folder
        self._log = log
        self._process = process
        self._death_signal = death_signal
        self._killed = False
        folder.record(name, process.pid)

    @classmethod
    async def start(
        cls,
        folder: StackFolder,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        death_signal: signal.Signals = signal.SIGKILL,
        account: Account | None = None,
        log_name: str = "",
        cwd: Path | None = None,
    ) -> Self:
        """Run `argv` with its output appended to the log; `death_signal` reaches it when we die."""
        log = folder.path / f"{log_name or name}.log"
        bound = [str(os.getpid()), str(int(death_signal)), str(account) if account else "-", *argv]
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _LAUNCHER, *bound),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**env, reaper.MARKER: str(folder.path)},
                cwd=cwd,
                # Ctrl-C in the terminal reaches us alone: we end the others, in order.
                start_new_session=True,
            )
        return cls(folder, name, log, process, death_signal)

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None and not self._killed

    def send(self, number: int) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL for it and all that it started."""
        if self._process.returncode is None:
            self._killed = True  # at once: the news of the end comes through the event loop, later
            reaper.kill_tree(self.pid)

    async def wait(self) -> int:
        code = await self._process.wait()
        self._folder.forget(self.pid)
        return code

    async def stop(self, number: int, grace_s: float) -> int:
        """Ask by signal, and insist after the grace."""
        self.send(number)
        try:
            return await asyncio.wait_for(self.wait(), grace_s)
        except TimeoutError:
            self.kill()
            return await self.wait()

    async def come_up(self, answers: Coroutine[Any, Any, None], within_s: float) -> None:
        """Wait until `answers` returns; if it doesn't, or the process ends first, end it and say why."""
        ready = asyncio.ensure_future(answers)
        ended = asyncio.ensure_future(self._process.wait())
        up = False
        try:
            done, _ = await asyncio.wait({ready, ended}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if ready in done:
                ready.result()
                up = True
        finally:
            ready.cancel()
            ended.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)
            if not up:
                await self.stop(self._death_signal, _END_GRACE_S)
        if not up:
            why = f"ended with {self.returncode}" if ended in done else f"did not answer within {within_s:.0f} s"
            raise StartError(f"{self.name} {why}; its log ends with:\n{self.log_tail()}")

    def log_tail(self) -> str:
        with self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip() or "(nothing)"


async def run(
    folder: StackFolder,
    name: str,
    argv: Sequence[str],
    *,
    account: Account | None = None,
    log_name: str = "",
    within_s: float = 60.0,
) -> None:
    """Run a program to its end; anything but success is a StartError with its last words."""
    child = await Child.start(
        folder, name, argv, env=clean_environment(), account=account, log_name=log_name, cwd=folder.path
    )
    try:
        code = await asyncio.wait_for(child.wait(), within_s)
    except BaseException:
        await child.stop(signal.SIGTERM, _END_GRACE_S)
        raise
    if code:
        raise StartError(f"{name} ended with {code}; its log ends with:\n{child.log_tail()}")
