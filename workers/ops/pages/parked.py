"""Parked messages: by reason, as a list, and one of them closely."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.topics import CATALOGUE, PARKED
from workers.insight.masking import shown_bytes
from workers.insight.parked import Status, Which, show_parked_on, topics_of
from workers.insight.parked_list import MOST_LOOKED_AT, PAGE, Place, count_by_reason, page_parked
from workers.ops.moments import read_moment
from workers.ops.page import draw
from workers.ops.viewer import needs
from workers.store.queries import sql

SPANS: Final = {"10m": 600, "1h": 3_600, "6h": 21_600, "1d": 86_400, "7d": 604_800, "30d": 2_592_000}
"""In seconds, by how the address names them."""
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
_FIELDS: Final = ("reason", "topic", "status", "since")
_MOST_WORD: Final = 300
_MOST_HEX: Final = 2_048
_MOST_NUMBER: Final = 1_000_000_000


@needs("viewer")
async def parked(request: Request) -> Response:
    """Groups, and a page of the list."""
    given = {name: request.query_params.get(name, "").strip() for name in _FIELDS}
    settings = request.app.state.settings
    status = _status(given["status"])
    after = _place(request.query_params.get("after", ""))
    async with request.app.state.reader.snapshot() as connection:
        now = await connection.fetchval(sql("read_clock"))
        which = which_of(given, now)
        groups = await count_by_reason(connection)
        found = await page_parked(connection, which, status, after, topics_of(settings, which.topic))
    asked = {name: value for name, value in given.items() if value}
    acted = {name: value for name, value in asked.items() if name != "status"}
    if which.since is not None:
        acted["since"] = which.since.isoformat()
    values: dict[str, Any] = {
        "given": given,
        "standing": status,
        "groups": groups,
        "total": sum(one.messages for one in groups),
        "found": found,
        "first": after is None,
        "at": now,
        "spans": SPANS,
        "statuses": STATUSES,
        "topics": [settings.topic_prefix + topic.name for topic in CATALOGUE if topic is not PARKED],
        "most": MOST_LOOKED_AT,
        "page": PAGE,
        "acted": acted,
        "done": _done(request),
        "first_link": f"/parked?{urlencode(asked)}",
        "next_link": f"/parked?{urlencode({**asked, 'after': _cursor(found.after)})}" if found.after else None,
    }
    return draw(request, "parked.html", here="parked", **values)


@needs("viewer")
async def one(request: Request) -> Response:
    """One message, what may be personal masked."""
    parked_id: str = request.path_params["parked_id"]
    async with request.app.state.reader.snapshot() as connection:
        found = await show_parked_on(connection, parked_id)
        if found is None:
            raise HTTPException(404)
        row = await connection.fetchrow(sql("read_parked"), parked_id)
    value = row["value"]
    shown = found["value"]["json"]
    values: dict[str, Any] = {
        "found": found,
        "text": None if shown is None else msgspec.json.format(msgspec.json.encode(shown), indent=2).decode(),
        "lines": shown_bytes(value, _MOST_HEX) if value is not None else None,
        "most_hex": _MOST_HEX,
        "history": _history(found),
    }
    return draw(request, "parked_one.html", here="parked", **values)


def _history(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What happened to it, in order: parked, put back, failed again, under each of its ids."""
    chain = [*reversed(found["earlier"]), found, *found["again"]]
    steps = []
    for place, message in enumerate(chain):
        what = "failed_again" if place else "parked"
        steps.append({"at": message["parked_at"], "what": what, **_named(message)})
        if message["status"] != "parked":
            steps.append({"at": message["status_at"], "what": message["status"], **_named(message)})
    for sent in found["sends"]:
        what = "sent" if sent["fired_at"] else "waits"
        steps.append({"at": sent["fired_at"] or sent["due_at"], "what": what, **_named(found), "state": sent["state"]})
    return sorted(steps, key=lambda step: step["at"])


def _named(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"parked_id": message["parked_id"], "reason": message["reason"], "state": ""}


def which_of(given: Mapping[str, str], now: datetime) -> Which:
    """What was asked for. `since` is a span's name, or a moment. Raises HTTPException with the name of the field."""
    for name in ("reason", "topic"):
        if len(given[name]) > _MOST_WORD or not given[name].isprintable():
            raise HTTPException(400, name)
    since = given["since"]
    return Which(
        reason=given["reason"] or None,
        topic=given["topic"] or None,
        since=None if not since else now - timedelta(seconds=SPANS[since]) if since in SPANS else moment_of(since),
    )


def moment_of(text: str) -> datetime:
    """Raises HTTPException."""
    try:
        moment = read_moment(text[:_MOST_WORD])
    except ValueError:
        raise HTTPException(400, "since") from None
    if moment.tzinfo is None:
        raise HTTPException(400, "since")
    return moment.astimezone(UTC)


def _status(text: str) -> Status:
    try:
        status: Status = msgspec.convert(text or "parked", Status)
    except msgspec.ValidationError:
        raise HTTPException(400, "status") from None
    return status


def _done(request: Request) -> tuple[str, int, int] | None:
    """What was just done: how many, and how many more match."""
    for action in ("redriven", "discarded"):
        number, left = request.query_params.get(action, ""), request.query_params.get("left", "0")
        if number.isascii() and number.isdecimal() and left.isascii() and left.isdecimal():
            return action, min(int(number[:10]), _MOST_NUMBER), min(int(left[:10]), _MOST_NUMBER)
    return None


def _cursor(place: Place) -> str:
    return f"{place.at.isoformat()}~{place.parked_id}"


def _place(text: str) -> Place | None:
    """Where a page begins. Raises HTTPException."""
    if not text:
        return None
    at, _, parked_id = text[: 2 * _MOST_WORD].partition("~")
    if not parked_id.isprintable():
        raise HTTPException(400, "after")
    return Place(moment_of(at), parked_id)


ROUTES = [Route("/parked", parked), Route("/parked/{parked_id}", one)]
