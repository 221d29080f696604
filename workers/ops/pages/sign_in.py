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
from workers.ops.security.doors import Doors
from workers.ops.security.flow import BACK, FLOW_S, Flow, begun, packed, unpacked
from workers.ops.security.headers import cookie_of
from workers.ops.security.issuer import DeniedError, IssuerAwayError
from workers.ops.security.known import KEPT_S, mark_of
from workers.ops.security.rate import Tries, place_of
from workers.ops.security.sessions import csrf_of
from workers.ops.security.users import proof_of
from workers.ops.viewer import Role, Viewer, open_to_all, viewer_of

log = structlog.get_logger()
_YEAR_S: Final = 365 * 86_400
_MOST_NAME: Final = 64
_MOST_FOLLOW: Final = 1_000
_by_name: Final = Tries(5, 900.0, time.monotonic)
_by_browser: Final = Tries(5, 900.0, time.monotonic)
_by_address: Final = Tries(30, 900.0, time.monotonic)


def _doors(request: Request) -> Doors:
    doors: Doors = request.app.state.doors
    return doors


@open_to_all
async def ask(request: Request) -> Response:
    """The form."""
    if _doors(request).sessions is None:
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
    address = _address_of(request)
    # Others' guesses count against the name and the address, not against a browser that the person signed in with.
    browser = doors.users.known_browser(name, request.cookies.get(doors.known_cookie, ""))
    counted = [(_by_name, name), (_by_address, address)] if browser is None else [(_by_browser, browser)]
    wait_s = max(tries.wait_s(who) for tries, who in counted)
    if wait_s > 0:
        return _slowed(request, follow, address, wait_s, name)
    # Counted before the password is looked at: many tries at once would otherwise all come before the first had failed.
    for tries, who in counted:
        tries.note_failed(who)
    user = await doors.users.verify(name, password, known=browser is not None)
    if user is None:
        # What is no user's name may be a password in the wrong field.
        log.warning("ops.sign_in_refused", address=address, name=name if doors.users.find(name) else None)
        return _form(request, follow, status=HTTPStatus.UNAUTHORIZED, name=name, error="sign_in.wrong")
    for tries, who in counted:
        tries.take_back(who)  # others may be guessing from the same address
    if browser is None:
        _by_name.forget(name)
    answer = await _let_in(request, name, user.role, follow, proof=proof_of(user))
    if browser is None:
        mark = cookie_of(doors.known_cookie, mark_of(user.hash), tls=doors.behind_tls, for_s=KEPT_S)
        answer.headers.append("set-cookie", mark)
    return answer


@open_to_all
async def go_to_issuer(request: Request) -> Response:
    """To the issuer's page, where they sign in."""
    doors = _doors(request)
    if doors.oidc is None:
        raise HTTPException(404)
    follow = _local(request.query_params.get("next", "/"))
    flow = begun(follow if len(follow) <= _MOST_FOLLOW else "/")
    try:
        address = await doors.oidc.address(flow)
    except IssuerAwayError as error:
        return _issuer_away(request, flow, error)
    answer = RedirectResponse(address, HTTPStatus.SEE_OTHER)
    kept = cookie_of(doors.flow_cookie, packed(flow), tls=doors.behind_tls, for_s=FLOW_S)
    answer.headers.append("set-cookie", kept)
    return answer


