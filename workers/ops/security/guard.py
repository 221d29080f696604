"""What every request goes through before a page sees it: who asks, from where, and whether they meant to."""

import hmac
import ipaddress
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers.ops.asking import AwayError
from workers.ops.language import COOKIE, language_of
from workers.ops.page import draw
from workers.ops.security.body import MOST_BODY, body_of, replayed
from workers.ops.security.doors import Doors
from workers.ops.security.headers import HEADERS, TLS, cookie_of
from workers.ops.security.sessions import csrf_of, new_token
from workers.ops.viewer import Viewer

log = structlog.get_logger()
_READS: Final = frozenset({"GET", "HEAD"})
_OPEN: Final = ("/sign-in", "/language", "/static/")
_FORM: Final = "application/x-www-form-urlencoded"
_EVENTS: Final = "/events"
_PART: Final = "x-annul-part"
_PROXIES: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Only who passes on the requests of others writes them."""


class Guard:
    """Names the viewer, refuses what is forged, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        visit, fresh = self._visit_of(request)
        language = language_of(request.cookies.get(COOKIE), request.headers.get("accept-language"))
        request.state.viewer = Viewer(name="", role=None, language=language, csrf=csrf_of(visit))

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._dress(MutableHeaders(scope=message), visit if fresh else None)
            await send(message)

        body: bytes | None = b""
        try:
            refused = self._refused_at_the_door(request) or await self._admit(request)
            if refused is None and request.method not in _READS:
                body = await body_of(request)
                refused = self._forged(request, body)
        except AwayError:
            refused = draw(request, "error.html", here="", status=503, code=503, detail="")
        except ClientDisconnect:
            return
        except TimeoutError:
            refused = PlainTextResponse("too slow\n", HTTPStatus.REQUEST_TIMEOUT, {"connection": "close"})
        if refused is not None:
            await refused(scope, receive, guarded)
            return
        await self._app(scope, receive if request.method in _READS else replayed(body or b"", receive), guarded)

    def _visit_of(self, request: Request) -> tuple[str, bool]:
        """What names the browser of somebody who isn't signed in, so that the sign-in form can't be forged."""
        token = request.cookies.get(self._doors.cookie) or request.cookies.get(self._doors.stranger_cookie)
        return (token, False) if token else (new_token(), True)

    def _dress(self, headers: MutableHeaders, visit: str | None) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self._doors.behind_tls:
            headers.update(TLS)
        if visit is not None:
            headers.append("set-cookie", cookie_of(self._doors.stranger_cookie, visit, tls=self._doors.behind_tls))

    def _refused_at_the_door(self, request: Request) -> Response | None:
        if self._doors.sessions is None:
            if not is_loopback(_host_of(request)):
                # Another name that leads here is how a page elsewhere would read what is on this machine.
                return PlainTextResponse("ask for 127.0.0.1 or localhost\n", HTTPStatus.MISDIRECTED_REQUEST)
            if any(name in request.headers for name in _PROXIES):
                # Somebody made it reachable from elsewhere, where anybody could look.
                return PlainTextResponse("nobody signs in here: not by a proxy\n", HTTPStatus.MISDIRECTED_REQUEST)
        if request.method not in _READS and request.method != "POST":
            return PlainTextResponse("GET and POST only\n", HTTPStatus.METHOD_NOT_ALLOWED, {"allow": "GET, HEAD, POST"})
        query: bytes = request.scope["query_string"]
        if "\0" in _path_of(request) or b"%00" in query or b"\0" in query:
            return _unreadable(request)
        return None

    async def _admit(self, request: Request) -> Response | None:
        """Give the viewer their name and role; those who have none are sent to sign in."""
        viewer, path = request.state.viewer, _path_of(request)
        if self._doors.sessions is None:
            request.state.viewer = Viewer(name="", role="viewer", language=viewer.language, csrf=viewer.csrf)
            if request.method in _READS or path == "/language":
                return None
            return draw(request, "error.html", here="", status=403, code="nobody", detail="")
        if path.startswith("/static/"):
            return None
        # What a page that lies open asks for by itself says nothing of who sits before it.
        somebody_there = path != _EVENTS and _PART not in request.headers
        token = request.cookies.get(self._doors.cookie, "")
        found = await self._doors.viewer_of(token, somebody_there=somebody_there)
        if found is not None:
            name, role = found
            request.state.viewer = Viewer(name=name, role=role, language=viewer.language, csrf=viewer.csrf)
        elif not path.startswith(_OPEN):
            wanted = f"{path}?{request.url.query}" if request.url.query else path
            follow = f"?next={quote(wanted, safe='/')}" if request.method in _READS and path != _EVENTS else ""
            return RedirectResponse(f"/sign-in{follow}", HTTPStatus.SEE_OTHER)
        return None

    def _forged(self, request: Request, body: bytes | None) -> Response | None:
        if body is None:
            return PlainTextResponse(f"at most {MOST_BODY} bytes\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            return PlainTextResponse("forms only\n", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if b"\0" in body or b"%00" in body:
            return _unreadable(request)
        brought = dict(parse_qsl(body.decode(errors="replace"))).get("csrf", "")
        by_token = hmac.compare_digest(brought.encode(), request.state.viewer.csrf.encode())
        if not by_token or _is_from_elsewhere(request):
            log.warning("ops.forged_request", path=_path_of(request), why="origin" if by_token else "token")
            return draw(request, "error.html", here="", status=403, code="forged", detail="")
        return None


def _path_of(request: Request) -> str:
    """As the routes see it. The address of a request is put together with what it calls this machine."""
    path: str = request.scope["path"]
    return path


def _unreadable(request: Request) -> Response:
    """No id and no text holds what PostgreSQL can't keep."""
    return draw(request, "error.html", here="", status=400, code=400, detail="")


def _host_of(request: Request) -> str | None:
    """What the request calls this machine; None where it is no name."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        return None


def _is_from_elsewhere(request: Request) -> bool:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    if origin is None:
        return False
    scheme, _, host = origin.partition("://")
    return scheme not in ("http", "https") or host.lower() != request.headers.get("host", "").lower()


def is_loopback(host: str | None) -> bool:
    """Whether only this machine is reached by it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
