"""Where local stacks keep their data, which of them are alive, and the end of those whose owner died.

`<base>/<kind>-<owner pid>-<random>` belongs to one running stack, `<base>/cache` to all of them.
"""

import asyncio
import fcntl
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

import psutil

from workers.local import reaper

FOLDER_VARIABLE: Final = "ANNUL_LOCAL_DIR"
KEPT_LOGS: Final = 20  # logs of failed stacks; older ones make room
_NAME: Final = re.compile(r"[a-z][a-z0-9]*-(?P<owner>\d+)-[0-9a-f]{8}")
_POLL_S: Final = 0.05
_REMOVE_TRIES: Final = 20


@dataclass(slots=True)
class StackState:
    """What others may want to know of a stack; `stack.json`."""

    kind: str
    owner: reaper.ProcessId
    children: list[reaper.ProcessId] = field(default_factory=list)
    kafka_bootstrap: str = ""
    database_url: str = ""
    provider_urls: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Self:
        raw = json.loads(text)
        raw["owner"] = reaper.ProcessId(**raw["owner"])
        raw["children"] = [reaper.ProcessId(**child) for child in raw["children"]]
        return cls(**raw)


@dataclass(slots=True)
class StackFolder:
    """One stack's folder and the state written there."""

    path: Path
    state: StackState

    @classmethod
    def create(cls, kind: str) -> Self:
        name = f"{kind}-{os.getpid()}-{secrets.token_hex(4)}"
        if not _NAME.fullmatch(name):
            raise ValueError(f"a stack's kind is lower-case letters and digits, not {kind!r}")
        folder = cls(make_folder(base() / name), StackState(kind, reaper.identify(os.getpid(), "owner")))
        folder.save()
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        return cls(path, StackState.from_json((path / "stack.json").read_text()))

    def record(self, name: str, pid: int) -> None:
        """Write down a child, so that it can be found when we are gone."""
        try:
            self.state.children.append(reaper.identify(pid, name))
        except psutil.NoSuchProcess:
            return
        self.save()

    def forget(self, pid: int) -> None:
        self.state.children = [child for child in self.state.children if child.pid != pid]
        self.save()

    def save(self) -> None:
        """Write `state`; who changes a field of it calls this. Readers see the old or the new one, whole."""
        if self.path.exists():
            draft = self.path / ".stack.json"
            draft.touch(mode=0o600)  # settings may hold (simulated) secrets
            draft.write_text(json.dumps(asdict(self.state), indent=2))
            draft.rename(self.path / "stack.json")

    def remove(self, *, keep_logs: bool = False) -> Path | None:
        """Delete the data; the logs too, or move them aside and say where."""
        kept = self._keep_logs() if keep_logs else None
        for _ in range(_REMOVE_TRIES):
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                break
            time.sleep(_POLL_S)  # a last process of initdb's still writes
        return kept

    def _keep_logs(self) -> Path:
        shelf = make_folder(base() / "kept")
        oldest_first = sorted(shelf.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in oldest_first[: -KEPT_LOGS + 1]:
            shutil.rmtree(old, ignore_errors=True)
        kept = make_folder(shelf / self.path.name)
        for log in self.path.glob("*.log"):
            log.rename(kept / log.name)
        return kept


def base() -> Path:
    """The folder of all local data of this user.

    Not in a home: as root, PostgreSQL runs as another user, who has to get in without anyone's home being opened.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    path = Path(chosen or f"/var/tmp/annul-{os.getuid()}").absolute()  # noqa: S108  ownership is checked below
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        make_folder(path)
    elif not chosen and (path.is_symlink() or path.stat().st_uid != os.getuid()):
        raise PermissionError(f"{path} belongs to somebody else; set {FOLDER_VARIABLE} to a folder of yours")
    return path


def make_folder(path: Path) -> Path:
    """Create a folder that others can pass through; listing it stays ours."""
    path.mkdir(exist_ok=True)
    path.chmod(0o711)
    return path


def cache() -> Path:
    """What all stacks share and can be had again."""
    return make_folder(base() / "cache")


@asynccontextmanager
async def lock(name: str) -> AsyncIterator[None]:
    """One process at a time of all that share the cache; the kernel lets go when the holder dies."""
    with (cache().resolve().parent / f"{name}.lock").open("w") as file:
        while not _locked(file.fileno(), wait=False):  # noqa: ASYNC110  no event tells of other processes
            await asyncio.sleep(_POLL_S)
        yield


@contextmanager
def _blocking_lock(name: str) -> Iterator[None]:
    with (base() / f"{name}.lock").open("w") as file:
        _locked(file.fileno(), wait=True)
        yield


def _locked(descriptor: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def live_stacks() -> list[StackFolder]:
    """The stacks whose owner lives, oldest first."""
    return sorted(
        (folder for folder in _folders() if reaper.is_alive(folder.state.owner)),
        key=lambda folder: folder.state.owner.started_s,
    )


def _folders() -> Iterator[StackFolder]:
    for path in base().iterdir():
        if _NAME.fullmatch(path.name):
            with suppress(FileNotFoundError):  # just being made, or removed
                yield StackFolder.open(path)


def _half_folders() -> Iterator[Path]:
    """Folders whose owner died while it made or removed them."""
    for path in base().iterdir():
        name = _NAME.fullmatch(path.name)
        if name and not (path / "stack.json").exists() and not psutil.pid_exists(int(name["owner"])):
            yield path


def sweep_stale() -> list[Path]:
    """End what dead owners left running, and remove their folders. Returns the folders removed."""
    swept = []
    with _blocking_lock("sweep"):
        for folder in _folders():
            if not reaper.is_alive(folder.state.owner):
                reaper.end_all(folder.path, folder.state.children)
                folder.remove()
                swept.append(folder.path)
        for path in _half_folders():
            shutil.rmtree(path, ignore_errors=True)
            swept.append(path)
    return swept