@open_to_all
async def back_from_issuer(request: Request) -> Response:
    """A session for who comes back from the issuer with what this browser went there for."""
    doors = _doors(request)
    if doors.oidc is None:
        raise HTTPException(404)
    address = _address_of(request)
    flow = unpacked(request.cookies.get(doors.flow_cookie, ""))
    follow = flow.follow if flow is not None else "/"
    if (wait_s := _by_address.wait_s(address)) > 0:
        return _slowed(request, follow, address, wait_s)
    _by_address.note_failed(address)
    try:
        if flow is None:
            raise DeniedError("nothing was begun")  # noqa: TRY301 - answered as every other reason
        person = await doors.oidc.who(flow, dict(request.query_params))
    except IssuerAwayError as error:
        _by_address.take_back(address)
        return _issuer_away(request, flow or begun("/"), error)
    except DeniedError as error:
        log.warning("ops.sign_in_refused", address=address, why=str(error))
        key = "sign_in.no_role" if error.no_role else "sign_in.not_proven"
        answer = _form(request, follow, status=HTTPStatus.FORBIDDEN, error=key)
    else:
        _by_address.take_back(address)
        answer = await _let_in(
            request, person.name, person.role, follow, proof=doors.oidc.proof, id_token=person.id_token
        )
    answer.headers.append("set-cookie", cookie_of(doors.flow_cookie, "", tls=doors.behind_tls, ends=True))
    return answer


def _issuer_away(request: Request, flow: Flow, error: IssuerAwayError) -> Response:
    log.warning("ops.issuer_away", error=str(error))
    return _form(request, flow.follow, status=HTTPStatus.SERVICE_UNAVAILABLE, error="sign_in.issuer_away")


def _slowed(request: Request, follow: str, address: str, wait_s: float, name: str = "") -> Response:
    log.warning("ops.sign_in_slowed", address=address)
    answer = _form(request, follow, status=HTTPStatus.TOO_MANY_REQUESTS, name=name, error="sign_in.too_often")
    answer.headers["Retry-After"] = str(int(wait_s) + 1)
    return answer


async def _let_in(
    request: Request, name: str, role: Role, follow: str, *, proof: bytes, id_token: str | None = None
) -> Response:
    """A new session in place of whatever this browser had."""
    doors = _doors(request)
    assert doors.sessions is not None
    if (old := request.cookies.get(doors.cookie)) is not None:
        await doors.sessions.end(old)
    token = await doors.sessions.begin(name, proof, role if doors.oidc is not None else None, id_token)
    log.info("ops.signed_in", name=name, role=role, address=_address_of(request))
    answer = RedirectResponse(_local(follow), HTTPStatus.SEE_OTHER)
    answer.headers.append("set-cookie", cookie_of(doors.cookie, token, tls=doors.behind_tls))
    return answer


@open_to_all
async def sign_out(request: Request) -> Response:
    """The session ends; the issuer's too where it says how."""
    doors = _doors(request)
    ended = await doors.sessions.end(request.cookies.get(doors.cookie, "")) if doors.sessions is not None else None
    there = None
    if ended is not None:
        log.info("ops.signed_out", name=ended.name)
        there = await doors.oidc.end_address(ended.id_token) if doors.oidc is not None else None
    answer: Response
    if there is None:
        answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    else:
        # A page that leads on: browsers let no form, nor what answers it, lead to where the policy doesn't say.
        stranger = csrf_of(request.cookies.get(doors.stranger_cookie, ""))
        request.state.viewer = Viewer(name="", role=None, language=viewer_of(request).language, csrf=stranger)
        answer = draw(request, "signed_out.html", here="", there=there)
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


def _address_of(request: Request) -> str:
    """Who tries: behind what ends TLS, as that saw them. It adds that last; what stands before it anybody can write."""
    told = request.headers.getlist("x-forwarded-for") if _doors(request).behind_tls else []
    return place_of(told[-1].rpartition(",")[2] if told else "", request.client.host if request.client else "")


def _form(request: Request, follow: str, *, status: int = 200, name: str = "", error: str = "") -> Response:
    oidc = _doors(request).oidc is not None
    values = {"follow": _local(follow), "name": name, "error": error, "oidc": oidc}
    return draw(request, "sign_in.html", here="", status=status, **values)


def _local(path: str) -> str:
    """Only a path of this very dashboard: nobody is led elsewhere by a link to the sign-in."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain and "\\" not in path else "/"


ROUTES = [
    Route("/sign-in", ask, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-in/oidc", go_to_issuer, methods=["GET"]),
    Route(BACK, back_from_issuer, methods=["GET"]),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/language", language, methods=["POST"]),
]
