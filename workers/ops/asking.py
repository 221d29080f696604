"""Questions to PostgreSQL for a page: few at a time, each for a short while, as of one moment, writing nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

ANSWER_S: Final = 5.0
"""A question that takes longer is given up: a page that hangs is worse than one that says so."""
_CONNECTIONS: Final = 4
_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    OSError,
    TimeoutError,
)


class AwayError(Exception):
    """PostgreSQL doesn't answer, or not in time."""


class Reader:
    """A pool of the dashboard's own: its questions never wait for a worker's, and no worker waits for them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def _ready(self) -> Any:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=_CONNECTIONS,
                    command_timeout=ANSWER_S,
                    timeout=ANSWER_S,
                    server_settings={
                        "application_name": "annul-ops",
                        "timezone": "UTC",
                        "statement_timeout": str(int(ANSWER_S * 1000)),
                    },
                )
            return self._pool

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Any]:
        """A connection on which all is read as of one moment. Raises AwayError."""
        try:
            pool = await self._ready()
            async with (
                pool.acquire(timeout=ANSWER_S) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield connection
        except _AWAY as error:
            raise AwayError(type(error).__name__) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A connection for what the dashboard itself keeps and what a person does. Raises AwayError."""
        try:
            pool = await self._ready()
            async with pool.acquire(timeout=ANSWER_S) as connection, connection.transaction():
                yield connection
        except _AWAY as error:
            raise AwayError(type(error).__name__) from error

    async def close(self) -> None:
        """Give the connections back."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()
