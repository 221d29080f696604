"""Asking for actions on refunds, agreeing to them and taking them back. The worker `refunds` carries them out.

Each step is one transaction: the action's row, the message that brings it to the worker, the entry in the audit chain.
Reasons and evidence may be personal: they stay in PostgreSQL.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from schemas.refunds import RefundAction
from schemas.topics import REFUNDS_DUE
from workers.actions.preview import Preview, play, preview
from workers.actions.rules import ActionError, Rules, same_person, the_evidence, the_name, the_reason
from workers.domain.emission import Later, emission
from workers.domain.ids import derived
from workers.domain.refund_types import ActionKind
from workers.insight.reading import named
from workers.store import action_audit
from workers.store.action_audit import ManualAction
from workers.store.audit import append
from workers.store.queries import sql
from workers.store.recording import Agenda

_LOOK_EVERY_S: Final = 0.1


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for, and why."""

    refund_id: str
    kind: ActionKind
    actor: str
    reason: str
    evidence: str | None = None
    revision: int | None = None
    """The refund's, as the person saw it; None: as it is now."""
    key: str | None = None
    """Of a form that may be sent twice: the second time finds what the first one asked for."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An action that is on record now, and what it will cause if the refund is still the same then."""

    action: ManualAction
    preview: Preview


async def ask(connection: Any, rules: Rules, wish: Wish) -> Asked:
    """Put an action on record; it goes to the worker at once unless a second person has to agree first.

    Raises ActionError, with nothing on record, where what was said isn't enough or the rules refuse the action now.
    """
    actor, reason, evidence = the_name(wish.actor), the_reason(wish.reason), the_evidence(wish.evidence)
    async with connection.transaction():
        shown = await play(connection, rules, wish.refund_id, wish.kind, evidence=evidence, revision=wish.revision)
        # The order is locked from here on. What the first copy of a form asked for may have moved the refund since.
        if wish.key is not None and (first := await _asked_with(connection, wish, actor)) is not None:
            return Asked(action=first, preview=shown)
        if shown.refused is not None:
            raise ActionError(shown.refused, f"refund {wish.refund_id}")
        like = await connection.fetch(sql("read_like_actions"), wish.refund_id, shown.revision, wish.kind)
        if open_ := [one["action_id"] for one in like if one["outcome"] is None]:
            raise ActionError("already_asked", f"action {open_[0]}")
        action = ManualAction(
            action_id=_keyed_id(wish) or derived("act", wish.refund_id, str(shown.revision), wish.kind, str(len(like))),
            refund_id=wish.refund_id,
            order_id=shown.order_id,
            kind=wish.kind,
            revision=shown.revision,
            actor=actor,
            reason=reason,
            evidence=evidence,
            asked_at=await connection.fetchval(sql("read_clock")),
            needs_second=shown.needs_second,
        )
        # The order is locked, so nobody has asked the same meanwhile.
        await connection.execute(sql("add_action"), *msgspec.structs.astuple(action)[:10])
        if not action.needs_second:
            await _schedule(connection, action, action.asked_at)
        await append(connection, [action_audit.asked(action)])
    return Asked(action=action, preview=shown)


async def approve(connection: Any, action_id: str, actor: str) -> ManualAction:
    """Agree to what another person asked for: it goes to the worker, which refuses it if the refund has moved since.

    Raises ActionError.
    """
    name = the_name(actor)
    async with connection.transaction():
        action = await _lock(connection, action_id)
        if not action.needs_second:
            raise ActionError("no_second_needed", f"action {action_id}")
        if action.approved_by is not None:
            raise ActionError("already_approved", f"action {action_id}")
        if same_person(name, action.actor):
            raise ActionError("same_person", f"action {action_id}")
        now = await connection.fetchval(sql("read_clock"))
        await connection.execute(sql("approve_action"), action_id, name, now)
        await _schedule(connection, action, now)
        await append(connection, [action_audit.approved(action, name)])
    return msgspec.structs.replace(action, approved_by=name, approved_at=now)


async def reject(connection: Any, action_id: str, actor: str, reason: str) -> ManualAction:
    """Say no to an action that isn't decided yet, one's own included. Raises ActionError."""
    name, why = the_name(actor), the_reason(reason)
    async with connection.transaction():
        action = await _lock(connection, action_id)
        now = await connection.fetchval(sql("read_clock"))
        await connection.execute(sql("reject_action"), action_id, why, now)
        agenda = Agenda()
        agenda.note((), (_schedule_id(action_id),), None)
        await agenda.store(connection)
        await append(connection, [action_audit.rejected(action, name, why)])
    return msgspec.structs.replace(action, outcome="rejected", detail=why, decided_at=now)


async def preview_action(connection: Any, rules: Rules, action_id: str) -> Preview:
    """What an action would cause that was asked for: for who is to agree to it. Raises ActionError."""
    action = await read_action(connection, action_id)
    return await preview(
        connection, rules, action.refund_id, action.kind, evidence=action.evidence, revision=action.revision
    )


async def list_actions(
    connection: Any, *, only_open: bool = False, refund_id: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """The newest actions, each with its refund as it is now."""
    rows = await connection.fetch(sql("list_actions"), only_open, refund_id, limit)
    return [dict(row) for row in rows]


async def read_action(connection: Any, action_id: str) -> ManualAction:
    """One action as it stands. Raises ActionError where there is none."""
    row = await connection.fetchrow(sql("read_action"), action_id)
    if row is None:
        raise ActionError("unknown_action", named(action_id))
    return ManualAction(**row)


async def outcome_of(
    connection: Any, action_id: str, within_s: float, *, clock: Callable[[], float] | None = None
) -> ManualAction:
    """The action, as soon as it is decided, or as it stands after a while."""
    time = clock or asyncio.get_running_loop().time
    until = time() + within_s
    while True:
        action = await read_action(connection, action_id)
        if action.outcome is not None or time() >= until:
            return action
        await asyncio.sleep(_LOOK_EVERY_S)


async def _asked_with(connection: Any, wish: Wish, actor: str) -> ManualAction | None:
    """What the same person asked for with the same form before."""
    row = await connection.fetchrow(sql("read_action"), _keyed_id(wish))
    return ManualAction(**row) if row is not None and row["actor"] == actor else None


def _keyed_id(wish: Wish) -> str | None:
    return None if wish.key is None else derived("act", "by form", wish.actor, wish.refund_id, wish.kind, wish.key)


async def _lock(connection: Any, action_id: str) -> ManualAction:
    row = await connection.fetchrow(sql("lock_action"), action_id)
    if row is None:
        raise ActionError("unknown_action", named(action_id))
    action = ManualAction(**row)
    if action.outcome is not None:
        raise ActionError("already_decided", f"action {action_id}")
    return action


async def _schedule(connection: Any, action: ManualAction, now: datetime) -> None:
    data = RefundAction(refund_id=action.refund_id, order_id=action.order_id, action_id=action.action_id)
    told = emission(REFUNDS_DUE, action.order_id, "refund.action", data, now, action.action_id)
    agenda = Agenda()
    agenda.note((Later(_schedule_id(action.action_id), action.refund_id, now, action.revision, told),), (), None)
    await agenda.store(connection)


def _schedule_id(action_id: str) -> str:
    return f"action:{action_id}"
