"""How long the dashboard waits for who connects and doesn't ask."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S: Final = 10.0
MOST_HEAD_BYTES: Final = 32 * 1024
"""An address and headers together: a cookie or two, and a filter at most."""


class Patient(H11Protocol):
    """uvicorn's, which waits for ever for the first request and for the rest of any head; two hundred connections that
    say nothing would keep everybody out.
    """

    _until: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Somebody is there."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """They say something."""
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """They are gone."""
        self._stop()
        super().connection_lost(exc)

    def _waits(self) -> bool:
        """Whether they were answered, or have not asked yet."""
        return self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        if not self._waits():
            self._stop()
        elif self._until is None:
            # From the first byte on: who sends one now and then gains nothing by it.
            self._until = self.loop.call_later(HEAD_S, self._give_up)

    def _stop(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None

    def _give_up(self) -> None:
        self._until = None
        if self._waits() and not self.transport.is_closing():
            self.transport.close()
