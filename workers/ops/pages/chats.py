"""Chats that will close, timers of every kind, and a person's word on one chat's close."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, NoReturn
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from workers.actions.chats import ChatActionError, extend_chat, withdraw_chat
from workers.actions.rules import ActionError
from workers.insight.chats import (
    MOST_LOOKED_AT,
    PAGE,
    Place,
    count_firing,
    count_timers,
    page_closes,
    page_timers,
    read_chat,
)
from workers.ops.language import Speech
from workers.ops.moments import read_moment
from workers.ops.page import draw
from workers.ops.viewer import needs, viewer_of
from workers.store.queries import sql

_MOST_CURSOR: Final = 300
_MOST_WORD: Final = 64
_MOST_DIGITS: Final = 18
_FORM_TIME: Final = "%Y-%m-%dT%H:%M"
_STATUS: Final = {"unknown_chat": 404, "moved": 409, "closed": 409, "not_closing": 409}


@needs("viewer")
async def chats(request: Request) -> Response:
    """Counts by kind, and the closes that come next."""
    after = _place(request.query_params.get("after", ""))
    async with request.app.state.reader.snapshot() as connection:
        now = await connection.fetchval(sql("read_clock"))
        found = await page_closes(connection, after)
        kinds = await count_timers(connection)
        firing = await count_firing(connection)
    values: dict[str, Any] = {
        "at": now,
        "found": found,
        "kinds": kinds,
        "firing": firing,
        "counted": sum(one.waiting for one in kinds),
        "most": MOST_LOOKED_AT,
        "first": after is None,
        "next_link": f"/chats?{urlencode({'after': _cursor(found.after)})}" if found.after else None,
    }
    return draw(request, "chats.html", here="chats", **values)


@needs("viewer")
async def timers(request: Request) -> Response:
    """What fires when, of one kind or of all."""
    kind = request.query_params.get("kind", "").strip()
    if len(kind) > _MOST_WORD or not kind.isprintable():
        raise HTTPException(400, "kind")
    after = _place(request.query_params.get("after", ""))
    async with request.app.state.reader.snapshot() as connection:
        now = await connection.fetchval(sql("read_clock"))
        found = await page_timers(connection, kind or None, after)
        kinds = await count_timers(connection)
    asked = {"kind": kind} if kind else {}
    values: dict[str, Any] = {
        "at": now,
        "found": found,
        "kind": kind,
        "kinds": [one.kind for one in kinds],
        "most": MOST_LOOKED_AT,
        "page": PAGE,
        "first": after is None,
        "first_link": f"/timers?{urlencode(asked)}",
        "next_link": f"/timers?{urlencode({**asked, 'after': _cursor(found.after)})}" if found.after else None,
    }
    return draw(request, "chats_timers.html", here="chats", **values)


@needs("viewer")
async def chat(request: Request) -> Response:
    """One conversation, and what may be done about its close."""
    async with request.app.state.reader.snapshot() as connection:
        now = await connection.fetchval(sql("read_clock"))
        found = await read_chat(connection, request.path_params["conversation_id"])
    if found is None:
        raise HTTPException(404)
    close_at = found.conversation.close_at
    least = close_at.astimezone(UTC).strftime(_FORM_TIME) if close_at is not None else ""
    return draw(request, "chats_one.html", here="chats", found=found, chat=found.conversation, at=now, least=least)


@needs("operator")
async def act(request: Request) -> Response:
    """Let it close later, or not at all, and say why."""
    conversation_id: str = request.path_params["conversation_id"]
    what: str = request.path_params["what"]
    if what not in ("extend", "withdraw"):
        raise HTTPException(404)
    viewer = viewer_of(request)
    say = Speech(viewer.language)
    form = await request.form()
    reason, revision = str(form.get("reason", "")), str(form.get("revision", ""))
    if not revision.isascii() or not revision.isdecimal() or len(revision) > _MOST_DIGITS:
        raise HTTPException(400, "revision")
    seen = int(revision)
    close_at = _close_at(str(form.get("close_at", "")), say) if what == "extend" else None
    try:
        async with request.app.state.reader.transaction() as connection:
            if close_at is not None:
                policy = request.app.state.settings.policy().chats
                await extend_chat(
                    connection, conversation_id, viewer.name, reason, close_at=close_at, policy=policy, revision=seen
                )
            else:
                await withdraw_chat(connection, conversation_id, viewer.name, reason, revision=seen)
    except ActionError as error:
        raise HTTPException(400, say.text(f"chats.refused.{error.code}")) from None
    except ChatActionError as error:
        _refuse(error.code, say)
    request.app.state.watch.forget()
    return RedirectResponse(f"/chats/{quote(conversation_id, safe='')}", HTTPStatus.SEE_OTHER)


def _refuse(code: str, say: Speech) -> NoReturn:
    raise HTTPException(_STATUS.get(code, 400), say.text(f"chats.refused.{code}")) from None


def _close_at(text: str, say: Speech) -> datetime:
    """What a browser's field for a time gives: to the minute, and in UTC, as the form says. Raises HTTPException."""
    try:
        moment = read_moment(text[:_MOST_WORD])
    except ValueError:
        _refuse("bad_time", say)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _cursor(place: Place) -> str:
    return f"{place.at.isoformat()}~{place.id}"


def _place(text: str) -> Place | None:
    """Where a page begins. Raises HTTPException."""
    if not text:
        return None
    moment, _, schedule_id = text[:_MOST_CURSOR].partition("~")
    try:
        at = read_moment(moment)
    except ValueError:
        raise HTTPException(400, "after") from None
    if at.tzinfo is None or not schedule_id.isprintable():
        raise HTTPException(400, "after")
    return Place(at, schedule_id)


ROUTES = [
    Route("/chats", chats),
    Route("/chats/{conversation_id}", chat),
    Route("/chats/{conversation_id}/{what}", act, methods=["POST"]),
    Route("/timers", timers),
]
