"""A fresh database for every test: copied from a migrated one, on a server that all tests share."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from itertools import count
from typing import Any, Final, Self
from urllib.parse import urlsplit

import asyncpg
import pytest

from kit.own_stacks import in_memory
from workers.local.home import StackFolder
from workers.local.postgres import LocalPostgres
from workers.store.database import Database
from workers.store.migrate import migrate

MIGRATED: Final = "migrated"
_AHEAD = 2
_SETTINGS = {
    # Tests end processes, not machines: what is written need not reach the disk.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Nothing is replicated: then a copied database is not written to the log as well.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    # It would pick some of these short-lived databases by chance.
    "autovacuum": "off",
}
# Measured, a copy and its end: 15 ms of CPU in memory by files, 25 ms by the log; on a disk 60 ms by the log, by files
# 130 to 300 ms.
_STRATEGY = "FILE_COPY" if in_memory() else "WAL_LOG"


class Copies:
    """Copies of a database. One or two are made ahead, and others dropped behind, while tests run."""

    def __init__(self, server: LocalPostgres, admin: Any) -> None:
        self._server = server
        self._admin = admin
        self._numbers = count(1)
        self._ahead: defaultdict[str, deque[asyncio.Task[str]]] = defaultdict(deque)
        self._dropping: asyncio.Task[None] | None = None

    async def take(self, template: str = MIGRATED) -> str:
        """The address of a copy that nobody has."""
        ahead = self._ahead[template]
        while len(ahead) <= _AHEAD:
            ahead.append(asyncio.create_task(self._copy(f"{template}_{next(self._numbers)}", template)))
        return await ahead.popleft()

    async def _copy(self, name: str, template: str) -> str:
        await self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY {_STRATEGY}")
        return urlsplit(self._server.dsn)._replace(path=f"/{name}").geturl()

    async def drop(self, url: str) -> None:
        """Not needed any more. Nobody waits for that but the next one."""
        if self._dropping is not None:
            await self._dropping
        self._dropping = asyncio.create_task(self._drop(urlsplit(url).path.removeprefix("/")))

    async def _drop(self, name: str) -> None:
        await self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*(copying for ahead in self._ahead.values() for copying in ahead))
        if self._dropping is not None:
            await self._dropping


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[LocalPostgres]:
    """The server, with the database that the others are copied from."""
    folder = StackFolder.create("test")
    server = LocalPostgres(folder, settings=_SETTINGS)
    try:
        await server.start()
        await migrate(await server.create_database(MIGRATED))
        yield server
    finally:
        await server.stop(discard=True)
        folder.remove()


@pytest.fixture(scope="session")
async def copies(postgres: LocalPostgres) -> AsyncIterator[Copies]:
    """Where fresh databases come from."""
    async with asyncpg.create_pool(postgres.dsn, min_size=0, max_size=_AHEAD + 1) as admin:
        made = Copies(postgres, admin)
        yield made
        await made.close()


@pytest.fixture
async def database_url(copies: Copies) -> AsyncIterator[str]:
    """Of a migrated and empty database that is the test's own."""
    url = await copies.take()
    yield url
    await copies.drop(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """That database as workers reach it."""
    made = Database(database_url)
    yield made
    await made.close()


@pytest.fixture
async def observer(database_url: str) -> AsyncIterator[Any]:
    """A connection of the test itself, to look at rows and to get in the way."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def set_clock(observer: Any, now: datetime) -> None:
    """From now on it is `now` for everyone who asks this database, until it is set again."""
    await observer.execute(
        """CREATE TABLE IF NOT EXISTS test_clock (now timestamptz NOT NULL);
           CREATE OR REPLACE FUNCTION annul_now() RETURNS timestamptz LANGUAGE sql VOLATILE
           AS 'SELECT now FROM public.test_clock';
           DELETE FROM test_clock;"""
    )
    await observer.execute("INSERT INTO test_clock VALUES ($1)", now)


async def cut_others(observer: Any) -> int:
    """End every other connection to this database, as a failover does; how many there were."""
    cut: int = await observer.fetchval(
        """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    )
    return cut


async def until_someone_waits(observer: Any) -> None:
    """Returns once a transaction of this database waits for another one's lock."""
    waits = """SELECT EXISTS (SELECT FROM pg_stat_activity
                               WHERE datname = current_database() AND wait_event_type = 'Lock')"""
    async with asyncio.timeout(20):
        while not await observer.fetchval(waits):
            pass


class Gateway:
    """Stands between a process and PostgreSQL, and can keep silent: no answer, no error, as a frozen server."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.silenced = asyncio.Event()
        """Somebody asked and gets no answer."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = self._target._replace(netloc=f"{self._target.username}@127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hang(self) -> None:
        """Pass nothing on any more."""
        self._flows.clear()

    def go_on(self) -> None:
        """Pass everything on again, what was held back first."""
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._target.hostname, self._target.port)
        for task in (self._pump(reader, there[1]), self._pump(there[0], writer)):
            pumping = asyncio.create_task(task)
            self._tasks.add(pumping)
            pumping.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if not self._flows.is_set():
                    self.silenced.set()
                    await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
