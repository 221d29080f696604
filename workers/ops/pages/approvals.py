"""An action that was asked for: how it stands, another person's word on it."""

from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from workers.actions.asking import approve, preview_action, read_action, reject
from workers.actions.rules import WHY, ActionError, same_person, the_reason
from workers.ops.page import draw
from workers.ops.pages.actions import given_in, id_of, insist, refused, rules_of, words_of
from workers.ops.viewer import needs, viewer_of
from workers.store.action_audit import ManualAction


@needs("viewer")
async def action(request: Request) -> Response:
    """One action: how it stands, and for who may agree to it what it would cause."""
    viewer = viewer_of(request)
    try:
        async with request.app.state.reader.transaction() as connection:
            found = await read_action(connection, id_of(request, "action_id"))
            waits = _waits(found)
            told = await preview_action(connection, rules_of(request), found.action_id) if waits else None
    except ActionError:
        raise HTTPException(404) from None
    mine = same_person(viewer.name, found.actor)
    values: dict[str, Any] = {
        "action": found,
        "standing": found.outcome or ("waits" if waits else "scheduled"),
        "shown": told,
        "words": words_of(request),
        "mine": mine,
        "may_approve": waits and viewer.may("approver") and not mine and told is not None and told.refused is None,
        "may_reject": found.outcome is None and _may_reject(request, found),
        "sees_reasons": viewer.may("operator"),
        "why_codes": WHY,
    }
    return draw(request, "actions_one.html", here="refunds", **values)


@needs("approver")
async def approved(request: Request) -> Response:
    """Agree to what another person asked for, if the refund still is what they saw."""
    name, action_id = viewer_of(request).name, id_of(request, "action_id")
    try:
        async with request.app.state.reader.transaction() as connection:
            found = await read_action(connection, action_id)
            if found.approved_by == name:
                return _to(found)
            if _waits(found) and not same_person(name, found.actor):
                insist(await preview_action(connection, rules_of(request), action_id))
            await approve(connection, action_id, name)
    except ActionError as error:
        return refused(request, error.code, f"/actions/{action_id}")
    return _to(found)


@needs("operator")
async def rejected(request: Request) -> Response:
    """Say no to it: an approver to anybody's, an operator to their own."""
    action_id, given = id_of(request, "action_id"), await given_in(request)
    try:
        async with request.app.state.reader.transaction() as connection:
            found = await read_action(connection, action_id)
            if not _may_reject(request, found):
                raise HTTPException(403)
            if found.outcome == "rejected" and found.detail == the_reason(given["reason"]):
                return _to(found)
            await reject(connection, action_id, viewer_of(request).name, given["reason"])
    except ActionError as error:
        return refused(request, error.code, f"/actions/{action_id}")
    return _to(found)


def _waits(found: ManualAction) -> bool:
    return found.outcome is None and found.needs_second and found.approved_by is None


def _may_reject(request: Request, found: ManualAction) -> bool:
    viewer = viewer_of(request)
    return viewer.may("approver") or (viewer.may("operator") and same_person(viewer.name, found.actor))


def _to(found: ManualAction) -> Response:
    return RedirectResponse(f"/actions/{found.action_id}", HTTPStatus.SEE_OTHER)


ROUTES = [
    Route("/actions/{action_id}", action),
    Route("/actions/{action_id}/approve", approved, methods=["POST"]),
    Route("/actions/{action_id}/reject", rejected, methods=["POST"]),
]
