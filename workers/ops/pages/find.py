"""Whatever an id is the id of."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from workers.insight.find import MOST_FOUND, Match, find
from workers.ops.page import draw
from workers.ops.viewer import needs

_MOST_TYPED: Final = 300


@needs("viewer")
async def found(request: Request) -> Response:
    """Where the only match leads; all of them where there are several, and a word where there is none."""
    text = request.query_params.get("q", "").strip()
    matches: list[Match] = []
    if 0 < len(text) <= _MOST_TYPED:
        async with request.app.state.reader.snapshot() as connection:
            matches = await find(connection, text)
    targets = [(one, target(one)) for one in matches]
    if len({link for _, link in targets}) == 1:
        return RedirectResponse(targets[0][1], HTTPStatus.SEE_OTHER)
    return draw(request, "find.html", here="", text=text[:_MOST_TYPED], matches=targets, most=MOST_FOUND)


def target(match: Match) -> str:
    """The page of a match, at the refund or part of it that the id names."""
    order = f"/orders/{quote(match.order_id, safe='')}" if match.order_id is not None else None
    match match.kind:
        case "seller":
            return f"/sellers/{quote(match.id, safe='')}"
        case "parked":
            return f"/parked/{quote(match.id, safe=':')}"
        case "action":
            return f"/actions/{quote(match.id, safe='')}"
        case "payout":
            return f"{order}#payouts"
        case "conversation":
            return f"{order}#chat"
        case "dispute":
            return f"{order}#disputes"
        case _:
            return f"{order}#refund-{match.refund_id}" if match.refund_id is not None else f"{order}"


ROUTES = [Route("/find", found)]
