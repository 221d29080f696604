"""Who is known: a file with a line for each user, `name:role:hash`, the hash by argon2id."""

import asyncio
import hashlib
import re
import unicodedata
from pathlib import Path
from typing import Final

import msgspec
import structlog
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from workers.actions.rules import is_a_worker
from workers.ops.security.known import known_as
from workers.ops.viewer import RANK, Role
from workers.settings import SettingsError

log = structlog.get_logger()
_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}\Z")
_MOST_USERS: Final = 1_000
_MOST_BYTES: Final = 512 * 1024
MOST_PASSWORD: Final = 1_024
LEAST_PASSWORD: Final = 12
_MOST_KIB: Final = 1024 * 1024
"""A hash that takes more memory than a gigabyte is a slip of who made it, and would end this process."""
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
    alike: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, role, hashed = (*line.strip().split(":", 2), "", "")[:3]
        # `Ann` beside `ann` would be one person for who approves, and two for who reads the audit log.
        if not _may_be_called(name) or name.casefold() in alike or role not in RANK or not _is_hash(hashed):
            raise SettingsError(f"ANNUL_OPS_USERS_FILE, line {number}: not a new name:role:hash by argon2id")
        alike.add(name.casefold())
        users[name] = User(name, role, hashed)
    if not users or len(users) > _MOST_USERS:
        raise SettingsError(f"ANNUL_OPS_USERS_FILE names {len(users)} users; 1 to {_MOST_USERS} are possible")
    return users


def _may_be_called(name: str) -> bool:
    return bool(_NAME.match(name)) and not is_a_worker(name)


def _is_hash(text: str) -> bool:
    try:
        return text.startswith("$argon2id$") and extract_parameters(text).memory_cost <= _MOST_KIB
    except InvalidHashError:
        return False


def line_of(name: str, role: Role, password: str) -> str:
    """The file's line for a user. Raises SettingsError for a name or a password that won't do."""
    if not _may_be_called(name):
        raise SettingsError("a user's name is 1-64 characters of A-Z a-z 0-9 _ . @ -, and not a worker's")
    # What a browser's field can't hold, such as the end of a line, would be a password that nobody can type.
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD or not password.isprintable():
        raise SettingsError(f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} printable characters")
    return f"{name}:{role}:{_hasher.hash(_typed(password))}"


def _typed(password: str) -> str:
    """Keyboards differ in how they write an accent."""
    return unicodedata.normalize("NFC", password)


class Users:
    """The file as it is now: read again when it changes, so who is taken out of it is out at once."""

    def __init__(self, path: Path) -> None:
        """Raises SettingsError."""
        self._path = path
        self._stamp = self._stamp_now()
        self._known = read_users(path)
        self._nobody = next(iter(self._known.values())).hash
        # Each takes 64 MB for a moment. Strangers who try by the hundred wait for each other alone.
        self._lanes = {False: asyncio.Semaphore(2), True: asyncio.Semaphore()}

    def _stamp_now(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        # Not when it was written, which a copy may keep: when anything of it changed, who may read it included.
        return (found.st_ctime_ns, found.st_size, found.st_ino)

    def find(self, name: str) -> User | None:
        """The user as the file is now; None where there is no such user, or the file can't be read any more."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._known = read_users(self._path)
                log.info("ops.users_read", users=len(self._known))
            except SettingsError as error:
                self._known = {}  # nobody, rather than somebody who was taken out
                log.error("ops.users_unreadable", error=str(error))  # noqa: TRY400 - the line at fault says it all
        return self._known.get(name)

    def role_of(self, name: str, proof: bytes) -> Role | None:
        """The role that a user has now; None where there is no such user, or their password is another by now."""
        user = self.find(name)
        return user.role if user is not None and proof_of(user) == proof else None

    async def verify(self, name: str, password: str, *, known: bool = False) -> User | None:
        """The user, if the password is theirs. `known`: in a browser that they signed in with before."""
        user = self.find(name)
        # Somebody unknown costs as much time as somebody known.
        like = user or next(iter(self._known.values()), None)
        async with self._lanes[known]:
            typed = _typed(password[:MOST_PASSWORD])
            fits = await asyncio.to_thread(_fits, like.hash if like is not None else self._nobody, typed)
        return user if fits else None

    def known_browser(self, name: str, mark: str) -> str | None:
        """Which one it is; None where this user never signed in there with the password of now."""
        user = self.find(name)
        return known_as(user.hash, mark) if user is not None else None


def proof_of(user: User) -> bytes:
    """Changes with their password, and says nothing of it."""
    return hashlib.sha256(user.hash.encode()).digest()


def _fits(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
