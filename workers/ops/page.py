"""Drawing a page: templates, and what each of them is given."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from workers.ops.language import Speech
from workers.ops.tables import class_of, labelled, name_of
from workers.ops.viewer import viewer_of

HERE: Final = Path(__file__).parent
_environment: Final = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(labelled=labelled, name_of=name_of, class_of=class_of)
NAVIGATION: Final = (
    ("overview", "/"),
    ("consumers", "/consumers"),
    ("refunds", "/refunds"),
    ("parked", "/parked"),
    ("sellers", "/sellers"),
    ("chats", "/chats"),
    ("audit", "/audit"),
)


def draw(request: Request, template: str, *, here: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page. `here` names the entry of the navigation that it belongs to; `values` go to the template.

    Templates have `t` (a text by its key), `say` (numbers, money, times), `viewer`, `path`, `now` besides.
    """
    viewer = viewer_of(request)
    say = Speech(viewer.language)
    html = _environment.get_template(template).render(
        t=say.text,
        say=say,
        viewer=viewer,
        here=here,
        navigation=NAVIGATION,
        path=request.url.path,
        query=request.url.query,
        now=datetime.now(UTC),
        **values,
    )
    return HTMLResponse(html, status_code=status)
