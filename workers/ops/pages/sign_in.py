"""Signing in and out, and choosing a language."""

import time
from http import HTTPStatus
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from workers.ops.language import COOKIE, LANGUAGES
from workers.ops.page import draw
from workers.ops.security.guard import Doors, cookie_of
from workers.ops.security.rate import Tries
from workers.ops.viewer import open_to_all

log = structlog.get_logger()
_YEAR_S: Final = 365 * 86_400
_MOST_NAME: Final = 64
_by_name: Final = Tries(5, 900.0, time.monotonic)
_by_address: Final = Tries(30, 900.0, time.monotonic)


def _doors(request: Request) -> Doors:
    doors: Doors = request.app.state.doors
    return doors


@open_to_all
async def ask(request: Request) -> Response:
    """The form."""
    if _doors(request).users is None:
        raise HTTPException(404)
    return _form(request, request.query_params.get("next", "/"))


@open_to_all
async def sign_in(request: Request) -> Response:
    """A session for who knows their password; otherwise the form again, which doesn't say what was wrong."""
    doors = _doors(request)
    if doors.users is None or doors.sessions is None:
        raise HTTPException(404)
    form = await request.form()
    name, password = str(form.get("name", ""))[:_MOST_NAME], str(form.get("password", ""))
    follow = str(form.get("next", "/"))
    address = request.client.host if request.client else ""
    wait_s = max(_by_name.wait_s(name), _by_address.wait_s(address))
    if wait_s > 0:
        log.warning("ops.sign_in_slowed", address=address)
        answer = _form(request, follow, status=HTTPStatus.TOO_MANY_REQUESTS, name=name, error="sign_in.too_often")
        answer.headers["Retry-After"] = str(int(wait_s) + 1)
        return answer
    role = await doors.users.verify(name, password)
    if role is None:
        _by_name.note_failed(name)
        _by_address.note_failed(address)
        log.warning("ops.sign_in_refused", address=address)
        return _form(request, follow, status=HTTPStatus.UNAUTHORIZED, name=name, error="sign_in.wrong")
    _by_name.forget(name)
    if (old := request.cookies.get(doors.cookie)) is not None:
        await doors.sessions.end(old)
    token = await doors.sessions.begin(name)
    log.info("ops.signed_in", name=name, role=role)
    answer = RedirectResponse(_local(follow), HTTPStatus.SEE_OTHER)
    answer.headers.append("set-cookie", cookie_of(doors.cookie, token, tls=doors.behind_tls))
    return answer


@open_to_all
async def sign_out(request: Request) -> Response:
    """The session ends."""
    doors = _doors(request)
    if doors.sessions is not None:
        await doors.sessions.end(request.cookies.get(doors.cookie, ""))
        log.info("ops.signed_out")
    answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    answer.headers.append("set-cookie", cookie_of(doors.cookie, "", tls=doors.behind_tls, ends=True))
    return answer


@open_to_all
async def language(request: Request) -> Response:
    """The other language from now on, on the page where they were."""
    form = await request.form()
    chosen = str(form.get("language", ""))
    if chosen not in LANGUAGES:
        raise HTTPException(400, "language")
    answer = RedirectResponse(_local(str(form.get("back", "/"))), HTTPStatus.SEE_OTHER)
    answer.set_cookie(COOKIE, chosen, max_age=_YEAR_S, httponly=True, samesite="lax", secure=_doors(request).behind_tls)
    return answer


def _form(request: Request, follow: str, *, status: int = 200, name: str = "", error: str = "") -> Response:
    return draw(request, "sign_in.html", here="", status=status, follow=_local(follow), name=name, error=error)


def _local(path: str) -> str:
    """Only a path of this very dashboard: nobody is led elsewhere by a link to the sign-in."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain and "\\" not in path else "/"


ROUTES = [
    Route("/sign-in", ask, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/language", language, methods=["POST"]),
]
