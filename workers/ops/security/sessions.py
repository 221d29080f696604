"""Sessions: rows in PostgreSQL, named by a hash of the token that only the browser has."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any, Final

from workers.ops.asking import Reader
from workers.ops.viewer import Role
from workers.store.queries import sql

_TOKEN_BYTES: Final = 32
_MOST_TOKEN: Final = 64


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

    async def begin(self, name: str, role: Role | None = None) -> str:
        """A new session's token; `role`: where an issuer gave it. Old sessions are forgotten on the way.

        Raises AwayError.
        """
        token = new_token()
        async with self._reader.transaction() as connection:
            await connection.execute(sql("delete_old_sessions"), self._idle, self._longest)
            await connection.execute(sql("insert_session"), _named(token), name, role)
        return token

    async def find(self, token: str) -> tuple[str, Role | None] | None:
        """Whose session it is, and the role that an issuer gave them; None where there is none, or its time is over.

        Raises AwayError.
        """
        if not token or len(token) > _MOST_TOKEN:
            return None
        async with self._reader.transaction() as connection:
            row: Any = await connection.fetchrow(sql("touch_session"), _named(token), self._idle, self._longest)
        return (row["name"], row["role"]) if row is not None else None

    async def end(self, token: str) -> None:
        """Sign out. Raises AwayError."""
        async with self._reader.transaction() as connection:
            await connection.execute(sql("delete_session"), _named(token))
