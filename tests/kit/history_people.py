"""People in a random history: who looks at what is in review does something about it, seldom the best."""

from datetime import timedelta
from typing import Any, Final

import msgspec

from kit.history_truth import Truths
from kit.history_world import Letter, World
from schemas.refunds import RefundAction
from schemas.topics import REFUNDS_DUE
from workers.domain.emission import Emission
from workers.domain.refund_types import ActionKind
from workers.pipeline.messages import Verdict
from workers.store import action_audit
from workers.store.action_audit import ManualAction
from workers.store.audit import append
from workers.store.queries import sql

_SEEN: Final = "SELECT state, revision, gate, order_id, tender_id, amount_minor FROM refunds WHERE refund_id = $1"
_OPEN: Final = "SELECT outcome IS NULL FROM manual_actions WHERE action_id = $1"
_KINDS: Final[tuple[ActionKind, ...]] = ("look_up", "retry", "redirect", "settle", "release")
_CHECKED: Final = "looked in the provider's dashboard: nothing was made of it"


class People:
    """One person a refund at a time. Who pays by other means does so once the refund is frozen, and then says so."""

    def __init__(self, world: World, truths: Truths) -> None:
        self._world = world
        self._truths = truths
        self._acts = world.source.choice((0, 3, 6, 9))
        self._actions = 0
        self._paid: set[str] = set()
        self._busy: set[str] = set()
        self._stale: set[str] = set()
        world.on_emission.append(self._emitted)
        world.on_verdict.append(self._decided)

    def _emitted(self, emission: Emission) -> None:
        if emission.topic != "refunds.events.v1":
            return
        self._world.tally[emission.type] += 1
        if emission.type == "refund.needs_review" and self._world.source.random() < 0.8:
            self._look_soon(emission.data.refund_id)  # type: ignore[attr-defined]  # a refund's event

    def _decided(self, letter: Letter, verdict: Verdict) -> None:
        if isinstance(letter.data, RefundAction) and verdict.label != "duplicate":
            self._world.tally[f"action {verdict.label}"] += 1
            action_id = letter.data.action_id
            assert verdict.label != "applied" or action_id not in self._stale, f"{action_id}: they saw an older refund"
            self._busy.discard(letter.data.refund_id)
            self._look_soon(letter.data.refund_id)

    def _look_soon(self, refund_id: str) -> None:
        if self._acts > 0:
            self._world.at(timedelta(hours=self._world.source.uniform(0.1, 50)), "", lambda: self._look(refund_id))

    async def _look(self, refund_id: str) -> None:
        world, source, truths = self._world, self._world.source, self._truths
        if refund_id in self._busy or self._acts <= 0:
            return
        seen = await world.connection.fetchrow(_SEEN, refund_id)
        if seen["state"] != "needs_review" or seen["gate"] not in (None, "frozen"):
            return
        self._acts -= 1
        key = (seen["order_id"], seen["tender_id"])
        kind, evidence = source.choice(_KINDS), None
        if source.random() < 0.5 and not truths.out(key):
            evidence = _CHECKED
        if seen["gate"] == "frozen":
            kind, evidence = "mark_settled", "bank transfer 4711"
            if refund_id not in self._paid:
                self._paid.add(refund_id)
                truths.of[key].persons += seen["amount_minor"]
                world.note(f"a person pays {seen['amount_minor']} for {refund_id[:10]} by bank transfer")
                truths.check(key)
        await self._ask(refund_id, seen, kind, evidence)

    async def _ask(self, refund_id: str, seen: Any, kind: ActionKind, evidence: str | None) -> None:
        world, source = self._world, self._world.source
        self._busy.add(refund_id)
        self._actions += 1
        # Now and then they saw it a moment ago.
        stale = source.random() < 0.1
        action = ManualAction(
            action_id=f"act_h{world.seed}.{self._actions}",
            refund_id=refund_id,
            order_id=seen["order_id"],
            kind=kind,
            revision=max(seen["revision"] - stale, 1),
            actor="ada",
            reason="so it must be",
            evidence=evidence,
            asked_at=world.now,
            needs_second=source.random() < 0.2,
        )
        if stale:
            self._stale.add(action.action_id)
        world.tally[f"asked {kind}"] += 1
        world.note(
            f"a person asks for {kind} of {refund_id[:10]} at {action.revision}: {action.action_id}"
            + (f" ({evidence})" if evidence else "")
        )
        async with world.connection.transaction():
            await world.connection.execute(sql("add_action"), *msgspec.structs.astuple(action)[:10])
            await append(world.connection, [action_audit.asked(action)])
        self._send(action, action.action_id)
        if action.needs_second:
            world.at(timedelta(hours=source.uniform(0.1, 20)), "", lambda: self._approve(action))

    async def _approve(self, action: ManualAction) -> None:
        world = self._world
        async with world.connection.transaction():
            if not await world.connection.fetchval(_OPEN, action.action_id):
                return
            world.note(f"a second person agrees to {action.action_id}")
            await world.connection.execute(sql("approve_action"), action.action_id, "bob", world.now)
            await append(world.connection, [action_audit.approved(action, "bob")])
        self._send(action, f"{action.action_id}.ok")

    def _send(self, action: ManualAction, message_id: str) -> None:
        asked = RefundAction(refund_id=action.refund_id, order_id=action.order_id, action_id=action.action_id)
        self._world.post(REFUNDS_DUE.name, "refund.action", message_id, asked)
