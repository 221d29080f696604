"""The dashboard as one ASGI application."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from workers.ops.asking import AwayError
from workers.ops.page import HERE, draw

log = structlog.get_logger()
_SAID: Final = {400, 403, 404, 409, 500, 503}


def create_app(state: dict[str, Any], routes: Sequence[BaseRoute], middleware: Sequence[Middleware]) -> Starlette:
    """Pages, what guards them, and what they need (`state`, on `request.app.state`)."""
    app = Starlette(
        routes=[*routes, Mount("/static", StaticFiles(directory=HERE / "static"))],
        middleware=list(middleware),
        exception_handlers={HTTPException: _refused, AwayError: _away, Exception: _failed},
    )
    for name, value in state.items():
        setattr(app.state, name, value)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = error.status_code if error.status_code in _SAID else HTTPStatus.BAD_REQUEST
    # What Starlette says by itself is the status in words; what we say beside it names the field.
    detail = "" if error.detail == HTTPStatus(error.status_code).phrase else error.detail
    return draw(request, "error.html", here="", status=error.status_code, code=int(code), detail=detail)


async def _away(request: Request, error: Exception) -> Response:
    log.warning("ops.database_away", error=str(error))
    answer = draw(request, "error.html", here="", status=503, code=503, detail="")
    answer.headers["Retry-After"] = "5"
    return answer


async def _failed(request: Request, error: Exception) -> Response:
    log.error("ops.page_failed", path=request.url.path, error=type(error).__name__, exc_info=error)
    return draw(request, "error.html", here="", status=500, code=500, detail="")
