"""What every request goes through before a page sees it: who asks, from where, and whether they meant to."""

import asyncio
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
from workers.ops.security.oidc import Oidc
from workers.ops.security.sessions import Sessions, csrf_of, new_token
from workers.ops.security.users import Users
from workers.ops.viewer import Role, Viewer

log = structlog.get_logger()
MOST_BODY: Final = 64 * 1024
_BODY_S: Final = 10.0
_READS: Final = frozenset({"GET", "HEAD"})
_OPEN: Final = ("/sign-in", "/language", "/static/")
_FORM: Final = "application/x-www-form-urlencoded"
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_TLS: Final = {"strict-transport-security": "max-age=31536000"}


class Doors:
    """What the guard knows: who keeps the users (a file or an issuer) and the sessions.

    Without sessions nobody can sign in, and then everybody on this machine may look.
    """

    def __init__(
        self, users: Users | None, sessions: Sessions | None, *, behind_tls: bool, oidc: Oidc | None = None
    ) -> None:
        self.users = users
        self.oidc = oidc
        self.sessions = sessions
        self.behind_tls = behind_tls
        # A browser takes a cookie of such a name over TLS only, and from this very host.
        self.cookie = "__Host-annul_session" if behind_tls else "annul_session"
        self.stranger_cookie = "__Host-annul_visit" if behind_tls else "annul_visit"
        self.flow_cookie = "__Host-annul_flow" if behind_tls else "annul_flow"

    async def viewer_of(self, token: str) -> tuple[str, Role] | None:
        """Whose session it is, and their role as of now; None where they have none. Raises AwayError."""
        found = await self.sessions.find(token) if self.sessions is not None else None
        if found is None:
            return None
        name, told = found
        # Where a file keeps the users, what an issuer once said of somebody counts no more; and the other way round.
        role = self.users.role_of(name) if self.users is not None else told
        return (name, role) if role is not None else None


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

        try:
            refused = self._refused_at_the_door(request) or await self._admit(request)
            body = b"" if refused is not None or request.method in _READS else await _body_of(request)
            refused = refused or self._forged(request, body)
        except AwayError:
            refused = draw(request, "error.html", here="", status=503, code=503, detail="")
        except ClientDisconnect:
            return
        except TimeoutError:
            refused = PlainTextResponse("too slow\n", HTTPStatus.REQUEST_TIMEOUT, {"connection": "close"})
        if refused is not None:
            await refused(scope, receive, guarded)
            return
        await self._app(scope, receive if request.method in _READS else _replayed(body or b"", receive), guarded)

    def _visit_of(self, request: Request) -> tuple[str, bool]:
        """What names the browser of somebody who isn't signed in, so that the sign-in form can't be forged."""
        token = request.cookies.get(self._doors.cookie) or request.cookies.get(self._doors.stranger_cookie)
        return (token, False) if token else (new_token(), True)

    def _dress(self, headers: MutableHeaders, visit: str | None) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self._doors.behind_tls:
            headers.update(_TLS)
        if visit is not None:
            headers.append("set-cookie", cookie_of(self._doors.stranger_cookie, visit, tls=self._doors.behind_tls))

    def _refused_at_the_door(self, request: Request) -> Response | None:
        if self._doors.sessions is None and not is_loopback(_host_of(request)):
            # Another name that leads here is how a page elsewhere would read what is on this machine.
            return PlainTextResponse("ask for 127.0.0.1 or localhost\n", HTTPStatus.MISDIRECTED_REQUEST)
        if request.method not in _READS and request.method != "POST":
            return PlainTextResponse("GET and POST only\n", HTTPStatus.METHOD_NOT_ALLOWED)
        return None

    async def _admit(self, request: Request) -> Response | None:
        """Give the viewer their name and role; those who have none are sent to sign in."""
        viewer = request.state.viewer
        if self._doors.sessions is None:
            request.state.viewer = Viewer(name="", role="viewer", language=viewer.language, csrf=viewer.csrf)
            if request.method in _READS or request.url.path == "/language":
                return None
            return draw(request, "error.html", here="", status=403, code="nobody", detail="")
        path = request.url.path
        if path.startswith("/static/"):
            return None
        found = await self._doors.viewer_of(request.cookies.get(self._doors.cookie, ""))
        if found is not None:
            name, role = found
            request.state.viewer = Viewer(name=name, role=role, language=viewer.language, csrf=viewer.csrf)
        elif not path.startswith(_OPEN):
            wanted = f"{path}?{request.url.query}" if request.url.query else path
            follow = f"?next={quote(wanted, safe='/')}" if request.method in _READS and path != "/events" else ""
            return RedirectResponse(f"/sign-in{follow}", HTTPStatus.SEE_OTHER)
        return None

    def _forged(self, request: Request, body: bytes | None) -> Response | None:
        if request.method in _READS:
            return None
        if body is None:
            return PlainTextResponse(f"at most {MOST_BODY} bytes\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            return PlainTextResponse("forms only\n", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        brought = dict(parse_qsl(body.decode(errors="replace"))).get("csrf", "")
        if _is_from_elsewhere(request) or not hmac.compare_digest(brought, request.state.viewer.csrf):
            log.warning("ops.forged_request", path=request.url.path)
            return draw(request, "error.html", here="", status=403, code="forged", detail="")
        return None


def cookie_of(name: str, value: str, *, tls: bool, ends: bool = False, for_s: int | None = None) -> str:
    """A cookie for this host alone, that no script reads and no other site's form sends."""
    age = "; Max-Age=0" if ends else "" if for_s is None else f"; Max-Age={for_s}"
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if tls else ''}{age}"


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
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def is_loopback(host: str | None) -> bool:
    """Whether only this machine is reached by it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


async def _body_of(request: Request) -> bytes | None:
    """The whole body; None where it is too long. Raises TimeoutError, ClientDisconnect."""
    body = b""
    async with asyncio.timeout(_BODY_S):
        async for part in request.stream():
            body += part
            if len(body) > MOST_BODY:
                return None
    return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
