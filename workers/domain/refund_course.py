"""A decision on a refund under way: step by step, with all that each step causes."""

from datetime import datetime, timedelta
from typing import Any, Final, Self

import msgspec
from msgspec.structs import replace

from schemas.refunds import RefundState
from workers.domain import ledger
from workers.domain.business_days import country_of, visible_by
from workers.domain.emission import Emission, Later
from workers.domain.policy import RefundPolicy
from workers.domain.refund_messages import event_of, issue_of, look_up_of, wake_id, wake_of
from workers.domain.refund_types import TRANSITIONS, Claim, Fact, Refund, Step

EVENTS: Final[dict[RefundState, str]] = {
    "pending": "refund.pending",
    "succeeded": "refund.succeeded",
    "settled_elsewhere": "refund.succeeded",
    "declined": "refund.failed",
    "bounced": "refund.bounced",
    "redirected": "refund.redirected",
    "needs_review": "refund.needs_review",
}
"""What others are told once a refund has come to a state; steps on the way there are told nobody."""


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision on a refund depends on beside the refund and the observation."""

    now: datetime
    policy: RefundPolicy
    jitter: float
    """Between 0 and 1; spreads retries."""
    client_locale: str | None = None
    claims: tuple[Claim, ...] = ()
    """Of all attempts of the refund."""
    answered: frozenset[int] = frozenset()
    """Attempts whose call ended with a definite answer: nothing of them is under way any more."""
    facts: tuple[Fact, ...] = ()
    successor: Refund | None = None
    """The last refund that the money of a redirected one was sent on with."""
    successor_claimed: bool = False
    paid_elsewhere: bool = False
    """A person has paid it by other means, whatever happened to the refund since: nothing more may be paid."""


class RefundDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What an observation changes: `refund` after it, and whether that differs from before."""

    refund: Refund
    changed: bool = False
    facts: tuple[Fact, ...] = ()
    """What is newly known; each replaces what was known of the provider's refund."""
    steps: tuple[Step, ...] = ()
    created: Refund | None = None
    """The refund that a redirect makes."""
    successor: Refund | None = None
    """The situation's successor, where it changes too."""
    transfers: tuple[ledger.Transfer, ...] = ()
    later: tuple[Later, ...] = ()
    withdrawn: tuple[str, ...] = ()
    emissions: tuple[Emission, ...] = ()
    refused: str | None = None
    """Why a person's action was not carried out, as a code."""


