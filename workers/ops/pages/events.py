"""News for pages that are open: an event each time the consumers were looked at."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from sse_starlette import EventSourceResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workers.ops.asking import AwayError
from workers.ops.security.doors import Doors
from workers.ops.viewer import needs
from workers.ops.watching import TooManyError, Watch

_HEARTBEAT_S: Final = 15
_SEND_S: Final = 10.0
"""Who takes nothing for so long is let go."""


class _Events(EventSourceResponse):
    """Gives the listener's place back however the stream ends, also where it never began."""

    def __init__(self, watch: Watch, allowed: Callable[[], Awaitable[bool]]) -> None:
        self._place = watch.listen()
        self._allowed = allowed
        super().__init__(self._looks(), ping=_HEARTBEAT_S, send_timeout=_SEND_S)

    async def _looks(self) -> AsyncIterator[dict[str, str]]:
        async for look in self._place.looks():
            if not await self._allowed():
                return
            yield look

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._place.leave()


@needs("viewer")
async def events(request: Request) -> Response:
    """Server-sent events, `look` each; no data in them but the time. They end with the session."""
    doors: Doors = request.app.state.doors

    async def allowed() -> bool:
        if doors.sessions is None:
            return True
        try:
            return await doors.viewer_of(request.cookies.get(doors.cookie, ""), somebody_there=False) is not None
        except AwayError:
            return True  # the pages say it; this one tells nothing but the time

    try:
        return _Events(request.app.state.watch, allowed)
    except TooManyError:
        # The page is whole without it; the browser doesn't ask again.
        raise HTTPException(503, "too many pages listen") from None


ROUTES = [Route("/events", events)]
