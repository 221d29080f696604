"""PostgreSQL as a child process: fully durable, on the loopback address."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import asyncpg

from workers.local import child
from workers.local.child import Child
from workers.local.home import StackFolder
from workers.local.ports import LOOPBACK, free_port
from workers.local.postgres_files import postgres_programs, server_account

NAME: Final = "annul"  # of the superuser and of the first database
# Segments live in server memory, and large ones in the data folder: a killed server leaves nothing in /dev/shm,
# which in a container is small as well.
_SHARED_MEMORY: Final = {"dynamic_shared_memory_type": "mmap", "min_dynamic_shared_memory": "16MB"}
SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "log_checkpoints": "off",
    **_SHARED_MEMORY,
}
_UP_WITHIN_S: Final = 60.0
_STOP_GRACE_S: Final = 15.0
_POLL_S: Final = 0.02
_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class LocalPostgres:
    """One server with its data in the stack's folder; after stop or kill it starts again on the same port."""

    def __init__(self, folder: StackFolder, port: int = 0, settings: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._settings = {**SETTINGS, **(settings or {})}
        self._port = port or free_port()
        self._account = server_account()
        self._data = folder.path / "postgres" / "data"
        self._child: Child | None = None

    @property
    def dsn(self) -> str:
        return self._dsn(NAME)

    def _dsn(self, database: str) -> str:
        return f"postgresql://{NAME}@{LOOPBACK}:{self._port}/{database}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self._child.is_running else None

    async def start(self) -> None:
        """Returns when it takes connections; after a kill that is after its recovery."""
        if self._child:
            if self._child.is_running:
                return
            await self._child.wait()
        programs = await postgres_programs(self._folder, self._account)
        if not self._data.exists():
            await self._initialise(str(programs / "initdb"))
        options = [part for key, value in self._settings.items() for part in ("-c", f"{key}={value}")]
        self._child = await Child.start(
            self._folder,
            "postgres",
            [str(programs / "postgres"), "-D", str(self._data), "-p", str(self._port), *options],
            env=child.clean_environment(),
            # At our death: at once, but taking its own children and shared memory along.
            death_signal=signal.SIGQUIT,
            account=self._account,
            cwd=self._data.parent,
        )
        await self._child.come_up(self._answers(), _UP_WITHIN_S)

    async def _initialise(self, initdb: str) -> None:
        # 0.3 s; a cached copy of the result would take 0.1 s, and Kafka is still starting by then.
        parent = self._data.parent
        parent.mkdir(mode=0o700, exist_ok=True)
        if self._account:
            os.chown(parent, self._account.uid, self._account.gid)
        fresh = parent / "new"
        shutil.rmtree(fresh, ignore_errors=True)
        argv = [initdb, "-D", str(fresh), "-U", NAME, "--auth=trust", "--encoding=UTF8", "--locale=C"]
        # The builtin collation is the same on every machine, and sorts as fast as bytes.
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"]
        argv += [f"--set={key}={value}" for key, value in _SHARED_MEMORY.items()]
        await child.run(self._folder, "initdb", argv, account=self._account, log_name="postgres")
        fresh.rename(self._data)

    async def stop(self, *, discard: bool = False) -> None:
        """End it in order, open connections closed; `discard` when nobody wants the data any more."""
        if self._child:
            await self._child.stop(signal.SIGQUIT if discard else signal.SIGINT, _STOP_GRACE_S)

    def kill(self) -> None:
        """SIGKILL for the server and all its processes, as when the machine fails it."""
        if self._child:
            self._child.kill()

    async def create_database(self, name: str, *, template: str = "template1") -> str:
        """Create a database, by default an empty one, and say where it is."""
        await self._execute(f"CREATE DATABASE {_identifier(name)} TEMPLATE {_identifier(template)}")
        return self._dsn(name)

    async def drop_database(self, name: str) -> None:
        """Drop it if it's there, whoever is connected."""
        await self._execute(f"DROP DATABASE IF EXISTS {_identifier(name)} WITH (FORCE)")

    async def _execute(self, statement: str, *arguments: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._dsn("postgres"))
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def _answers(self) -> None:
        while not await self._is_ours():  # noqa: ASYNC110  no event tells of other processes
            await asyncio.sleep(_POLL_S)
        if not await self._execute("SELECT FROM pg_database WHERE datname = $1", NAME):
            await self.create_database(NAME)

    async def _is_ours(self) -> bool:
        # Somebody else's server on that port would answer too, while ours ends for want of it.
        with suppress(OSError, asyncpg.PostgresError):
            ((where,),) = await self._execute("SELECT current_setting('data_directory')")
            return bool(where == str(self._data))
        return False


def _identifier(name: str) -> str:
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"not a plain database name: {name!r}")
    return name
