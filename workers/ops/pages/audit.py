"""The audit log: what people did, newest first, and whether the chain of it verifies."""

import re
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workers.ops.language import Speech
from workers.ops.page import draw
from workers.ops.viewer import needs, viewer_of
from workers.store.action_audit import check_audit
from workers.store.audit import newest_verified
from workers.store.queries import sql

log = structlog.get_logger()
_PAGE: Final = 50
_MOST_SEQ: Final = 2**53
_MOST_TEXT: Final = 64
_DIGITS: Final = re.compile(r"[0-9]{1,16}\Z")
_FREE_TEXT: Final = frozenset({"reason", "evidence", ""})
"""What people write may be about people; as on the page of an action, who only looks sees how long it is."""
_ALL: Final = 50_000
"""So many entries are read within the time that a page may take (a second or two); of more, the newest so many."""


@needs("viewer")
async def audit(request: Request) -> Response:
    """A page of entries; with `verify` also the chain's proof."""
    asked = request.query_params
    before = asked.get("before", "")
    if before and not (_DIGITS.match(before) and 0 < int(before) <= _MOST_SEQ):
        raise HTTPException(400, "before")
    actor, subject, what = (asked.get(name, "")[:_MOST_TEXT] or None for name in ("actor", "subject", "what"))
    verifies = "verify" in asked
    async with AsyncExitStack() as stack:
        if verifies:
            # One at a time: it takes a while, and the pages share few connections.
            await stack.enter_async_context(request.app.state.verifying)
        connection = await stack.enter_async_context(request.app.state.reader.snapshot())
        found = await connection.fetch(
            sql("list_audit_page"), int(before or _MOST_SEQ), actor, subject, what, _PAGE + 1
        )
        head = await connection.fetchrow(sql("read_audit_head"))
        proof = await _verify(connection, head) if verifies else None
    viewer = viewer_of(request)
    say = Speech(viewer.language)
    rows = [{**row, "detail": _facts(row["detail"])} for row in found[:_PAGE]]
    if not viewer.may("operator"):
        rows = [{**row, "detail": [_masked(name, value, say) for name, value in row["detail"]]} for row in rows]
    return draw(
        request,
        "audit.html",
        here="audit",
        rows=rows,
        head=head,
        proof=proof,
        filters={"actor": actor or "", "subject": subject or "", "what": what or ""},
        following=rows[-1]["seq"] if len(found) > _PAGE else None,
    )


async def _verify(connection: Any, head: Any) -> dict[str, Any]:
    """All of it, and every action against it, as `annul verify` does; of a long one only its newest links."""
    last_seq = head["seq"] if head else 0
    every = last_seq <= _ALL
    if every:
        found = await check_audit(connection, 1)
        broken = ": ".join(found[0]) if found else None
    else:
        broken = (await newest_verified(connection, last_seq, _ALL)).broken
    if broken is not None:
        log.error("audit.broken", error=broken)
    elif head:
        # The log is kept elsewhere: an end that was cut off later is told by it.
        log.info("audit.verified", seq=last_seq, hash=head["hash"].hex())
    return {"entries": min(last_seq, _ALL), "all": every, "broken": broken}


def _masked(name: str, value: str, say: Speech) -> tuple[str, str]:
    hidden = name in _FREE_TEXT and value != "null"
    return (name, say.text("actions.masked", count=len(value)) if hidden else value)


def _facts(text: str) -> list[tuple[str, str]]:
    try:
        detail = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return [("", text)]
    return [
        (name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in detail.items()
    ]


ROUTES = [Route("/audit", audit)]
