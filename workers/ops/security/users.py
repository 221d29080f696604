"""Who is known: a file with a line for each user, `name:role:hash`, the hash by argon2id."""

import asyncio
import re
from pathlib import Path
from typing import Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from workers.ops.viewer import RANK, Role
from workers.settings import SettingsError

_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}\Z")
_MOST_USERS: Final = 1_000
_MOST_BYTES: Final = 512 * 1024
MOST_PASSWORD: Final = 1_024
LEAST_PASSWORD: Final = 12
_hasher: Final = PasswordHasher()


class User(msgspec.Struct, frozen=True):
    """Somebody who may sign in."""

    name: str
    role: Role
    hash: str


def read_users(path: Path) -> dict[str, User]:
    """The users by name. Raises SettingsError that names the line at fault, never its content."""
    try:
        text = path.read_bytes()[: _MOST_BYTES + 1].decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"ANNUL_OPS_USERS_FILE can't be read: {type(error).__name__}") from None
    if len(text) > _MOST_BYTES:
        raise SettingsError(f"ANNUL_OPS_USERS_FILE is over {_MOST_BYTES} bytes")
    users: dict[str, User] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, role, hashed = (*line.strip().split(":", 2), "", "")[:3]
        if not _NAME.match(name) or role not in RANK or not hashed.startswith("$argon2id$") or name in users:
            raise SettingsError(f"ANNUL_OPS_USERS_FILE, line {number}: not a new name:role:hash by argon2id")
        users[name] = User(name, role, hashed)
    if not users or len(users) > _MOST_USERS:
        raise SettingsError(f"ANNUL_OPS_USERS_FILE names {len(users)} users; 1 to {_MOST_USERS} are possible")
    return users


def line_of(name: str, role: Role, password: str) -> str:
    """The file's line for a user. Raises SettingsError for a name or a password that won't do."""
    if not _NAME.match(name):
        raise SettingsError("a user's name is 1-64 characters of A-Z a-z 0-9 _ . @ -")
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise SettingsError(f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters")
    return f"{name}:{role}:{_hasher.hash(password)}"


class Users:
    """The file as it is now: read again when it changes, so who is taken out of it is out at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = read_users(path)
        self._stamp = self._stamp_now()
        # Somebody unknown costs as much time as somebody known.
        self._nobody = _hasher.hash("nobody has this password")
        self._one_at_a_time = asyncio.Semaphore(2)

    def _stamp_now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_size)

    def role_of(self, name: str) -> Role | None:
        """The role that a user has now; None where there is no such user, or the file can't be read any more."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._known = read_users(self._path)
            except SettingsError:
                self._known = {}  # nobody, rather than somebody who was taken out
        user = self._known.get(name)
        return user.role if user is not None else None

    async def verify(self, name: str, password: str) -> Role | None:
        """The user's role if the password is theirs."""
        role = self.role_of(name)
        hashed = self._known[name].hash if role is not None else self._nobody
        async with self._one_at_a_time:  # each takes 64 MB for a moment
            fits = await asyncio.to_thread(_fits, hashed, password[:MOST_PASSWORD])
        return role if fits else None


def _fits(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
