"""PostgreSQL, asked until it answers: the fold can't go on without."""

import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from workers.pipeline.ports import Clock
from workers.store.database import Database, is_passing

log = structlog.get_logger()
T = TypeVar("T")
_LONGEST_WAIT_S = 5.0


class Asking:
    """Repeats what fails for a passing reason; raises what doesn't pass by itself."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        """Rows of a named query."""
        return await self.until(lambda: self.database.fetch(query, *arguments))

    async def until(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` comes to, once it does."""
        wait_s = 0.1
        while True:
            try:
                return await attempt()
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("statistics.delayed", error=type(error).__name__)
                await self._clock.sleep(wait_s * (0.5 + random.random()))  # noqa: S311 - spreads retries, no secret
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
