"""Bringing the database to this version. Safe to repeat, and safe when several processes try at once."""

from importlib.resources import as_file, files
from typing import Final

import asyncpg
from asyncpg_trek import Direction, execute, plan
from asyncpg_trek.asyncpg import AsyncpgBackend

REVISION: Final = "r005"
_LOCK: Final = 0x616E6E756C  # "annul"


async def migrate(url: str) -> int:
    """Apply what is missing; how many steps that were."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        backend = AsyncpgBackend(connection, schema="annul_migrations")
        with as_file(files("workers.store").joinpath("migrations")) as folder:
            steps = await plan(backend, folder, target_revision=REVISION, direction=Direction.up)
        await execute(backend, steps)
        return len(steps)
    finally:
        await connection.close()
