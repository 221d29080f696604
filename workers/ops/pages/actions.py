"""What people do with refunds: asked for with a reason, and shown before it is done.

Nothing is asked for that wasn't shown first, on the refund as it was then: the form carries its revision, and a key of
its own, so that sending it twice asks once.
"""

import re
import secrets
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from workers.actions.asking import Wish, ask
from workers.actions.preview import Preview, preview
from workers.actions.rules import KINDS, ActionError, Rules, the_evidence, the_reason
from workers.domain.refund_types import ActionKind
from workers.insight.refunds import show_refund
from workers.ops.page import draw
from workers.ops.texts.actions import in_words
from workers.ops.viewer import needs, viewer_of

BY_NAME: Final[dict[str, ActionKind]] = {kind.replace("_", "-"): kind for kind in KINDS}
EVIDENCE: Final[dict[ActionKind, str]] = dict.fromkeys(KINDS, "optional") | {
    "look_up": "none",
    "mark_settled": "required",
    "mark_failed": "required",
}
_TO_SAY: Final = frozenset({"no_reason", "bad_reason", "bad_evidence", "no_evidence"})
"""Refusals that the person mends in the form itself."""
_UNKNOWN: Final = frozenset({"unknown_refund", "unknown_action"})
_FORBIDDEN: Final = "same_person"
_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{16,64}\Z")
_MOST_DIGITS: Final = 18


@needs("operator")
async def possible(request: Request) -> Response:
    """A refund, and what may be done with it now."""
    async with request.app.state.reader.transaction() as connection:
        view = await show_refund(connection, rules_of(request), id_of(request, "refund_id"))
    if view is None:
        raise HTTPException(404)
    return draw(request, "actions.html", here="refunds", view=view)


@needs("operator")
async def form(request: Request) -> Response:
    """What has to be said for one action."""
    return await _form(request, "", "", None)


@needs("operator")
async def shown(request: Request) -> Response:
    """What the action would cause, exactly, with what was said; nothing is done."""
    given = await given_in(request)
    try:
        reason, evidence = the_reason(given["reason"]), the_evidence(given["evidence"])
        told = await _preview(request, evidence, _revision(given))
        insist(told)
    except ActionError as error:
        if error.code in _TO_SAY:
            return await _form(request, given["reason"], given["evidence"], error.code)
        return refused(request, error.code)
    values: dict[str, Any] = {
        "reason": reason,
        "evidence": evidence,
        "key": secrets.token_urlsafe(18),
        "name": _name(request),
    }
    return draw(request, "actions_preview.html", here="refunds", shown=told, words=words_of(request), **values)


@needs("operator")
async def confirmed(request: Request) -> Response:
    """Ask for what was shown."""
    given = await given_in(request)
    revision = _revision(given)
    if revision is None or not _KEY.match(given["key"]):
        raise HTTPException(400, "revision, key")
    wish = Wish(
        refund_id=id_of(request, "refund_id"),
        kind=_kind(request),
        actor=viewer_of(request).name,
        reason=given["reason"],
        evidence=given["evidence"],
        revision=revision,
        key=given["key"],
    )
    try:
        async with request.app.state.reader.transaction() as connection:
            asked = await ask(connection, rules_of(request), wish)
    except ActionError as error:
        if error.code in _TO_SAY:
            return await _form(request, given["reason"], given["evidence"], error.code)
        return refused(request, error.code)
    return RedirectResponse(f"/actions/{asked.action.action_id}", HTTPStatus.SEE_OTHER)


def insist(told: Preview) -> None:
    """Raises ActionError where the rules refuse it now."""
    if told.refused is not None:
        raise ActionError(told.refused)


async def _form(request: Request, reason: str, evidence: str, fault: str | None) -> Response:
    """The form, with what was said before and what is wrong with it."""
    kind = _kind(request)
    try:
        # With evidence at hand: whether there is some is known once the form is sent.
        told = await _preview(request, "to be given" if EVIDENCE[kind] != "none" else None, None)
    except ActionError as error:
        return refused(request, error.code)
    values: dict[str, Any] = {
        "shown": told,
        "name": _name(request),
        "evidence_is": EVIDENCE[kind],
        "reason": reason,
        "evidence": evidence,
        "fault": fault,
    }
    status = HTTPStatus.BAD_REQUEST if fault is not None else HTTPStatus.OK
    return draw(request, "actions_ask.html", here="refunds", status=status, **values)


async def _preview(request: Request, evidence: str | None, revision: int | None) -> Preview:
    """Raises ActionError where there is no such refund."""
    async with request.app.state.reader.transaction() as connection:
        refund_id = id_of(request, "refund_id")
        return await preview(
            connection, rules_of(request), refund_id, _kind(request), evidence=evidence, revision=revision
        )


def refused(request: Request, code: str, back: str | None = None) -> Response:
    """The page that says why not, and leads back to how things are now."""
    if code in _UNKNOWN:
        raise HTTPException(404)
    if code == _FORBIDDEN:
        status = HTTPStatus.FORBIDDEN
    else:
        status = HTTPStatus.BAD_REQUEST if code in _TO_SAY or code == "bad_name" else HTTPStatus.CONFLICT
    link = back or f"/refunds/{request.path_params['refund_id']}/actions"
    return draw(request, "actions_refused.html", here="refunds", status=status, code=code, back=link)


async def given_in(request: Request) -> dict[str, str]:
    """What a form brought; what it did not bring is empty."""
    sent = await request.form()
    return {name: str(sent.get(name, "")) for name in ("reason", "evidence", "revision", "key")}


def _revision(given: dict[str, str]) -> int | None:
    """The refund's, as the form has it. Raises HTTPException."""
    text = given["revision"]
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise HTTPException(400, "revision")
    return int(text)


def _kind(request: Request) -> ActionKind:
    kind = BY_NAME.get(_name(request))
    if kind is None:
        raise HTTPException(404)
    return kind


def id_of(request: Request, name: str) -> str:
    """One of the address. Raises HTTPException where it can't be one."""
    found: str = request.path_params[name]
    if not _ID.match(found):
        raise HTTPException(404)
    return found


def _name(request: Request) -> str:
    name: str = request.path_params["action"]
    return name


def rules_of(request: Request) -> Rules:
    """What the settings say about actions."""
    return Rules.of(request.app.state.settings)


def words_of(request: Request) -> Any:
    """What puts a sentence of a preview into the language of who looks."""
    language = viewer_of(request).language

    def words(sentence: str) -> str:
        told = in_words(sentence, language)
        return f"{told[0].upper()}{told[1:]}"

    return words


ROUTES = [
    Route("/refunds/{refund_id}/actions", possible),
    Route("/refunds/{refund_id}/actions/{action}", form),
    Route("/refunds/{refund_id}/actions/{action}", confirmed, methods=["POST"]),
    Route("/refunds/{refund_id}/actions/{action}/preview", shown, methods=["POST"]),
]
