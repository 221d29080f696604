"""The dashboard as one ASGI application."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import asyncpg
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from workers.ops.asking import AwayError
from workers.ops.page import HERE, draw
from workers.ops.security.headers import HEADERS

log = structlog.get_logger()
_SAID: Final = {400, 403, 404, 409, 500, 503}


def create_app(state: dict[str, Any], routes: Sequence[BaseRoute], middleware: Sequence[Middleware]) -> Starlette:
    """Pages, what guards them, and what they need (`state`, on `request.app.state`).

    Raises TypeError for a page that doesn't say who may.
    """
    for route in routes:
        if not isinstance(route, Route) or not hasattr(route.endpoint, "annul_needs"):
            raise TypeError(f"{route} doesn't say who may: its endpoint needs `needs` or `open_to_all`")
    app = Starlette(
        routes=[*routes, Mount("/static", StaticFiles(directory=HERE / "static"))],
        middleware=list(middleware),
        exception_handlers={
            HTTPException: _refused,
            AwayError: _away,
            asyncpg.CharacterNotInRepertoireError: _unwritable,
            Exception: _failed,
        },
    )
    # It would lead to a whole address, and take the host from whoever asks.
    app.router.redirect_slashes = False
    app.state.verifying = asyncio.Semaphore()
    for name, value in state.items():
        setattr(app.state, name, value)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = error.status_code if error.status_code in _SAID else HTTPStatus.BAD_REQUEST
    # What Starlette says by itself is the status in words; what we say beside it names the field.
    detail = "" if error.detail == HTTPStatus(error.status_code).phrase else error.detail
    answer = draw(request, "error.html", here="", status=error.status_code, code=int(code), detail=detail)
    answer.headers.update(error.headers or {})
    return answer


async def _unwritable(request: Request, error: Exception) -> Response:
    """A sign that PostgreSQL keeps in no text, as the one numbered 0: whatever was asked for isn't there."""
    del error
    return draw(request, "error.html", here="", status=404, code=404, detail="")


async def _away(request: Request, error: Exception) -> Response:
    log.warning("ops.database_away", error=str(error))
    answer = draw(request, "error.html", here="", status=503, code=503, detail="")
    answer.headers["Retry-After"] = "5"
    return answer


async def _failed(request: Request, error: Exception) -> Response:
    log.error("ops.page_failed", path=request.url.path, error=type(error).__name__, exc_info=error)
    answer: Response
    try:
        answer = draw(request, "error.html", here="", status=500, code=500, detail="")
    except Exception:  # noqa: BLE001 - told above; what failed may be what all pages are drawn with
        answer = PlainTextResponse("a fault of this version: its log says more\n", 500)
    answer.headers.update(HEADERS)  # here the guard is behind us already
    return answer
