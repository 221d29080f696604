"""Consumers: every group and partition, members and lag; pausing and resuming consumers and providers."""

from http import HTTPStatus
from typing import Any, Final, NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from workers.actions.holds import PAUSABLE, PROVIDERS, HoldError, hold_consumer, hold_provider
from workers.actions.rules import ActionError
from workers.consumers import CONSUMERS
from workers.insight.pace import GroupNow, PlaceNow
from workers.ops.language import Speech
from workers.ops.page import draw
from workers.ops.verdict import rows_of
from workers.ops.viewer import needs, viewer_of
from workers.ops.watching import Watch

MOST_ROWS: Final = 100
_MOST_CURSOR: Final = 300


@needs("viewer")
async def consumers(request: Request) -> Response:
    """All groups, and the providers."""
    watch: Watch = request.app.state.watch
    figures = await watch.figures()
    pauses = {one.provider: one for one in figures.provider_pauses if one.paused}
    values: dict[str, Any] = {
        "seen": watch.seen,
        "rows": rows_of(watch.seen, figures),
        "others": [(name, figures.consumer_pauses.get(name)) for name in PAUSABLE if name not in CONSUMERS],
        "late_since": figures.timers_late_since,
        "providers": [(name, pauses.get(name)) for name in PROVIDERS],
        "at": figures.at,
    }
    return draw(request, _template(request, "consumers"), here="consumers", **values)


@needs("viewer")
async def consumer(request: Request) -> Response:
    """One worker: its partitions, a hundred at a time, its members, and what may be done."""
    watch: Watch = request.app.state.watch
    worker: str = request.path_params["worker"]
    if worker not in PAUSABLE:
        raise HTTPException(404)
    figures = await watch.figures()
    row = next((one for one in rows_of(watch.seen, figures) if one.worker == worker), None)
    held = figures.consumer_pauses.get(worker)
    places, after = _page_of(row.group if row is not None else None, request.query_params.get("after", ""))
    values: dict[str, Any] = {
        "seen": watch.seen,
        "worker": worker,
        "row": row,
        "held": held if held is not None and held.paused else None,
        "places": places,
        "after": after,
        "late_since": figures.timers_late_since,
        "at": figures.at,
    }
    return draw(request, _template(request, "consumers_one"), here="consumers", **values)


@needs("viewer")
async def provider(request: Request) -> Response:
    """One provider: whether it is called, and what may be done."""
    watch: Watch = request.app.state.watch
    name: str = request.path_params["provider"]
    if name not in PROVIDERS:
        raise HTTPException(404)
    figures = await watch.figures()
    pause = next((one for one in figures.provider_pauses if one.provider == name and one.paused), None)
    open_there = [one for one in figures.unsettled if one.provider == name]
    money: dict[str, int] = {}
    for one in open_there:
        money[one.currency] = money.get(one.currency, 0) + one.amount_minor
    values: dict[str, Any] = {
        "provider": name,
        "pause": pause,
        "count": sum(one.refunds for one in open_there),
        "money": Speech(viewer_of(request).language).sum(money),
    }
    return draw(request, "consumers_provider.html", here="consumers", **values)


@needs("operator")
async def hold(request: Request) -> Response:
    """Pause or resume a consumer or a provider, and say why."""
    kind, name = (
        ("consumer", request.path_params["worker"])
        if "worker" in request.path_params
        else (
            "provider",
            request.path_params["provider"],
        )
    )
    paused = request.path_params["what"] == "pause"
    if request.path_params["what"] not in ("pause", "resume"):
        raise HTTPException(404)
    viewer = viewer_of(request)
    form = await request.form()
    reason = str(form.get("reason", ""))
    do = hold_consumer if kind == "consumer" else hold_provider
    try:
        async with request.app.state.reader.transaction() as connection:
            await do(connection, name, viewer.name, reason, paused=paused)
    except (HoldError, ActionError) as error:
        _refuse(error.code, Speech(viewer.language))
    request.app.state.watch.forget()
    return RedirectResponse(f"/{kind}s/{name}", HTTPStatus.SEE_OTHER)


def _refuse(code: str, say: Speech) -> NoReturn:
    status = {"unknown_consumer": 404, "unknown_provider": 404, "already_paused": 409, "not_paused": 409}.get(code, 400)
    raise HTTPException(status, say.text(f"consumers.refused.{code}")) from None


def _template(request: Request, name: str) -> str:
    return f"{name}_part.html" if "x-annul-part" in request.headers else f"{name}.html"


def _page_of(group: GroupNow | None, after: str) -> tuple[list[PlaceNow], str | None]:
    """The partitions after a cursor, and the next one's; they come in the order of topics and numbers."""
    if group is None:
        return [], None
    places = sorted(group.places, key=lambda one: (one.place.topic, one.place.partition))
    if after:
        topic, _, number = after[:_MOST_CURSOR].rpartition(":")
        if not number.isascii() or not number.isdecimal():
            raise HTTPException(400, "after")
        places = [one for one in places if (one.place.topic, one.place.partition) > (topic, int(number))]
    shown = places[:MOST_ROWS]
    more = len(places) > MOST_ROWS
    return shown, f"{shown[-1].place.topic}:{shown[-1].place.partition}" if more else None


ROUTES = [
    Route("/consumers", consumers),
    Route("/consumers/{worker}", consumer),
    Route("/consumers/{worker}/{what}", hold, methods=["POST"]),
    Route("/providers/{provider}", provider),
    Route("/providers/{provider}/{what}", hold, methods=["POST"]),
]
