"""The audit log: what people did, newest first, and whether the chain of it verifies."""

from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workers.ops.page import draw
from workers.ops.viewer import needs
from workers.store.action_audit import check_audit
from workers.store.audit import newest_verified
from workers.store.queries import sql

_PAGE: Final = 50
_MOST_SEQ: Final = 2**53
_MOST_TEXT: Final = 64
_ALL: Final = 50_000
"""So many entries are read within the time that a page may take (a second or two); of more, the newest so many."""


@needs("viewer")
async def audit(request: Request) -> Response:
    """A page of entries; with `verify` also the chain's proof."""
    asked = request.query_params
    before = asked.get("before", "")
    if before and not (before.isascii() and before.isdecimal() and 0 < int(before) <= _MOST_SEQ):
        raise HTTPException(400, "before")
    actor, subject, what = (asked.get(name, "")[:_MOST_TEXT] or None for name in ("actor", "subject", "what"))
    async with request.app.state.reader.snapshot() as connection:
        found = await connection.fetch(
            sql("list_audit_page"), int(before or _MOST_SEQ), actor, subject, what, _PAGE + 1
        )
        head = await connection.fetchrow(sql("read_audit_head"))
        last_seq = head["seq"] if head else 0
        proof = await _verify(connection, last_seq) if "verify" in asked else None
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


async def _verify(connection: Any, last_seq: int) -> dict[str, Any]:
    """All of it, and every action against it, as `annul verify` does; of a long one only its newest links."""
    if last_seq <= _ALL:
        found = await check_audit(connection, 1)
        return {"entries": last_seq, "all": True, "broken": ": ".join(found[0]) if found else None}
    broken = (await newest_verified(connection, last_seq, _ALL)).broken
    return {"entries": _ALL, "all": False, "broken": broken}


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
