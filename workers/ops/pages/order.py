"""One order's whole story on one page."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workers.actions.rules import KINDS
from workers.domain.order_effects import Explanation
from workers.insight.ledger import OrderLedger, order_ledger
from workers.insight.sellers import explanation
from workers.insight.story import MOST_ROWS, Story, tell_story_on
from workers.ops.language import Speech
from workers.ops.page import draw
from workers.ops.telling import PageTelling
from workers.ops.viewer import needs, viewer_of
from workers.store.queries import sql

_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_WORD: Final = re.compile(r"[A-Za-z0-9_.:-]{4,300}")
_AT_ITS_END: Final = ".:-"
"""Belongs to the sentence, not to the id before it."""


@needs("viewer")
async def order(request: Request) -> Response:
    """All that is recorded of it."""
    order_id: str = request.path_params["order_id"]
    if not _ID.match(order_id):
        raise HTTPException(404)
    async with request.app.state.reader.snapshot() as connection:
        telling = PageTelling(Speech(viewer_of(request).language))
        story = await tell_story_on(connection, order_id, telling)
        if story is None:
            raise HTTPException(404)
        lines = await connection.fetch(sql("read_ledger_lines"), order_id)
        rates = await _rates(connection, story, request.app.state.settings.topic_partitions)
    links = _links(story)

    def linked(text: str) -> Markup:
        return _linked(text, links)

    values: dict[str, Any] = {
        "story": story,
        "books": _books(story, lines),
        "rates": rates,
        "kinds": KINDS,
        "linked": linked,
        "most_rows": MOST_ROWS,
        "facts": _by_refund(story.facts),
        "claims": sum(step.what == "refund.claimed" for step in story.timeline),
    }
    return draw(request, "order.html", here="refunds", **values)


async def _rates(connection: Any, story: Story, partitions: int) -> Explanation | None:
    """What the order did to its seller's rates; None where it did nothing yet."""
    if story.seller_id is None or not any(step.what == "seller.outcome" for step in story.timeline):
        return None
    return await explanation(connection, story.seller_id, partitions, limit=0, order_id=story.order_id)


def _books(story: Story, lines: Any) -> OrderLedger | None:
    return order_ledger(story.order_id, lines, refunded=story.state == "refunded") if lines else None


def _by_refund(facts: Iterable[dict[str, Any]]) -> Mapping[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for fact in facts:
        found.setdefault(fact["refund_id"], []).append(fact)
    return found


def _links(story: Story) -> Mapping[str, str]:
    """Where each id of the story leads that the page can be followed by."""
    found = {one["refund_id"]: f"#refund-{one['refund_id']}" for one in story.refunds}
    found |= {one["action_id"]: f"/actions/{one['action_id']}" for one in story.actions}
    found |= {one["parked_id"]: f"/parked/{one['parked_id']}" for one in story.parked}
    if story.chat is not None:
        found[story.chat.conversation_id] = f"/chats/{story.chat.conversation_id}"
    if story.seller_id is not None:
        found[story.seller_id] = f"/sellers/{story.seller_id}"
    return found


def _linked(text: str, links: Mapping[str, str]) -> Markup:
    """A sentence of the story in which the ids are links; everything else of it is text."""
    parts, at = [], 0
    for match in _WORD.finditer(text):
        word = match.group().rstrip(_AT_ITS_END)
        if word in links:
            parts += [escape(text[at : match.start()]), Markup('<a href="{}">{}</a>').format(links[word], word)]
            at = match.start() + len(word)
    return Markup("").join([*parts, escape(text[at:])])


ROUTES = [Route("/orders/{order_id}", order)]
