"""Worker `refunds`: the only place that changes a refund's state, whatever way the news came."""

import random
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

import structlog
from msgspec.structs import replace

from schemas.base import Fault, ProviderName
from schemas.refunds import RefundAction, RefundDue, RefundFlagged, RefundResult
from workers.consumers import CONSUMERS
from workers.domain.emission import Emission
from workers.domain.policy import RefundPolicy
from workers.domain.refund import Observation, decide_refund
from workers.domain.refund_course import RefundDecision, Situation
from workers.domain.refund_facts import OVERPAID
from workers.domain.refund_types import Action, Refund
from workers.domain.settlement import settle_order
from workers.handler import DatabaseHandler
from workers.pipeline.messages import Incoming, Verdict
from workers.providers.answers import FUNDS_ALARMS
from workers.store.recording import Agenda
from workers.store.refund_rows import Acted, RefundRows
from workers.telemetry import Metrics

log = structlog.get_logger()


class Alarm(NamedTuple):
    """What ops must hear of at once: money went out twice, or the platform's own balance is short."""

    event: Literal["refund.overpaid", "provider.short_of_funds"]
    provider: str
    refund_id: str


class Noted(NamedTuple):
    """What a decision is counted by, once it is recorded."""

    steps: tuple[tuple[str, str], ...]
    """Provider and state that each step led to."""
    alarm: Alarm | None


class Refunds(DatabaseHandler):
    """Decides results, due rows, flags and people's actions under the lock of their order."""

    name = "refunds"
    topics = CONSUMERS["refunds"]

    def __init__(self, policy: RefundPolicy, randomness: random.Random, metrics: Metrics | None = None) -> None:
        self._policy = policy
        self._randomness = randomness
        self._metrics = metrics or Metrics()
        self._metrics.expect_alarms(("refund.overpaid", "provider.short_of_funds"), get_args(ProviderName))

    async def record(self, connection: Any, batch: Sequence[Incoming], now: datetime) -> Sequence[Verdict]:
        """One verdict a message."""
        work = _Work(now, self._policy, self._randomness)
        await work.rows.load(connection, [message.data for message in batch])
        verdicts = [work.decide(message) for message in batch]
        await work.rows.store(connection, now)
        await work.agenda.store(connection)
        await work.rows.store_audit(connection)
        return verdicts

    def perform(self, effects: Iterable[Any]) -> None:
        """Count the steps and raise the alarms, now that what they are about is recorded."""
        for noted in effects:
            for provider, state in noted.steps:
                self._metrics.transition(provider, state)
            if (alarm := noted.alarm) is not None:
                self._metrics.alarm(alarm.event, alarm.provider)
                log.error(alarm.event, provider=alarm.provider, refund_id=alarm.refund_id)


class _Work:
    """What a batch decides on what is known."""

    def __init__(self, now: datetime, policy: RefundPolicy, randomness: random.Random) -> None:
        self._situation = Situation(now=now, policy=policy, jitter=0.0)
        self._randomness = randomness
        self.rows = RefundRows()
        self.agenda = Agenda()

    def decide(self, message: Incoming) -> Verdict:
        """Decide one observation on what is known, earlier ones of the batch included."""
        said: RefundResult | RefundDue | RefundFlagged | RefundAction = message.data
        refund = self.rows.refund(said.refund_id)
        if (fault := self._fault(refund, said)) is not None:
            return Verdict("parked", fault=fault)
        assert refund is not None
        observation: Observation
        if isinstance(said, RefundAction):
            asked = self.rows.actions.get(said.action_id)
            if asked is None or asked.action.refund_id != said.refund_id:
                return Verdict("duplicate")
            if asked.unapproved:
                return Verdict("refused")
            # Decided once, also where a batch holds its message twice.
            del self.rows.actions[said.action_id]
            observation = asked.action
        else:
            observation = said
        at = replace(self._situation, jitter=self._randomness.random())
        decision = decide_refund(refund, observation, self.rows.situation(refund, at))
        self.rows.note(decision, message.envelope.id)
        if isinstance(observation, Action):
            self.rows.acted.append(Acted(observation, decision.refused))
        elif isinstance(said, RefundResult | RefundFlagged):
            self.rows.observe(message.envelope.id, said, decision.refund, self._situation.now)
        emissions = [*decision.emissions, *self._settle(refund.order_id)]
        self.agenda.note(decision.later, decision.withdrawn, message.envelope.traceparent)
        if decision.refused is not None:
            return Verdict("refused", emissions)
        moved = decision.changed or emissions or decision.later or decision.facts
        return Verdict("applied" if moved else "stale", emissions, effect=_noted(said, refund, decision))

    def _fault(self, refund: Refund | None, said: Any) -> Fault | None:
        if refund is None or refund.order_id != said.order_id:
            return Fault("unknown_refund", "refund_id", "no such refund of this order")
        if not isinstance(said, RefundResult):
            return None
        if said.provider != refund.provider:
            return Fault("contradicts_recorded", "provider", "the refund is another's")
        if refund.provider == "wallet" and not self._is_true_of_wallet(said):
            return Fault("contradicts_recorded", "outcome", "the ledger, which is the wallet, says otherwise")
        return None

    def _is_true_of_wallet(self, said: RefundResult) -> bool:
        """A wallet's refund is its ledger line: a credit that isn't there was not given, one that is stays given."""
        credited = said.refund_id in self.rows.credited
        return credited if said.outcome == "succeeded" else said.outcome in ("not_found", "rejected") and not credited

    def _settle(self, order_id: str) -> list[Emission]:
        settled, told = settle_order(self.rows.order(order_id), self.rows.of_order(order_id), self._situation.now)
        if told is None:
            return []
        self.rows.change_order(settled)
        return [told]


def _noted(said: Any, before: Refund, decision: RefundDecision) -> Noted | None:
    told = (decision.refund, decision.successor, decision.created)
    providers = {one.refund_id: one.provider for one in told if one is not None}
    steps = tuple((providers[step.refund_id], step.state) for step in decision.steps)
    alarm = _alarm(said, before, decision)
    return Noted(steps, alarm) if steps or alarm is not None else None


def _alarm(said: Any, before: Refund, decision: RefundDecision) -> Alarm | None:
    for after, code_before in ((decision.refund, before.code), (decision.successor, None)):
        if after is not None and after.state == "needs_review" and after.code == OVERPAID != code_before:
            return Alarm("refund.overpaid", after.provider, after.refund_id)
    if isinstance(said, RefundResult) and said.provider_code in FUNDS_ALARMS and decision.changed:
        return Alarm("provider.short_of_funds", said.provider, said.refund_id)
    return None
