"""Local stacks of a test session's own: it finds nobody else's, and nobody finds those that it starts.

Each session has a folder for them, below the one that all share; the cache and the logs of failures stay shared. A
session that was killed leaves its folder behind, and stacks in it: the next session ends and removes them.

Where the system has room for it the folder's contents lie in memory: each test's database is some hundred new files,
which cost a disk several times what the test itself does, and nobody wants them back.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Final

import psutil

from workers.local import home

MEMORY: Final = Path("/dev/shm")  # names below it are random, and made for us alone
_SHARED: Final = ("cache", "kept")
_ROOM_BYTES: Final = 3 << 30
"""Five times what two sessions at once were seen to use. A container often has far less: there tests take the disk."""


class OwnStacks:
    """Begins with the session and ends with it."""

    def __init__(self) -> None:
        self._before = os.environ.get(home.FOLDER_VARIABLE)
        shared = home.base()
        self._sessions = home.make_folder(shared / "tests")
        with _one_at_a_time(self._sessions):
            self._sweep()
            name = f"{os.getpid()}-{secrets.token_hex(4)}"
            # Held as long as this process lives: by it others know.
            self._alive = (self._sessions / f"{name}.alive").open("w")
            fcntl.flock(self._alive, fcntl.LOCK_EX)
            self.path = self._sessions / name
            if in_memory():
                self.path.symlink_to(MEMORY / f"annul-{name}")  # first of all: by it the rest is found again
            home.make_folder(self.path.resolve())
            for part in _SHARED:
                (self.path / part).symlink_to(home.make_folder(shared / part))
        os.environ[home.FOLDER_VARIABLE] = str(self.path)

    def end(self) -> None:
        """Remove the folder; what still runs in it is ended by a later session, once its owner is dead."""
        with _one_at_a_time(self._sessions):
            _remove(self.path, self._alive)
        if self._before is None:
            os.environ.pop(home.FOLDER_VARIABLE, None)
        else:
            os.environ[home.FOLDER_VARIABLE] = self._before

    def _sweep(self) -> None:
        for path in self._sessions.glob("*.alive"):
            with path.open() as alive:
                try:
                    fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                _remove(path.with_suffix(""), alive)


def in_memory() -> bool:
    """Whether there is room for sessions in memory, and programs may be run from there, as Kafka's libraries are."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return False
    found = os.statvfs(MEMORY)
    room = min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available)
    return room >= _ROOM_BYTES and not found.f_flag & os.ST_NOEXEC


def _remove(folder: Path, alive: TextIOWrapper) -> None:
    if folder.exists():
        os.environ[home.FOLDER_VARIABLE] = str(folder)
        home.sweep_stale()
        if home.live_stacks():
            alive.close()
            return
        shutil.rmtree(folder.resolve())
    if folder.is_symlink():
        folder.unlink()
    Path(alive.name).unlink()
    alive.close()


@contextmanager
def _one_at_a_time(sessions: Path) -> Iterator[None]:
    with (sessions / "sessions.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
