"""Is all well? One sentence and six cards, and how it was in the last hours."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workers.ops.cards import cards_of
from workers.ops.language import Speech
from workers.ops.page import draw
from workers.ops.trend import charts_of
from workers.ops.verdict import Problem, problems_of, rows_of
from workers.ops.viewer import needs, viewer_of
from workers.ops.watching import Watch


@needs("viewer")
async def overview(request: Request) -> Response:
    """The first page, or only the part of it that changes."""
    watch: Watch = request.app.state.watch
    figures = await watch.figures()
    seen = watch.seen
    say = Speech(viewer_of(request).language)
    values: dict[str, Any] = {
        "at": figures.at,
        "problems": [(one, _sentence(one, figures.at, say)) for one in problems_of(seen, figures)],
        "cards": cards_of(seen, figures, rows_of(seen, figures), say),
        "charts": charts_of(figures, say),
    }
    template = "overview_part.html" if "x-annul-part" in request.headers else "overview.html"
    return draw(request, template, here="overview", **values)


def _sentence(one: Problem, now: Any, say: Speech) -> str:
    what = say.text(one.key, **one.values)
    if one.since is None:
        told = say.text("overview.plain", what=what)
    else:
        told = say.text("overview.since", what=what, at=say.when(one.since), span=say.span(now - one.since))
    return say.text("overview.holds", sentence=told, money=say.sum(one.money)) if one.money else told


ROUTES = [Route("/", overview)]
