"""A refund and what takes its place, under any sequence of answers, claims, due rows, flags and people's actions."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from kit.builders import NOW, REFUND, action, due, refund, result

from schemas.refunds import RefundDue, RefundFlagged, RefundIssue, RefundLookUp
from workers.domain import ledger
from workers.domain.emission import Later
from workers.domain.policy import RefundPolicy
from workers.domain.refund import Observation, decide_refund
from workers.domain.refund_course import RefundDecision, Situation
from workers.domain.refund_messages import wake_id
from workers.domain.refund_types import RANKS, SETTLED, TRANSITIONS, Claim, Fact, Refund

OUTCOMES = ("succeeded", "pending", "declined", "rejected", "retryable", "uncertain", "not_found")
KINDS = ("retry", "look_up", "redirect", "settle", "mark_settled", "mark_failed", "release")
PROVIDERS = ("card", "paypal", "wallet")
WAITING = ("requested", "retrying", "uncertain", "pending", "declined", "bounced")
PATIENCE = timedelta(days=1)
SHORT = RefundPolicy(
    give_up_after=PATIENCE, uncertain_limit=PATIENCE / 4, pending_limit=PATIENCE / 2, gate_limit=PATIENCE / 4
)
"""Shorter limits than in earnest, so that silence is soon over."""
_answers = st.fixed_dictionaries(
    {
        "outcome": st.sampled_from(OUTCOMES),
        "via": st.sampled_from(("call", "look_up", "webhook")),
        "provider_refund_id": st.sampled_from((None, "re_1", "re_1", "re_2")),
        "provider_code": st.sampled_from((None, "rate_limit", "charge_already_refunded", "insufficient_funds")),
        "retry_after_s": st.sampled_from((None, None, 2, 900, 200_000)),
    }
)
_back = st.sampled_from((0, 0, 0, 1, 2))
_which = st.integers(0, 3)


class Family:
    """A refund and its successors with due rows, claims, facts and ledger, as the store keeps them."""

    def __init__(self, provider: str, policy: RefundPolicy) -> None:
        self.policy = policy
        self.now = NOW
        first = refund(provider=provider, give_up_at=NOW + policy.give_up_after)
        self.refunds = {first.refund_id: first}
        self.waiting: dict[str, Later] = {}
        self.claims: dict[str, dict[int, Claim]] = {}
        self.answered: dict[str, set[int]] = {}
        self.facts: dict[str, dict[str, Fact]] = {}
        self.lines = [ledger.requested(first, NOW)]
        self.keys = {first.refund_id: first.idempotency_key}
        self.decide(first, due(first))

    def at(self, index: int) -> Refund:
        return list(self.refunds.values())[index % len(self.refunds)]

    def situation(self, of: Refund, jitter: float = 0.5) -> Situation:
        successor = of
        while successor.state == "redirected":
            assert successor.redirected_to is not None
            successor = self.refunds[successor.redirected_to]
        return Situation(
            now=self.now,
            policy=self.policy,
            jitter=jitter,
            client_locale="fr-FR",
            claims=tuple(self.claims.get(of.refund_id, {}).values()),
            answered=frozenset(self.answered.get(of.refund_id, ())),
            facts=tuple(self.facts.get(of.refund_id, {}).values()),
            successor=successor if successor is not of else None,
            successor_claimed=successor.refund_id in self.claims,
        )

    def decide(self, of: Refund, observation: Observation, jitter: float = 0.5) -> RefundDecision:
        decision = decide_refund(of, observation, self.situation(of, jitter))
        check_steps(of, decision)
        if getattr(observation, "via", None) == "call" and observation.outcome != "uncertain":  # type: ignore[union-attr]
            self.answered.setdefault(of.refund_id, set()).add(observation.attempt)  # type: ignore[union-attr]
        for changed in (decision.refund, decision.successor, decision.created):
            if changed is not None:
                self.refunds[changed.refund_id] = changed
        for fact in decision.facts:
            known = self.facts.setdefault(fact.refund_id, {})
            before = known.get(fact.provider_refund_id)
            assert before is None or RANKS[before.standing] < RANKS[fact.standing], "facts only move forward"
            known[fact.provider_refund_id] = fact
        for gone in decision.withdrawn:
            self.waiting.pop(gone, None)
        for later in decision.later:
            assert later.due_at > self.now
            self.waiting[later.schedule_id] = later
        self.lines += decision.transfers
        for emission in decision.emissions:
            if isinstance(emission.data, RefundIssue):
                key = self.keys.setdefault(emission.data.refund_id, emission.data.idempotency_key)
                assert emission.data.idempotency_key == key, "one key a refund"
            elif isinstance(emission.data, RefundLookUp):
                assert emission.data.look_up_no == self.refunds[emission.data.refund_id].look_up_no
        return decision

    def fire(self, name: str) -> None:
        """A due row fires when it is due; it is gone then, and what it says is decided."""
        later = self.waiting.pop(name)
        self.now = max(self.now, later.due_at)
        said = later.emission.data
        assert isinstance(said, RefundDue)
        self.decide(self.refunds[said.refund_id], said)

    def check(self) -> None:
        """What holds between any two steps."""
        live = [one for one in self.refunds.values() if one.state != "redirected"]
        assert len(live) == 1, "one live refund a tender"
        for one in self.refunds.values():
            waits = self.waiting.get(wake_id(one))
            if one.state in WAITING or one.gate not in (None, "frozen"):
                assert waits is not None, f"{one.state} is left where it is for ever"
                assert waits.revision == one.revision, "what is due is not void"
            elif one.state != "succeeded":
                assert waits is None, "what rests waits for nothing"
            assert (one.settled_at is not None) == (self.arrived(one) == 1), "the ledger says what the refund says"
            if one.state == "succeeded":
                assert one.settled_at is not None
        ids = [(line.order_id, line.transfer_id) for line in self.lines]
        assert len(set(ids)) == len(ids), "each line once"
        self.check_balances(live[0])

    def arrived(self, one: Refund) -> int:
        """How often its money is there, by the ledger; the wallet's lines are the wallet's."""
        if one.provider == "wallet":
            return int(one.settled_at is not None)
        kinds = Counter(line.kind for line in self.lines if line.refund_id == one.refund_id)
        return kinds["refund_settled"] - kinds["refund_bounced"]

    def check_balances(self, live: Refund) -> None:
        """What is under way is what the live refund has not settled."""
        under_way: Counter[str] = Counter()
        for line in self.lines:
            under_way[line.credit_account] += line.amount_minor
            under_way[line.debit_account] -= line.amount_minor
        for provider in PROVIDERS:
            owed = live.amount_minor if live.provider == provider else 0
            elsewhere = any(line.kind == "settled_elsewhere" for line in self.lines if line.refund_id == live.refund_id)
            if elsewhere or (live.settled_at is not None and provider != "wallet"):
                owed = 0
            assert under_way[f"refunding:{provider}"] == owed


def check_steps(before: Refund, decision: RefundDecision) -> None:
    """Only steps of the table, and what a refund is for never changes."""
    after = decision.refund
    assert decision.changed == (after != before)
    path = [before.state, *(step.state for step in decision.steps if step.refund_id == before.refund_id)]
    assert path[-1] == after.state
    assert all(follows in TRANSITIONS[precedes] for precedes, follows in pairwise(path))
    if after.attempt > before.attempt:
        assert (after.attempt, after.state) == (before.attempt + 1, "requested")
        assert before.state in ("retrying", "needs_review")
    assert (before.idempotency_key, before.amount_minor) == (after.idempotency_key, after.amount_minor)
    if decision.refused is not None:
        assert not decision.changed
        assert not decision.transfers


class RefundMachine(RuleBasedStateMachine):
    """Adapters, providers, timers, people and broker at their worst."""

    @initialize(provider=st.sampled_from(PROVIDERS))
    def begin(self, provider: str) -> None:
        self.family = Family(provider, RefundPolicy())

    @rule(which=_which, answer=_answers, attempt_back=_back, epoch_back=_back, jitter=st.floats(0, 1))
    def answer(self, which: int, answer: dict[str, Any], attempt_back: int, epoch_back: int, jitter: float) -> None:
        family = self.family
        before = family.at(which)
        if before.provider == "wallet":
            return  # the ledger is the wallet: `refunds` takes nothing from it that the ledger doesn't say
        said = result(
            refund_id=before.refund_id,
            provider=before.provider,
            attempt=max(1, before.attempt - attempt_back),
            look_up_no=max(1, before.look_up_no - epoch_back),
            observed_at=family.now,
            **answer,
        )
        decision = family.decide(before, said, jitter)
        if said.outcome == "not_found" and decision.changed:
            assert before.look_up_no == said.look_up_no, "absence is bound to its epoch"
            assert before.state == "uncertain" or before.gate_look_up == said.look_up_no
        if decision.created is not None:
            assert before.gate_look_up == said.look_up_no, "nothing is paid another way but through the gate"
            assert said.via == "look_up"
            facts = family.facts.get(before.refund_id, {})
            assert not any(fact.alive for fact in facts.values())

    @rule(which=_which, seconds=st.integers(1, 30))
    def claim(self, which: int, seconds: int) -> None:
        family = self.family
        one = family.at(which)
        if one.state == "requested":
            until = family.now + timedelta(seconds=seconds)
            claim = Claim(attempt=one.attempt, claimed_at=family.now, lease_until=until)
            family.claims.setdefault(one.refund_id, {}).setdefault(one.attempt, claim)

    @rule(which=_which, kind=st.sampled_from(KINDS), back=_back, evidence=st.sampled_from((None, "a statement")))
    def act(self, which: int, kind: str, back: int, evidence: str | None) -> None:
        one = self.family.at(which)
        asked = action(kind, one, revision=max(1, one.revision - back), evidence=evidence)
        decision = self.family.decide(one, asked)
        assert back == 0 or one.revision == 1 or decision.refused == "refund_moved"

    @rule(which=_which, code=st.sampled_from(("disputed", "reconcile_amount_differs")))
    def flag(self, which: int, code: str) -> None:
        one = self.family.at(which)
        said = RefundFlagged(refund_id=one.refund_id, order_id=one.order_id, code=code, observed_at=self.family.now)
        self.family.decide(one, said)

    @rule(which=_which, late=st.sampled_from((0, 0, 1, 3600, 90_000)))
    def fire(self, which: int, late: int) -> None:
        family = self.family
        if family.waiting:
            name = sorted(family.waiting)[which % len(family.waiting)]
            family.now = max(family.now, family.waiting[name].due_at) + timedelta(seconds=late)
            family.fire(name)

    @rule(which=_which, back=st.integers(1, 3))
    def fire_again(self, which: int, back: int) -> None:
        """A copy of an older due row changes nothing."""
        one = self.family.at(which)
        stale = due(one, revision=max(1, one.revision - back))
        if stale.revision < one.revision:
            assert self.family.decide(one, stale) == RefundDecision(refund=one)

    @rule(minutes=st.integers(1, 600))
    def wait(self, minutes: int) -> None:
        self.family.now += timedelta(minutes=minutes)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "family"):
            self.family.check()


TestRefundMachine = RefundMachine.TestCase
TestRefundMachine.settings = settings(stateful_step_count=40)


def deadline(policy: RefundPolicy) -> datetime:
    """No refund is left unsettled and unseen beyond this, its way to the wallet included."""
    once = policy.give_up_after + policy.uncertain_limit + policy.pending_limit + policy.gate_limit
    return NOW + 2 * once + timedelta(hours=2)


@given(
    provider=st.sampled_from(PROVIDERS),
    answers=st.lists(st.tuples(st.booleans(), st.sampled_from((*OUTCOMES, None))), min_size=1, max_size=12),
)
def test_every_refund_comes_to_rest_in_time_whatever_the_provider_says(
    provider: str, answers: list[tuple[bool, str | None]]
) -> None:
    family = Family(provider, SHORT)
    place = 0
    while True:
        live = next(one for one in family.refunds.values() if one.state != "redirected")
        if live.state in SETTLED or live.state == "needs_review":
            return
        family.fire(wake_id(live))
        family.check()
        assert family.now < deadline(SHORT)
        live = family.refunds[live.refund_id]
        claimed, outcome = answers[place % len(answers)]
        place += 1
        if live.state == "requested" and claimed:
            lease = Claim(attempt=live.attempt, claimed_at=family.now, lease_until=family.now + timedelta(seconds=30))
            family.claims.setdefault(live.refund_id, {}).setdefault(live.attempt, lease)
        if outcome is None or (live.state == "requested" and not claimed):
            continue
        known = "re_1" if live.refund_id == REFUND else "re_2"
        said = result(
            outcome,
            refund_id=live.refund_id,
            provider=live.provider,
            attempt=live.attempt,
            look_up_no=live.look_up_no,
            provider_refund_id=known if outcome in ("succeeded", "pending", "declined") else None,
            via="call" if live.state == "requested" else "look_up",
        )
        family.decide(live, said)
        family.check()
