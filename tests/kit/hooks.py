"""Making something happen at a point of a process's work: it is held there, or told that it can't be done now."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from workers.pipeline.ports import BrokerError

Moment = Literal["start", "poll", "send", "sending", "sent", "commit", "committed"]
"""Points in the work of a broker's client; `sending` lies before each single record."""
Hook = Callable[[], Awaitable[None]]


class Hold:
    """Stops whoever comes by, after the first `let_by`, until let go; tells that somebody is held."""

    def __init__(self, let_by: int = 0) -> None:
        self.reached = asyncio.Event()
        self._let_by = let_by
        self._open = asyncio.Event()

    async def __call__(self) -> None:
        if self._let_by > 0:
            self._let_by -= 1
            return
        self.reached.set()
        await self._open.wait()

    def let_go(self) -> None:
        """Whoever is held goes on, and nobody is held any more."""
        self._open.set()


class Fails:
    """The broker can't do it now, `times` times after the first `let_by`."""

    def __init__(self, times: int, let_by: int = 0) -> None:
        self._times = times
        self._let_by = let_by

    async def __call__(self) -> None:
        if self._let_by > 0:
            self._let_by -= 1
        elif self._times > 0:
            self._times -= 1
            raise BrokerError("not now")
