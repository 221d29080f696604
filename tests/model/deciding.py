"""From the model's small tuples to the real decision and back. What depends on the same is decided once."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple, cast

from msgspec.structs import replace

from model.world import KEPT, LEASE, STALL, Core
from schemas.refunds import RefundDue, RefundFlagged, RefundLookUp, RefundResult
from workers.domain.policy import RefundPolicy
from workers.domain.refund import Observation, decide_refund
from workers.domain.refund_course import RefundDecision, Situation
from workers.domain.refund_facts import OVERPAID
from workers.domain.refund_messages import wake_id
from workers.domain.refund_types import Action, Claim, Fact, Refund

NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
POLICY: Final = RefundPolicy(
    retry_base_s=1,
    retry_max_s=1,
    lease_s=LEASE * 3600,
    command_again_s=LEASE * 5400,
    look_up_base_s=1,
    look_up_max_s=1,
    pending_look_up_s=1,
    uncertain_limit=HOUR,
    pending_limit=HOUR,
    gate_limit=HOUR,
    audit_after=(HOUR,),
    key_retention={"card": KEPT * HOUR},
    longest_stall=STALL * HOUR,
)
REVISION: Final = 10
NUMBER: Final = 5
"""Of the newest look-up."""
STANDINGS: Final = {"p": "pending", "s": "succeeded", "f": "failed"}
LETTERS: Final = {word: letter for letter, word in STANDINGS.items()}
_GATED: Final = ("declined", "bounced", "retrying", "needs_review")


class What(NamedTuple):
    """An observation. Of a number or a revision only whether it is the newest counts."""

    kind: str
    outcome: str = ""
    attempt: int = 1
    named: str | None = None
    via: str = "webhook"
    newest: bool = True


class Around(NamedTuple):
    """What a decision depends on beside the refund and the observation."""

    at: int
    claims: tuple[tuple[int, int], ...]
    answered: frozenset[int]
    facts: tuple[str, ...]
    successor: tuple[int, Core, bool] | None
    """Which one, as it is, and whether it was claimed."""
    gives_up: bool
    """The time for attempts is over."""
    late: bool
    """Everything that is waited for was waited for too long."""
    paid_elsewhere: bool
    made: int
    """The number of the refund that may be made."""


class Changed(NamedTuple):
    """What a decision made of it."""

    core: Core
    due: bool | None = None
    """Whether a row is there now; None: as before."""
    renumbered: bool = False
    asked: bool = False
    heard: tuple[tuple[int, str], ...] = ()
    posted: tuple[tuple[str, str, str], ...] = ()
    created: Core | None = None
    successor: Core | None = None
    moved: bool = False
    refused: bool = False
    wrong: str | None = None


@cache
def decide(core: Core, what: What, around: Around, without: str | None) -> Changed:
    """The real decision."""
    refund, observation, at = _refund(core, around), _observation(core, what, around), _situation(core, around)
    if without == "6":
        at = replace(at, facts=())
    if without == "4":
        at = replace(at, answered=frozenset(range(1, core.attempt + 1)))
    try:
        decision = decide_refund(refund, observation, at)
    except AssertionError as error:
        return Changed(core, wrong=f"assertion: {error}")
    return _changed(core, refund, decision, around, without)


def _changed(core: Core, refund: Refund, decision: RefundDecision, around: Around, without: str | None) -> Changed:
    after, names = decision.refund, {f"rfd_{at}": at for at in range(around.made + 1)}
    if decision.created is not None:
        names[decision.created.refund_id] = around.made
    row = any(later.schedule_id == wake_id(after) and later.revision == after.revision for later in decision.later)
    gone = wake_id(after) in decision.withdrawn
    wrong = None
    if decision.changed != (after != refund):
        wrong = "changed without a revision"
    elif decision.refund.gate is not None and after.state not in _GATED:
        wrong = "a gate in a state that has none"
    if without == "7" and after.state == "uncertain":
        row, gone = False, True
    return Changed(
        core=_core(after, names),
        due=True if row else False if gone or decision.changed else None,
        renumbered=after.look_up_no > refund.look_up_no,
        asked=any(isinstance(one.data, RefundLookUp) for one in decision.emissions),
        heard=tuple((int(fact.provider_refund_id[-1]), LETTERS[fact.standing]) for fact in decision.facts),
        posted=tuple(
            (_renamed(one.transfer_id, names), _account(one.debit_account), _account(one.credit_account))
            for one in decision.transfers
        ),
        created=_core(decision.created, names) if decision.created is not None else None,
        successor=_core(decision.successor, names) if decision.successor is not None else None,
        moved=decision.changed,
        refused=decision.refused is not None,
        wrong=wrong,
    )


def _refund(core: Core, around: Around, at: int | None = None) -> Refund:
    name = f"rfd_{around.at if at is None else at}"
    since = NOW - 2 * HOUR if around.late else NOW
    return Refund(
        refund_id=name,
        order_id="ord_1",
        tender_id="tnd_1",
        client_id="cli_1",
        provider=core.provider,  # type: ignore[arg-type]  # one of them
        reference="pi_1",
        amount_minor=1,
        currency="EUR",
        idempotency_key=f"annul-{name}",
        state=core.state,  # type: ignore[arg-type]  # one of them
        attempt=core.attempt,
        look_up_no=NUMBER,
        first_issued_at=NOW - 2 * KEPT * HOUR if around.late else NOW,
        issued_at=NOW,
        state_since=since,
        give_up_at=NOW - HOUR if around.gives_up else NOW + 10 * KEPT * HOUR,
        settled_at=since if core.settled else None,
        provider_refund_id=core.named,
        code=OVERPAID if core.overpaid else None,
        redirected_to=None if core.to is None else f"rfd_{core.to}",
        gate=cast("Any", core.gate),
        gate_look_up=NUMBER if core.gate_asked else None,
        gate_action="act_1" if core.gate_manual else None,
        revision=REVISION,
    )


def _core(refund: Refund, names: dict[str, int]) -> Core:
    return Core(
        provider=refund.provider,
        state=refund.state,
        attempt=refund.attempt,
        settled=refund.settled_at is not None,
        named=refund.provider_refund_id,
        overpaid=refund.code == OVERPAID,
        gate=refund.gate,
        gate_asked=refund.gate_look_up is not None,
        gate_manual=refund.gate_action is not None,
        to=None if refund.redirected_to is None else names[refund.redirected_to],
    )


def _situation(core: Core, around: Around) -> Situation:
    successor = around.successor
    return Situation(
        now=NOW,
        policy=POLICY,
        jitter=0.5,
        claims=tuple(
            Claim(attempt=attempt, claimed_at=NOW - age * HOUR, lease_until=NOW + (LEASE - age) * HOUR)
            for attempt, age in around.claims
        ),
        answered=around.answered,
        facts=tuple(
            Fact(
                refund_id=f"rfd_{around.at}",
                provider_refund_id=f"re_{number}",
                standing=STANDINGS[letter],  # type: ignore[arg-type]  # one of them
                code=None,
                heard_at=NOW,
            )
            for number, letter in enumerate(around.facts)
            if letter != "-"
        ),
        successor=None if successor is None else _refund(successor[1], around, successor[0]),
        successor_claimed=successor is not None and successor[2],
        paid_elsewhere=around.paid_elsewhere,
    )


def _observation(core: Core, what: What, around: Around) -> Observation:
    name, revision = f"rfd_{around.at}", REVISION if what.newest else REVISION - 1
    if what.kind == "due":
        return RefundDue(refund_id=name, order_id="ord_1", revision=revision)
    if what.kind == "flag":
        return RefundFlagged(refund_id=name, order_id="ord_1", code="odd", observed_at=NOW)
    if what.kind == "action":
        kind = cast("Any", what.outcome)
        return Action(action_id="act_1", refund_id=name, kind=kind, revision=revision, evidence="a receipt")
    return RefundResult(
        refund_id=name,
        order_id="ord_1",
        provider=core.provider,  # type: ignore[arg-type]  # one of them
        attempt=what.attempt,
        outcome=what.outcome,  # type: ignore[arg-type]  # one of them
        provider_refund_id=what.named,
        observed_at=NOW,
        via=what.via,  # type: ignore[arg-type]  # one of them
        look_up_no=(NUMBER if what.newest else NUMBER - 1) if what.via == "look_up" else None,
    )


def _renamed(transfer_id: str, names: dict[str, int]) -> str:
    for name, at in names.items():
        transfer_id = transfer_id.replace(name, f"rfd_{at}")
    return transfer_id


def _account(name: str) -> str:
    return name.removesuffix(":ord_1").removesuffix(":cli_1")
