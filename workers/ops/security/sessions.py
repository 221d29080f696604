"""Sessions: rows in PostgreSQL, named by a hash of the token that only the browser has."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any, Final

import msgspec

from workers.ops.asking import Reader
from workers.ops.viewer import Role
from workers.store.queries import sql

_TOKEN_BYTES: Final = 32
_MOST_TOKEN: Final = 64


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Whose it is. `role`: as an issuer said; `proof`: of what they proved who they are by."""

    name: str
    role: Role | None
    proof: bytes


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Whose session it was, and what their issuer wants back."""

    name: str
    id_token: str | None


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def csrf_of(token: str) -> str:
    """What a form of a session has to bring: it follows from the token, and the token doesn't follow from it."""
    return hashlib.sha256(b"csrf:" + token.encode()).hexdigest()


def _named(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Sessions:
    """`idle`: since the last request; `longest`: since sign-in."""

    def __init__(self, reader: Reader, *, idle: timedelta, longest: timedelta) -> None:
        self._reader = reader
        self._idle = idle
        self._longest = longest

    async def begin(self, name: str, proof: bytes, role: Role | None = None, id_token: str | None = None) -> str:
        """A new session's token; `role`: where an issuer gave it. Old sessions are forgotten on the way.

        Raises AwayError.
        """
        token = new_token()
        async with self._reader.transaction() as connection:
            await connection.execute(sql("delete_old_sessions"), self._idle, self._longest)
            await connection.execute(sql("insert_session"), _named(token), name, role, proof, id_token)
        return token

    async def find(self, token: str, *, somebody_there: bool = True) -> Session | None:
        """The session; None where there is none, or its time is over.

        `somebody_there`: it goes on. What a page asks for by itself doesn't say that. Raises AwayError.
        """
        if not token or len(token) > _MOST_TOKEN:
            return None
        async with self._reader.transaction() as connection:
            times = (self._idle, self._longest)
            row: Any = await connection.fetchrow(sql("touch_session"), _named(token), *times, somebody_there)
        return Session(**row) if row is not None else None

    async def end(self, token: str) -> Ended | None:
        """Sign out; None where there was no session. Raises AwayError."""
        async with self._reader.transaction() as connection:
            row = await connection.fetchrow(sql("delete_session"), _named(token))
        return Ended(**row) if row is not None else None
