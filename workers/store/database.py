"""The connection pool, and which of PostgreSQL's errors pass by themselves."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from workers.store.queries import sql

_PASSING: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver's word where a connection ends as it is being used
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
)
_PERMANENT: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ClientConfigurationError,
)


class RaceLostError(Exception):
    """Another transaction made a row that this one took for absent: start again, now it is there."""


def is_passing(error: BaseException) -> bool:
    """The same work may succeed later; nothing about the message is wrong."""
    if isinstance(error, RaceLostError):
        return True
    return isinstance(error, _PASSING) and not isinstance(error, _PERMANENT)


class Database:
    """A pool made at first use, so that a process can start while PostgreSQL is away."""

    def __init__(self, url: str, *, max_connections: int = 4, command_timeout_s: float = 30.0) -> None:
        self._url = url
        self._max = max_connections
        self._command_timeout_s = command_timeout_s
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def _ready(self) -> Any:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(
                        self._url,
                        min_size=0,
                        max_size=self._max,
                        command_timeout=self._command_timeout_s,
                        timeout=5.0,
                        server_settings={"application_name": "annul", "timezone": "UTC"},
                    )
        return self._pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A connection in a transaction that commits when the block ends well."""
        pool = await self._ready()
        try:
            async with pool.acquire() as connection, connection.transaction():
                yield connection
        except Exception as error:
            # On a connection that is gone the rollback fails, and would hide that this task is to end.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError from error
            raise

    async def fetch(self, name: str, *arguments: Any) -> list[Any]:
        """Rows of a named query."""
        pool = await self._ready()
        rows: list[Any] = await pool.fetch(sql(name), *arguments)
        return rows

    async def execute(self, name: str, *arguments: Any) -> str:
        """Run a named statement."""
        pool = await self._ready()
        status: str = await pool.execute(sql(name), *arguments)
        return status

    def abandon(self) -> None:
        """Cut the connections; whoever waits for an answer on one is told so at once."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def close(self) -> None:
        """Give the connections back; ends them after a moment if something holds on."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), 3)
            except TimeoutError:
                pool.terminate()


def columns(rows: Sequence[Sequence[Any]], width: int) -> Iterable[list[Any]]:
    """Rows turned into columns, for `unnest`; `width` empty ones where there is no row."""
    return map(list, zip(*rows, strict=True)) if rows else ([] for _ in range(width))
