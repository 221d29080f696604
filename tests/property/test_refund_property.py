"""A refund under any sequence of answers, claims and due rows: what holds at every step, and that it comes to rest."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from kit.builders import CLIENT, NOW, due, refund, result

from schemas.refunds import RefundDue, RefundIssue, RefundLookUp
from workers.domain import ledger
from workers.domain.emission import Later
from workers.domain.policy import RefundPolicy
from workers.domain.refund import RefundDecision, Situation, decide_due, decide_result
from workers.domain.refund_messages import key_forgotten_at, wake_id
from workers.domain.refund_types import TRANSITIONS, Claim, Refund

OUTCOMES = ("succeeded", "pending", "declined", "rejected", "retryable", "uncertain", "not_found")
RESTING = ("needs_review", "succeeded")
PROVIDERS = ("card", "paypal", "wallet")
PATIENCE = timedelta(days=1)
SHORT = RefundPolicy(give_up_after=PATIENCE, uncertain_limit=PATIENCE / 4, pending_limit=PATIENCE / 2)
"""Shorter limits than in earnest, so that silence is soon over."""
_answers = st.fixed_dictionaries(
    {
        "outcome": st.sampled_from(OUTCOMES),
        "via": st.sampled_from(("call", "look_up", "webhook")),
        "provider_refund_id": st.sampled_from((None, "re_1", "re_1", "re_2")),
        "provider_code": st.sampled_from((None, "rate_limit", "charge_already_refunded")),
        "retry_after_s": st.sampled_from((None, None, 2, 900, 200_000)),
    }
)
_back = st.sampled_from((0, 0, 0, 1, 2))


class Life:
    """One refund with its due row, claims and ledger, as the store keeps them."""

    def __init__(self, provider: str, policy: RefundPolicy) -> None:
        self.policy = policy
        self.now = NOW
        self.refund = refund(provider=provider)
        self.waiting: Later | None = None
        self.claims: dict[int, Claim] = {}
        self.lines = [ledger.requested(self.refund, NOW)]
        self.issued = [(1, self.refund.idempotency_key)]
        self.asked: list[RefundLookUp] = []
        self.settled = 0
        self.take(decide_due(self.refund, due(self.refund), self.situation()))

    def situation(self, jitter: float = 0.5) -> Situation:
        claim = self.claims.get(self.refund.attempt)
        return Situation(now=self.now, policy=self.policy, jitter=jitter, client_locale="fr-FR", claim=claim)

    def take(self, decision: RefundDecision) -> None:
        before, after = self.refund, decision.refund
        check_step(before, decision)
        self.refund = after
        if wake_id(after) in decision.withdrawn:
            self.waiting = None
        for later in decision.later:
            assert later.schedule_id == wake_id(after)
            assert later.revision == after.revision
            assert later.due_at > self.now
            self.waiting = later
        self.lines += decision.transfers
        self.settled += before.state != "succeeded" and after.state == "succeeded"
        for emission in decision.emissions:
            if isinstance(emission.data, RefundIssue):
                self.note_issue(emission.data)
            elif isinstance(emission.data, RefundLookUp):
                assert emission.data.look_up_no == after.look_up_no
                self.asked.append(emission.data)

    def note_issue(self, issue: RefundIssue) -> None:
        """Every sending of a refund names one key; a new attempt is the next one."""
        last, key = self.issued[-1]
        assert issue.attempt in (last, last + 1)
        assert issue.idempotency_key == key
        assert issue.amount_minor == self.refund.amount_minor
        if self.refund.provider != "wallet":
            assert issue.not_after == key_forgotten_at(self.refund, self.policy)
        self.issued.append((issue.attempt, key))

    def fire(self) -> None:
        """The due row fires when it is due; it is gone then, and what it says is decided."""
        assert self.waiting is not None
        self.now = max(self.now, self.waiting.due_at)
        said = self.waiting.emission.data
        assert isinstance(said, RefundDue)
        self.waiting = None
        self.take(decide_due(self.refund, said, self.situation()))

    def check(self) -> None:
        """What holds between any two steps."""
        state = self.refund.state
        if state == "needs_review":
            assert self.waiting is None, "what rests waits for nothing"
        elif state != "succeeded":
            assert self.waiting is not None, "nothing is left where it is for ever"
            assert self.waiting.revision == self.refund.revision, "and what is due is not void"
        kinds = Counter(line.kind for line in self.lines)
        assert kinds["refund_requested"] == 1
        assert kinds["refund_bounced"] <= kinds["refund_settled"] <= 1 or self.refund.provider == "wallet"
        paid = self.balance(ledger.payee(self.refund.provider, CLIENT))
        if self.refund.provider != "wallet":
            assert paid == self.refund.amount_minor * (kinds["refund_settled"] - kinds["refund_bounced"])
        assert self.settled <= 1
        assert (self.refund.settled_at is not None) == (self.settled == 1), "a success is never forgotten"
        if self.settled:
            assert state in RESTING

    def balance(self, account: str) -> int:
        """What arrived in an account less what left it."""
        arrived = sum(line.amount_minor for line in self.lines if line.credit_account == account)
        return arrived - sum(line.amount_minor for line in self.lines if line.debit_account == account)


def check_step(before: Refund, decision: RefundDecision) -> None:
    """Only steps of the table; a decline and a bounce pass on to a person in the same decision."""
    after = decision.refund
    assert decision.changed == (after != before)
    if not decision.changed:
        assert not decision.transfers
        return
    assert after.revision - before.revision in (1, 2)
    assert after.attempt in (before.attempt, before.attempt + 1)
    if after.attempt > before.attempt:
        assert (before.state, after.state) == ("retrying", "requested")
    path = [before.state, after.state]
    if after.revision == before.revision + 2:
        path.insert(1, "bounced" if before.state == "succeeded" else "declined")
    named = before.provider_refund_id is None and after.provider_refund_id is not None
    for one, other in pairwise(path):
        assert other in TRANSITIONS[one] or (one == other and named)
    assert (before.idempotency_key, before.amount_minor) == (after.idempotency_key, after.amount_minor)


class RefundMachine(RuleBasedStateMachine):
    """Adapters, providers, timers and broker at their worst."""

    @initialize(provider=st.sampled_from(PROVIDERS))
    def begin(self, provider: str) -> None:
        self.life = Life(provider, RefundPolicy())

    @rule(answer=_answers, attempt_back=_back, epoch_back=_back, jitter=st.floats(0, 1))
    def answer(self, answer: dict[str, Any], attempt_back: int, epoch_back: int, jitter: float) -> None:
        life = self.life
        said = result(
            provider=life.refund.provider,
            attempt=max(1, life.refund.attempt - attempt_back),
            look_up_no=max(1, life.refund.look_up_no - epoch_back),
            observed_at=life.now,
            **answer,
        )
        before = life.refund
        life.take(decide_result(before, said, life.situation(jitter)))
        if said.outcome == "not_found" and life.refund != before:
            assert (before.state, said.look_up_no) == ("uncertain", before.look_up_no)
            assert life.refund.state in ("retrying", "needs_review")

    @rule(seconds=st.integers(1, 30))
    def claim(self, seconds: int) -> None:
        life = self.life
        if life.refund.state == "requested":
            lease = Claim(attempt=life.refund.attempt, lease_until=life.now + timedelta(seconds=seconds))
            life.claims.setdefault(life.refund.attempt, lease)

    @precondition(lambda self: self.life.waiting is not None)
    @rule(late=st.sampled_from((0, 0, 1, 3600, 90_000)))
    def fire(self, late: int) -> None:
        assert self.life.waiting is not None
        self.life.now = max(self.life.now, self.life.waiting.due_at) + timedelta(seconds=late)
        self.life.fire()

    @rule(back=st.integers(1, 3))
    def fire_again(self, back: int) -> None:
        """A copy of an older due row changes nothing."""
        life = self.life
        stale = due(life.refund, revision=max(1, life.refund.revision - back))
        if stale.revision < life.refund.revision:
            assert decide_due(life.refund, stale, life.situation()) == RefundDecision(refund=life.refund)

    @rule(minutes=st.integers(1, 600))
    def wait(self, minutes: int) -> None:
        self.life.now += timedelta(minutes=minutes)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "life"):
            self.life.check()


TestRefundMachine = RefundMachine.TestCase
TestRefundMachine.settings = settings(stateful_step_count=30)


def rested(life: Life) -> bool:
    return life.refund.state in RESTING


def deadline(life: Life) -> datetime:
    """No refund is left unsettled and unseen beyond this."""
    policy = life.policy
    limit: datetime = NOW + policy.give_up_after + policy.uncertain_limit + policy.pending_limit + timedelta(hours=2)
    return limit


@given(
    provider=st.sampled_from(PROVIDERS),
    answers=st.lists(st.tuples(st.booleans(), st.sampled_from((*OUTCOMES, None))), min_size=1, max_size=12),
)
def test_every_refund_comes_to_rest_in_time_whatever_the_provider_says(
    provider: str, answers: list[tuple[bool, str | None]]
) -> None:
    life = Life(provider, SHORT)
    place = 0
    while not rested(life):
        life.fire()
        life.check()
        assert life.now < deadline(life)
        claimed, outcome = answers[place % len(answers)]
        place += 1
        if life.refund.state == "requested" and claimed:
            lease = Claim(attempt=life.refund.attempt, lease_until=life.now + timedelta(seconds=30))
            life.claims.setdefault(life.refund.attempt, lease)
        if outcome is None or (life.refund.state == "requested" and not claimed):
            continue
        said = result(
            outcome,
            provider=provider,
            attempt=life.refund.attempt,
            look_up_no=life.refund.look_up_no,
            provider_refund_id="re_1" if outcome in ("succeeded", "pending", "declined") else None,
            via="call" if life.refund.state == "requested" else "look_up",
        )
        life.take(decide_result(life.refund, said, life.situation()))
        life.check()
