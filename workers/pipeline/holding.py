"""Whether a person paused a worker: it takes nothing then, and ends what it took.

The row is read once a second in the background. Until it was read once nothing is taken: who starts while paused stays
paused. What was read last holds while PostgreSQL is away.
"""

import asyncio
from typing import Final, Protocol

import structlog

from workers.pipeline.ports import Clock
from workers.store.database import Database, is_passing

log = structlog.get_logger()
LOOK_EVERY_S: Final = 1.0


class Hold(Protocol):
    """Says whether to take anything."""

    @property
    def held(self) -> bool:
        """Take nothing now."""
        ...

    async def watch(self) -> None:
        """Find out, until cancelled; raises what doesn't pass by itself."""
        ...


class NoHold:
    """For a worker that nobody can pause."""

    held = False

    async def watch(self) -> None:
        """There is nothing to find out."""
        await asyncio.Event().wait()


class PersonsHold:
    """What people say of one worker, in PostgreSQL."""

    def __init__(self, worker: str, database: Database, clock: Clock) -> None:
        self._worker = worker
        self._database = database
        self._clock = clock
        self._paused: bool | None = None

    @property
    def held(self) -> bool:
        """Take nothing now; so too while it isn't known."""
        return self._paused is not False

    async def watch(self) -> None:
        """Read the row, again and again, until cancelled."""
        while True:
            try:
                rows = await self._database.fetch("read_consumer_pause", self._worker)
                self._know(paused=bool(rows) and rows[0]["paused"])
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("consumer.pause_unread", worker=self._worker, error=type(error).__name__)
            await self._clock.sleep(LOOK_EVERY_S)

    def _know(self, *, paused: bool) -> None:
        if paused and not self._paused:
            log.warning("consumer.paused", worker=self._worker)
        elif self._paused and not paused:
            log.warning("consumer.resumed", worker=self._worker)
        self._paused = paused
