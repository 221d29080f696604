"""What an action would cause, played with the rules themselves on the rows as they are; nothing of it stays.

Where an action opens a gate the play goes on: the calls end, the provider shows nothing alive, the other way is taken.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from schemas.refunds import RefundAction, RefundDue, RefundIssue, RefundResult
from workers.actions.rules import WHY, ActionError, Rules, the_evidence
from workers.actions.shown import Stage, shown
from workers.domain import ledger
from workers.domain.emission import Emission
from workers.domain.refund import Observation, decide_refund
from workers.domain.refund_course import RefundDecision, Situation
from workers.domain.refund_types import Action, ActionKind, Gate, Refund
from workers.domain.settlement import settle_order
from workers.insight.reading import named
from workers.store.queries import sql
from workers.store.refund_rows import RefundRows

AT_ONCE: Final = "at once"
ANSWERED: Final = "once the provider's answer shows that nothing of it is alive"
PROVEN: Final[dict[Gate, str]] = {
    "redirect": "the money goes to the client's wallet",
    "renew": "the refund is sent anew, under a new key",
    "settle": "the refund is frozen: a person pays, and marks it as settled",
}
_MOST_WAITS: Final = 5
"""For calls to end: they do after one wait, or two where a person asks in between."""
_UNLESS: Final = "If something of it is alive, nothing of this happens: it stays in review and says so."


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """All that an action would cause, or why it is refused: `refused` is a code, `why` a sentence."""

    refund_id: str
    order_id: str
    kind: ActionKind
    revision: int
    amount_minor: int
    currency: str
    needs_second: bool
    refused: str | None
    why: str | None
    stages: list[Stage]
    waits_for: str | None
    """What a gate leads to, where one is opened."""
    warnings: list[str]


async def preview(
    connection: Any,
    rules: Rules,
    refund_id: str,
    kind: ActionKind,
    *,
    evidence: str | None = None,
    revision: int | None = None,
) -> Preview:
    """What would happen to the refund as it is at `revision`; None: as it is now.

    Locks the order for a moment, as a decision does, so the connection must be allowed to write. Nothing is written.
    Raises ActionError where there is no such refund.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        return await play(connection, rules, refund_id, kind, evidence=evidence, revision=revision)
    finally:
        await transaction.rollback()


async def play(
    connection: Any,
    rules: Rules,
    refund_id: str,
    kind: ActionKind,
    *,
    evidence: str | None = None,
    revision: int | None = None,
) -> Preview:
    """The same within the caller's transaction, which then holds the locks on the order and its refunds."""
    rows = RefundRows()
    order_id = await connection.fetchval(sql("read_order_of_refund"), refund_id)
    if order_id is None:
        raise ActionError("unknown_refund", named(refund_id))
    about = RefundAction(refund_id=refund_id, order_id=order_id, action_id="preview")
    await rows.load(connection, [about])
    refund = rows.refund(refund_id)
    assert refund is not None
    now = await connection.fetchval(sql("read_clock"))
    seen = refund.revision if revision is None else revision
    shown_by = the_evidence(evidence)
    action = Action(action_id="preview", refund_id=refund_id, kind=kind, revision=seen, evidence=shown_by)
    played = _Play(rows, rules, refund_id, now)
    decision = played.stage(AT_ONCE, action)
    gate = decision.refund.gate if decision.refused is None else None
    if decision.refused is None:
        played.go_on(decision)
    hindered = await connection.fetchrow(sql("read_hindrances"), refund.reference, refund.provider)
    return Preview(
        refund_id=refund_id,
        order_id=order_id,
        kind=kind,
        revision=seen,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        needs_second=rules.need_second(kind, refund.amount_minor, refund.currency),
        refused=decision.refused,
        why=WHY[decision.refused] if decision.refused is not None else None,
        stages=played.stages if decision.refused is None else [],
        waits_for=f"{ANSWERED} {PROVEN[gate]}. {_UNLESS}" if gate in PROVEN else None,
        warnings=_warnings(refund, kind, hindered, played.stages),
    )


