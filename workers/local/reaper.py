"""Telling our processes from all others, and ending exactly those."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

MARKER: Final = "ANNUL_LOCAL_STACK"  # in the environment of all that a stack starts: its folder
_END_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process for all time: the system uses a pid again, but never with the same start."""

    pid: int
    started_s: float  # after boot: steady when somebody sets the clock
    name: str


def identify(pid: int, name: str) -> ProcessId:
    return ProcessId(pid, _started_s(psutil.Process(pid)), name)


def _started_s(process: psutil.Process) -> float:
    return round(process.create_time() - psutil.boot_time(), 2)


def _find(known: ProcessId) -> psutil.Process | None:
    """The process, if it still is the same one and has not ended."""
    try:
        process = psutil.Process(known.pid)
        # A zombie has ended; whether its parent ever asks is not our matter.
        if process.status() != psutil.STATUS_ZOMBIE and _started_s(process) == known.started_s:
            return process
    except psutil.Error:
        pass
    return None


def is_alive(known: ProcessId) -> bool:
    return _find(known) is not None


def end_all(folder: Path, recorded: Iterable[ProcessId]) -> None:
    """SIGKILL for the recorded processes and for whatever else that stack started."""
    deadline = time.monotonic() + _END_WITHIN_S
    known = list(recorded)
    # Again until nothing is left: one may have started another between our look and our kill.
    while left := {process.pid: process for process in [*filter(None, map(_find, known)), *_marked(folder)]}:
        for process in left.values():
            _kill(process)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of {folder} don't end: {sorted(left)}")
        time.sleep(_POLL_S)


def _marked(folder: Path) -> Iterable[psutil.Process]:
    """Processes of that stack by the marker in their environment, or by a server's command line.

    Naming the folder is not enough: that may be a person reading its logs.
    """
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        if process.pid in ours:
            continue
        try:
            if process.status() != psutil.STATUS_ZOMBIE and _belongs(process, folder):
                yield process
        except psutil.Error:  # gone, or another user's
            continue


def _belongs(process: psutil.Process, folder: Path) -> bool:
    # PostgreSQL writes its status over its environment, but leaves its own command line alone.
    if process.name() == "postgres":
        return any(Path(argument).is_relative_to(folder) for argument in process.cmdline())
    return process.environ().get(MARKER) == str(folder)


def kill_tree(pid: int) -> None:
    """SIGKILL for a process and all below it, leaving it no time to start another."""
    try:
        root = psutil.Process(pid)
        root.suspend()
        for process in [*root.children(recursive=True), root]:
            _kill(process)
    except psutil.NoSuchProcess:
        return


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
