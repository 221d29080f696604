"""A connection for a question or a repair by a person: its own, for as long as that takes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from workers.settings import Settings

_PATIENCE_S: Final = 600.0
"""A check over all that ever happened may take its time; it locks nothing that a worker wants."""


_MOST_NAMED: Final = 64


def named(text: str) -> str:
    """What a person typed, as it may be repeated to them: an id has at most 64 characters."""
    return repr(text) if len(text) <= _MOST_NAMED else repr(text[:_MOST_NAMED]) + "…"


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Any]:
    """A connection. Raises OSError, TimeoutError or asyncpg.PostgresError where there is none to be had."""
    try:
        connection = await asyncpg.connect(
            settings.database_url.get_secret_value(),
            timeout=10,
            command_timeout=_PATIENCE_S,
            server_settings={"application_name": "annul-operator", "timezone": "UTC"},
        )
    except (FileNotFoundError, PermissionError) as error:  # a Unix socket that isn't there, or isn't ours
        raise ConnectionError(str(error)) from None
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@asynccontextmanager
async def snapshot(settings: Settings) -> AsyncIterator[Any]:
    """A connection on which everything is read as of one moment, and nothing can be written."""
    async with connected(settings) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        yield connection
