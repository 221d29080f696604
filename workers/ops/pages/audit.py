"""The audit log: what people did, newest first, and whether the chain of it verifies."""

from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workers.ops.page import draw
from workers.ops.viewer import needs
from workers.store.audit import Verifier, read_chain
from workers.store.queries import sql

_PAGE: Final = 50
_MOST_SEQ: Final = 2**53
_MOST_TEXT: Final = 64


@needs("viewer")
async def audit(request: Request) -> Response:
    """A page of entries; with `verify` also the whole chain's proof, within the time that a question has."""
    asked = request.query_params
    before = asked.get("before", "")
    if before and not (before.isdigit() and 0 < int(before) <= _MOST_SEQ):
        raise HTTPException(400, "before")
    actor, subject, what = (asked.get(name, "")[:_MOST_TEXT] or None for name in ("actor", "subject", "what"))
    async with request.app.state.reader.snapshot() as connection:
        found = await connection.fetch(
            sql("list_audit_page"), int(before or _MOST_SEQ), actor, subject, what, _PAGE + 1
        )
        head = await connection.fetchrow(sql("read_audit_head"))
        proof = await _verify(connection) if "verify" in asked else None
    rows = [{**row, "detail": _facts(row["detail"])} for row in found[:_PAGE]]
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


async def _verify(connection: Any) -> dict[str, Any]:
    verifier, entries = Verifier(), 0
    async for link in read_chain(connection):
        verifier.take(link)
        entries += 1
    return {"entries": entries, "broken": verifier.broken}


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
