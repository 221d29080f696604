"""What a person is shown of a decision: lines of the ledger, commands to providers, refunds before and after."""

from datetime import datetime
from typing import Any

import msgspec

from schemas.base import Message
from schemas.refunds import RefundIssue, RefundLookUp
from workers.domain import ledger
from workers.domain.emission import Emission
from workers.domain.refund_course import RefundDecision
from workers.domain.refund_types import Refund


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger."""

    kind: str
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider is sent: `refund.issue` moves money, `refund.look_up` only asks."""

    type: str
    provider: str
    reference: str
    refund_id: str
    amount_minor: int
    currency: str
    idempotency_key: str
    attempt: int
    look_up_no: int | None


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it is afterwards; `gate` is what waits for proof. `state_before` is None where it is new."""

    refund_id: str
    provider: str
    reference: str
    state_before: str | None
    state: str
    code: str | None
    gate: str | None
    revision: int


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What happens at once, or as soon as something has come about."""

    when: str
    moves: list[Move]
    ledger: list[Line]
    commands: list[Command]
    told: list[str]
    """The types of the events that others read."""
    looked_at_again: datetime | None


def shown(
    when: str, before: Refund, decision: RefundDecision, lines: list[ledger.Transfer], emissions: list[Emission]
) -> Stage:
    """A decision, as people are shown it."""
    moves = [_move(decision.refund, before.state)] if decision.changed else []
    moves += [_move(decision.created, None)] if decision.created is not None else []
    due = [one.due_at for one in decision.later if one.subject == decision.refund.refund_id]
    return Stage(
        when=when,
        moves=moves,
        ledger=[
            Line(
                kind=line.kind,
                debit_account=line.debit_account,
                credit_account=line.credit_account,
                amount_minor=line.amount_minor,
                currency=line.currency,
            )
            for line in lines
        ],
        commands=[_command(one.type, one.data) for one in emissions if _is_command(one.data)],
        told=[one.type for one in emissions if not _is_command(one.data)],
        looked_at_again=due[0] if due else None,
    )


def _move(refund: Refund, state_before: str | None) -> Move:
    return Move(
        refund_id=refund.refund_id,
        provider=refund.provider,
        reference=refund.reference,
        state_before=state_before,
        state=refund.state,
        code=refund.code,
        gate=refund.gate,
        revision=refund.revision,
    )


def _is_command(data: Message) -> bool:
    return isinstance(data, RefundIssue | RefundLookUp)


def _command(type_: str, data: Any) -> Command:
    return Command(
        type=type_,
        provider=data.provider,
        reference=data.reference,
        refund_id=data.refund_id,
        amount_minor=data.amount_minor,
        currency=data.currency,
        idempotency_key=data.idempotency_key,
        attempt=data.attempt,
        look_up_no=getattr(data, "look_up_no", None),
    )