class Course:
    """Collects what a decision changes. What changes a refund without a wait ends every waiting for it."""

    def __init__(self, refund: Refund, at: Situation) -> None:
        self.refund = refund
        self.at = at
        self.facts = {fact.provider_refund_id: fact for fact in at.facts}
        self.created: Refund | None = None
        self.transfers: list[ledger.Transfer] = []
        self.emissions: list[Emission] = []
        self.refused: str | None = None
        self._before = refund
        self._news: list[Fact] = []
        self._steps: list[Step] = []
        self._wake: Later | None = None
        self._first_wake: Later | None = None
        self._beside: Course | None = None

    @property
    def policy(self) -> RefundPolicy:
        """For short."""
        return self.at.policy

    def move(self, state: RefundState, **changes: Any) -> None:
        """Go to another state, which others are told. A gate belongs to the state it was opened in."""
        before = self.refund
        assert state in TRANSITIONS[before.state], f"{before.state} -> {state}"
        shut = {"gate": None, "gate_look_up": None, "gate_action": None}
        self.change(state=state, state_since=self.at.now, **{**shut, **changes})
        after = self.refund
        self._steps.append(
            Step(
                refund_id=after.refund_id,
                revision=after.revision,
                state_before=before.state,
                state=state,
                code=after.code,
            )
        )
        if state in EVENTS:
            self.tell()

    def change(self, **changes: Any) -> None:
        """Change something but the state."""
        self.refund = replace(self.refund, revision=self.refund.revision + 1, **changes)
        self._wake = None

    def tell(self) -> None:
        """The event of the state that the refund is in."""
        self.emissions.append(event_of(self.refund, EVENTS[self.refund.state], self.at.now))

    def note(self, fact: Fact) -> None:
        """Something is newly known of one of the provider's refunds."""
        self.facts[fact.provider_refund_id] = fact
        self._news.append(fact)

    def wait(self, seconds: float) -> None:
        """Look at the refund again after so long."""
        self._wake = wake_of(self.refund, self.at.now, seconds)

    def send(self) -> None:
        """Send the command of the current attempt."""
        self.emissions.append(issue_of(self.refund, self.at.now, self.policy))

    def ask(self, *, all_of_it: bool = False) -> None:
        """Ask the provider what became of the refund; or of all refunds that it may have made of it."""
        self.emissions.append(look_up_of(self.refund, self.at.now, self.policy, all_of_it=all_of_it))

    def review(self, code: str | None) -> None:
        """A person must look. What is in review already stays there, with the newest reason.

        A gate that waits is shut; a frozen refund stays frozen, since somebody may have paid by now.
        """
        if self.refund.state != "needs_review":
            self.move("needs_review", code=code)
        elif self.refund.code != code or self.refund.gate not in (None, "frozen"):
            self.change(code=code, **self.shut())
            self.tell()

    def shut(self) -> dict[str, None]:
        """What shuts a gate that waits; nothing where the refund is frozen."""
        return {} if self.refund.gate == "frozen" else {"gate": None, "gate_look_up": None, "gate_action": None}

    def settle(self, provider_refund_id: str | None, code: str | None, **changes: Any) -> None:
        """The money is there: the state says so, and the ledger, and it is looked at again after days."""
        self.book(provider_refund_id)
        self.move("succeeded", code=code, **changes)
        self.await_audit()

    def book(self, provider_refund_id: str | None) -> None:
        """Post that the money arrived; the state is another matter. The wallet is the ledger: its line is there."""
        refund, now = self.refund, self.at.now
        if refund.settled_at is not None:
            return
        self.refund = replace(
            refund,
            settled_at=now,
            provider_refund_id=provider_refund_id,
            visible_by=visible_by(refund.provider, now.date(), country_of(self.at.client_locale)),
        )
        if refund.provider != "wallet":
            self.transfers.append(ledger.settled(self.refund, now))

    def unbook(self) -> None:
        """Post that what had arrived came back."""
        self.transfers.append(ledger.bounced(self.refund, self.at.now))
        self.refund = replace(self.refund, settled_at=None, visible_by=None)

    def await_audit(self) -> None:
        """A success may be taken back without a word: look again after days. The wallet takes nothing back."""
        assert self.refund.settled_at is not None
        age = self.at.now - self.refund.settled_at
        for after in self.policy.audit_after if self.refund.provider != "wallet" else ():
            if after > age:
                self.wait((after - age).total_seconds())
                return

    def create(self, refund: Refund) -> None:
        """Begin a new refund: ask for it, tell of it, look at it again."""
        policy, now = self.policy, self.at.now
        self.created = refund
        self.emissions += [issue_of(refund, now, policy), event_of(refund, "refund.requested", now)]
        self._first_wake = wake_of(refund, now, policy.command_again_s)

    def answer(self, attempt: int) -> None:
        """An attempt's call has ended."""
        self.at = replace(self.at, answered=self.at.answered | {attempt})

    def beside(self, other: Refund) -> Self:
        """The course of another refund that this decision changes as well."""
        assert self._beside is None
        self._beside = type(self)(other, replace(self.at, facts=(), successor=None, paid_elsewhere=False))
        return self._beside

    @property
    def has_beside(self) -> bool:
        """Whether another refund is changed already."""
        return self._beside is not None

    def waited(self) -> timedelta:
        """How long the refund has been in its state."""
        return self.at.now - self.refund.state_since

    def decision(self) -> RefundDecision:
        """All of it."""
        beside = self._beside.decision() if self._beside is not None else None
        changed = self.refund.revision != self._before.revision
        later = tuple(wake for wake in (self._wake, self._first_wake) if wake is not None)
        withdrawn = (wake_id(self.refund),) if changed and self._wake is None else ()
        return RefundDecision(
            refund=self.refund,
            changed=changed,
            facts=tuple(self._news),
            steps=(*self._steps, *(beside.steps if beside else ())),
            created=self.created,
            successor=beside.refund if beside and beside.changed else None,
            transfers=(*self.transfers, *(beside.transfers if beside else ())),
            later=(*later, *(beside.later if beside else ())),
            withdrawn=(*withdrawn, *(beside.withdrawn if beside else ())),
            emissions=(*self.emissions, *(beside.emissions if beside else ())),
            refused=self.refused,
        )
