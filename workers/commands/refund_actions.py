"""`annul refund …`: what a person may do with refunds, for people and machines."""

import sys
from collections.abc import Awaitable
from typing import Final, TypeVar

import msgspec

from schemas.refunds import RefundState
from workers.actions.asking import (
    Wish,
    approve,
    ask,
    list_actions,
    outcome_of,
    preview_action,
    reject,
)
from workers.actions.preview import Preview, preview
from workers.actions.rules import WHY, ActionError, Rules
from workers.commands.output import cell, console, print_json
from workers.commands.refund_printing import actions_table, print_preview, print_view, refunds_table
from workers.domain.refund_types import ActionKind
from workers.insight.reading import connected, named, snapshot
from workers.insight.refund_list import list_refunds as read_refunds
from workers.insight.refunds import show_refund
from workers.settings import Settings, SettingsError
from workers.store.action_audit import ManualAction

T = TypeVar("T")
_WAITS: Final = "waits_for_approval"
_SCHEDULED: Final = "scheduled"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed."""

    refund_id: str
    kind: ActionKind
    actor: str
    reason: str
    evidence: str | None
    revision: int | None
    wait_s: float
    as_json: bool


async def show(settings: Settings, refund_id: str, *, as_json: bool) -> bool:
    """Print a refund; False, and one line on standard error, where there is none."""
    async with connected(settings) as connection:
        view = await show_refund(connection, Rules.of(settings), refund_id)
    if view is None:
        return _no(ActionError("unknown_refund", named(refund_id)))
    if as_json:
        print_json(view)
    else:
        print_view(console(), view)
    return True


async def list_refunds(settings: Settings, *, state: RefundState, code: str | None, limit: int, as_json: bool) -> bool:
    """Print refunds that are in a state; always True: that there are none is good news."""
    async with snapshot(settings) as connection:
        found = await read_refunds(connection, state=state, code=code, limit=limit)
    if as_json:
        print_json({"refunds": found})
    elif found:
        console().print(refunds_table(found, state))
    else:
        console().print("No such refund.")
    return True


async def dry_run(settings: Settings, call: Call) -> bool:
    """Print what would happen; False where it would be refused."""
    async with connected(settings) as connection:
        rules, evidence, revision = Rules.of(settings), call.evidence, call.revision
        shown = await _or_none(
            preview(connection, rules, call.refund_id, call.kind, evidence=evidence, revision=revision)
        )
    return _tell_preview(shown, as_json=call.as_json)


async def dry_run_action(settings: Settings, action_id: str, *, as_json: bool) -> bool:
    """The same for an action that somebody asked for."""
    async with connected(settings) as connection:
        shown = await _or_none(preview_action(connection, Rules.of(settings), action_id))
    return _tell_preview(shown, as_json=as_json)


async def act(settings: Settings, call: Call) -> bool:
    """Ask for it and tell what became of it; False where it was refused."""
    wish = Wish(
        refund_id=call.refund_id,
        kind=call.kind,
        actor=call.actor,
        reason=call.reason,
        evidence=call.evidence,
        revision=call.revision,
    )
    async with connected(settings) as connection:
        asked = await _or_none(ask(connection, Rules.of(settings), wish))
        if asked is None:
            return False
        action = asked.action
        if not action.needs_second:
            action = await outcome_of(connection, action.action_id, call.wait_s)
    if not call.as_json:
        print_preview(console(), asked.preview)
    return _tell(action, asked.preview, as_json=call.as_json)


async def approve_it(settings: Settings, action_id: str, by: str, *, wait_s: float, as_json: bool) -> bool:
    """Agree to it and tell what became of it; False where that can't be, or where it was refused."""
    async with connected(settings) as connection:
        action = await _or_none(approve(connection, action_id, by))
        if action is None:
            return False
        action = await outcome_of(connection, action_id, wait_s)
    return _tell(action, None, as_json=as_json)


async def reject_it(settings: Settings, action_id: str, by: str, reason: str, *, as_json: bool) -> bool:
    """Say no to it; False where that can't be."""
    async with connected(settings) as connection:
        action = await _or_none(reject(connection, action_id, by, reason))
    return action is not None and _tell(action, None, as_json=as_json)


async def list_(settings: Settings, *, only_open: bool, refund_id: str | None, limit: int, as_json: bool) -> bool:
    """Print actions; always True: that there are none is good news."""
    async with snapshot(settings) as connection:
        found = await list_actions(connection, only_open=only_open, refund_id=refund_id, limit=limit)
    if as_json:
        print_json({"actions": found})
    elif found:
        console().print(actions_table(found))
    else:
        console().print("Nobody asked for anything.")
    return True


async def _or_none(work: Awaitable[T]) -> T | None:
    """What it gives; None, and one line on standard error, where an action can't be. Raises SettingsError."""
    try:
        return await work
    except ActionError as error:
        if error.code.startswith("bad_"):
            raise SettingsError(str(error)) from None
        _no(error)
        return None


def _no(error: ActionError) -> bool:
    sys.stderr.write(f"annul: {error}\n")
    return False


def _tell_preview(shown: Preview | None, *, as_json: bool) -> bool:
    if shown is None:
        return False
    if as_json:
        print_json(shown)
    else:
        print_preview(console(), shown)
    if shown.refused is not None:
        sys.stderr.write(f"annul: {shown.kind} would be refused ({shown.refused}): {shown.why}\n")
    return shown.refused is None


def _tell(action: ManualAction, shown: Preview | None, *, as_json: bool) -> bool:
    waits = action.outcome is None and action.needs_second and action.approved_by is None
    standing = action.outcome or (_WAITS if waits else _SCHEDULED)
    if as_json:
        print_json({"action": action, "standing": standing, "preview": shown})
    else:
        console().print(cell(_sentence(action, standing)))
    if action.outcome == "refused":
        why = WHY.get(action.detail or "", "see `annul order`")
        sys.stderr.write(f"annul: action {action.action_id} was refused ({action.detail}): {why}\n")
    return action.outcome != "refused"


def _sentence(action: ManualAction, standing: str) -> str:
    name = f"Action {action.action_id} ({action.kind} of {action.refund_id})"
    return {
        "applied": f"{name} was carried out.",
        "refused": f"{name} was refused.",
        "rejected": f"{name} was rejected.",
        _WAITS: f"{name} waits for a second person: annul refund approve {action.action_id}",
        _SCHEDULED: f"{name} is on its way; the workers `timers` and `refunds` carry it out once they run.",
    }[standing]
