"""What the audit chain says of people's actions, and whether the actions are still what it says.

The last entries of a chain can be cut off without a break in it. So each action is held against its entries: who asked
for what and why, who approved it, what became of it. And each entry against its action: a row taken away is found too.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from workers.domain.refund_types import ActionKind
from workers.store.audit import Entry, Verifier, canonical, read_chain
from workers.store.queries import sql

CHAIN: Final = "audit chain"
REFUNDS: Final = "refunds"
"""The actor of what the worker of that name decided."""


class ManualAction(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for. `detail` is the code of a refusal, or why another person rejected it."""

    action_id: str
    refund_id: str
    order_id: str
    kind: ActionKind
    revision: int
    """The refund's, as the person saw it."""
    actor: str
    reason: str
    evidence: str | None
    asked_at: datetime
    needs_second: bool
    approved_by: str | None = None
    approved_at: datetime | None = None
    decided_at: datetime | None = None
    outcome: Literal["applied", "refused", "rejected"] | None = None
    detail: str | None = None


def asked(action: ManualAction) -> Entry:
    """A person asked for it."""
    detail = {
        "refund_id": action.refund_id,
        "order_id": action.order_id,
        "kind": action.kind,
        "revision": action.revision,
        "reason": action.reason,
        "evidence": action.evidence,
        "needs_second": action.needs_second,
    }
    return Entry(actor=action.actor, what="action.asked", subject=action.action_id, detail=detail)


def approved(action: ManualAction, actor: str) -> Entry:
    """Another person agreed."""
    detail = {"refund_id": action.refund_id, "kind": action.kind}
    return Entry(actor=actor, what="action.approved", subject=action.action_id, detail=detail)


def rejected(action: ManualAction, actor: str, reason: str) -> Entry:
    """A person said no, or took it back."""
    detail = {"refund_id": action.refund_id, "kind": action.kind, "reason": reason}
    return Entry(actor=actor, what="action.rejected", subject=action.action_id, detail=detail)


def decided(action_id: str, refund_id: str, kind: str, refused: str | None) -> Entry:
    """It was carried out, or refused for the reason of a code."""
    what = "action.applied" if refused is None else "action.refused"
    detail = {"refund_id": refund_id, "kind": kind, "code": refused}
    return Entry(actor=REFUNDS, what=what, subject=action_id, detail=detail)


async def check_audit(connection: Any, most: int) -> list[tuple[str, str]]:
    """What doesn't verify, as (subject, detail), at most so many; within a transaction that sees one moment."""
    chain = Verifier()
    told: dict[str, _Told] = {}
    found: list[tuple[str, str]] = []
    async for link in read_chain(connection):
        chain.take(link)
        if link.what.startswith("action."):
            of_action = told.setdefault(link.subject, {})
            if link.what in of_action:
                found.append((link.subject, f"{link.what} is in the audit chain twice"))
            of_action[link.what] = (link.actor, link.detail)
    async for row in connection.cursor(sql("read_all_actions"), prefetch=500):
        action = ManualAction(**row)
        differences = _differences(action, told.pop(action.action_id, {}))
        found += [(action.action_id, detail) for detail in differences]
    found += [(action_id, "is in the audit chain, and there is no such action") for action_id in told]
    if chain.broken is not None:
        found.insert(0, (CHAIN, chain.broken))
    return found[:most]


_Told = dict[str, tuple[str, str]]
"""Of one action: by what happened, the actor and the detail."""


def _differences(action: ManualAction, told: _Told) -> Iterator[str]:
    expected = [asked(action)]
    if action.approved_by is not None:
        expected.append(approved(action, action.approved_by))
    if action.outcome == "rejected":
        # Who did is in the chain alone.
        actor = told.get("action.rejected", ("", ""))[0]
        expected.append(rejected(action, actor, action.detail or ""))
    elif action.outcome is not None:
        refused = (action.detail or "") if action.outcome == "refused" else None
        expected.append(decided(action.action_id, action.refund_id, action.kind, refused))
    for entry in expected:
        found = told.pop(entry.what, None)
        if found is None:
            yield f"{entry.what} is not in the audit chain"
        elif found != (entry.actor, canonical(entry.detail)):
            yield f"is not what the audit chain says of {entry.what}"
    for what in told:
        yield f"{what} is in the audit chain, and the action doesn't say so"
    if action.outcome == "applied" and action.needs_second and action.approved_by is None:
        yield "was carried out without a second person"