def _warnings(refund: Refund, kind: ActionKind, hindered: Any, stages: list[Stage]) -> list[str]:
    told = []
    asked = {one.provider for stage in stages for one in stage.commands}
    moved = {one.provider for stage in stages for one in stage.commands if one.type == "refund.issue"}
    if hindered["disputed"] and refund.provider != "wallet" and refund.provider in moved:
        told.append("a dispute about the payment is open: the command is refused, and the refund comes back to review")
    elif (hindered["disputed"] or "DISPUTE" in (refund.code or "").upper()) and kind in ("redirect", "settle"):
        told.append("the payment is or was disputed: the client's bank may have given the money back, or may yet")
    if hindered["paused"] is not None and refund.provider in asked:
        told.append(f"{refund.provider} is paused ({hindered['paused']}): what it is sent waits until it is back")
    return told


class _Play:
    """Goes from stage to stage, each on what the one before left."""

    def __init__(self, rows: RefundRows, rules: Rules, refund_id: str, now: datetime) -> None:
        self.stages: list[Stage] = []
        self._rows = rows
        self._now = now
        self._refund_id = refund_id
        self._base = Situation(now=now, policy=rules.policy, jitter=0.5)

    def go_on(self, decision: RefundDecision) -> None:
        """What follows if nothing gets in the way, up to the money's arrival."""
        for _ in range(_MOST_WAITS):
            refund = decision.refund
            if refund.gate not in PROVEN or refund.gate_look_up is not None or not decision.later:
                break
            self._now = decision.later[0].due_at
            due = RefundDue(refund_id=refund.refund_id, order_id=refund.order_id, revision=refund.revision)
            decision = self.stage(f"once calls of it that may be under way have ended, {_when(self._now)}", due)
        refund = decision.refund
        if refund.gate in PROVEN and refund.gate_look_up is not None:
            self._now += timedelta(seconds=1)
            decision = self.stage(ANSWERED, _answer(refund, "not_found"))
        sent = next((one.data for one in decision.emissions if isinstance(one.data, RefundIssue)), None)
        if sent is not None:
            live = self._rows.refund(sent.refund_id)
            assert live is not None
            self._now += timedelta(seconds=1)
            where = "the wallet has it" if live.provider == "wallet" else f"{live.provider} says that it succeeded"
            self.stage(f"once {where}", _answer(live, "succeeded"), refund_id=live.refund_id, issue=sent)

    def stage(
        self, when: str, observation: Observation, *, refund_id: str | None = None, issue: RefundIssue | None = None
    ) -> RefundDecision:
        """Decide, as the worker would, and keep what that changes. `issue` is the command that was carried out."""
        before = self._rows.refund(refund_id or self._refund_id)
        assert before is not None
        situation = self._rows.situation(before, msgspec.structs.replace(self._base, now=self._now))
        decision = decide_refund(before, observation, situation)
        self._rows.note(decision, "preview")
        lines = list(decision.transfers)
        if issue is not None and before.provider == "wallet":
            lines.insert(0, ledger.wallet_credit(issue, before.client_id, self._now))
        emissions = [*decision.emissions, *self._settle(before.order_id)]
        self.stages.append(shown(when, before, decision, lines, emissions))
        return decision

    def _settle(self, order_id: str) -> list[Emission]:
        order, told = settle_order(self._rows.order(order_id), self._rows.of_order(order_id), self._now)
        self._rows.change_order(order)
        return [told] if told is not None else []


def _answer(refund: Refund, outcome: Any) -> RefundResult:
    """The provider's answer that the play supposes."""
    asked = outcome == "not_found"
    return RefundResult(
        refund_id=refund.refund_id,
        order_id=refund.order_id,
        provider=refund.provider,
        attempt=refund.attempt,
        outcome=outcome,
        observed_at=refund.issued_at,
        via="look_up" if asked else "call",
        look_up_no=refund.gate_look_up if asked else None,
    )


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
