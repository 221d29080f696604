"""Putting parked messages back, or giving them up: first a page that counts and shows, then the word to do it."""

from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import urlencode

import asyncpg
import msgspec
from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from workers.actions.rules import ActionError, the_reason
from workers.insight.parked import UNFIT, Change, MoreMatchError, Which, discard, redrive, topics_of
from workers.insight.parked_list import PAGE, first_parked
from workers.ops.asking import AwayError
from workers.ops.language import Speech
from workers.ops.page import draw
from workers.ops.pages.parked import which_of
from workers.ops.viewer import needs, viewer_of
from workers.settings import Settings
from workers.store.queries import sql

MOST_AT_ONCE: Final = 5_000
"""By one word; the rest by another: a page answers in seconds."""
Action = Literal["redriven", "discarded"]
_MOST_ID: Final = 400
_NAMES: Final = ("reason", "topic", "since")
_AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)
_TRY: Final = "-"
"""Stands for the reason while nothing is given up yet."""


@needs("operator")
async def look(request: Request) -> Response:
    """What would be done, and the form that does it."""
    settings: Settings = request.app.state.settings
    action, which = await _asked(request, request.query_params)
    change = await _do(settings, action, which, dry_run=True)
    async with request.app.state.reader.snapshot() as connection:
        first = await first_parked(connection, which, topics_of(settings, which.topic))
    unfit = [(one["topic"], one["count"], _code(one["why"])) for one in change.refused if "count" in one]
    left = sum("parked_id" in one for one in change.refused)
    matched = change.matched
    values: dict[str, Any] = {
        "action": action,
        "which": which,
        "change": change,
        "first": first,
        "unfit": unfit,
        "left": left,
        "acted": min(max(matched - sum(count for _, count, _ in unfit), 0), MOST_AT_ONCE),
        "most": MOST_AT_ONCE,
    }
    return draw(request, "parked_act.html", here="parked", **values)


@needs("operator")
async def act(request: Request) -> Response:
    """Do it, unless more are meant by now than were seen."""
    settings: Settings = request.app.state.settings
    viewer = viewer_of(request)
    say = Speech(viewer.language)
    form = await request.form()
    action, which = await _asked(request, form)
    seen = str(form.get("seen", ""))
    if not seen.isascii() or not seen.isdecimal() or len(seen) > len(str(2**31)):
        raise HTTPException(400, "seen")
    why = _TRY
    if action == "discarded":
        try:
            why = the_reason(str(form.get("why", "")))
        except ActionError:
            raise HTTPException(400, say.text("parked.no_reason")) from None
    try:
        change = await _do(settings, action, which, dry_run=False, by=viewer.name, seen=int(seen), why=why)
    except MoreMatchError as error:
        told = say.text("parked.more", matched=say.number(error.matched), seen=say.number(error.seen))
        raise HTTPException(409, told) from None
    request.app.state.watch.forget()
    left = max(change.matched - change.changed, 0)
    return RedirectResponse(f"/parked?{urlencode({action: change.changed, 'left': left})}", HTTPStatus.SEE_OTHER)


async def _do(
    settings: Settings,
    action: Action,
    which: Which,
    *,
    dry_run: bool,
    by: str = "",
    seen: int | None = None,
    why: str = _TRY,
) -> Change:
    try:
        if action == "redriven":
            return await redrive(settings, which, limit=MOST_AT_ONCE, dry_run=dry_run, by=by, seen=seen)
        return await discard(settings, which, why=why, limit=MOST_AT_ONCE, dry_run=dry_run, by=by, seen=seen)
    except _AWAY as error:
        raise AwayError(type(error).__name__) from error


async def _asked(request: Request, given: QueryParams | FormData) -> tuple[Action, Which]:
    """What is to be done, to which: those that are named, else those that a filter fits. Raises HTTPException."""
    try:
        action: Action = msgspec.convert(given.get("action"), Action)
    except msgspec.ValidationError:
        raise HTTPException(400, "action") from None
    say = Speech(viewer_of(request).language)
    if given.get("by") == "id":
        ids = tuple(dict.fromkeys(str(one) for one in given.getlist("id")))
        if not ids:
            raise HTTPException(400, say.text("parked.no_choice"))
        if len(ids) > PAGE or any(len(one) > _MOST_ID or not one.isprintable() for one in ids):
            raise HTTPException(400, "id")
        return action, Which(ids=ids)
    async with request.app.state.reader.snapshot() as connection:
        now = await connection.fetchval(sql("read_clock"))
    return action, which_of({name: str(given.get(name) or "").strip() for name in _NAMES}, now)


def _code(why: str) -> str:
    return next((code for code, text in UNFIT.items() if text == why), "unknown_topic")


ROUTES = [Route("/parked-act", look, methods=["GET"]), Route("/parked-act", act, methods=["POST"])]
