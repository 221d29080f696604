"""Claiming attempts before a provider is called: one set-based update a batch, for every adapter alike.

A stale copy of a command, from a redelivery or from a process that was thought dead, finds its attempt claimed or no
longer live, and never reaches the provider.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from schemas.base import Fault
from schemas.refunds import Outcome, RefundCommand, RefundIssue, RefundLookUp, RefundResult
from schemas.topics import REFUNDS_RESULTS
from workers.domain.emission import Emission, emission
from workers.domain.refund_results import DISPUTED, KEY_RETENTION_PASSED
from workers.pipeline.messages import Incoming, Verdict
from workers.store.database import columns
from workers.store.queries import sql


class ClaimAnswer(msgspec.Struct, frozen=True):
    """Whether a command may go to the provider; `client_id` of the refund where it is known."""

    word: Literal["claimed", "stale", "unknown", "contradicts", "key_forgotten", "disputed"]
    client_id: str | None = None


async def claim(
    connection: Any,
    commands: Sequence[RefundIssue],
    claimed_by: str,
    lease: timedelta,
    *,
    key_kept: timedelta | None = None,
) -> list[ClaimAnswer]:
    """An answer a command, in order. Of two copies in one batch the first is claimed, the second stale.

    `key_kept` is how long after a key's first claim a call with it may still begin; None: for ever.
    """
    if not commands:
        return []
    wanted = [
        (
            command.refund_id,
            command.attempt,
            command.provider,
            command.reference,
            command.amount_minor,
            command.currency,
            command.idempotency_key,
            command.order_id,
        )
        for command in commands
    ]
    await connection.execute(sql("lock_to_claim"), [command.refund_id for command in commands])
    rows = await connection.fetch(sql("claim_attempts"), *columns(wanted, 8), claimed_by, lease, key_kept)
    answers = []
    taken = set()
    for command, row in zip(commands, rows, strict=True):
        place = (command.refund_id, command.attempt)
        if not row["known"]:
            answers.append(ClaimAnswer("unknown"))
        elif not row["agrees"]:
            answers.append(ClaimAnswer("contradicts"))
        elif row["claimed"] and place not in taken:
            taken.add(place)
            answers.append(ClaimAnswer("claimed", row["client_id"]))
        elif row["disputed"] or row["forgotten"]:
            answers.append(ClaimAnswer("disputed" if row["disputed"] else "key_forgotten"))
        else:
            answers.append(ClaimAnswer("stale"))
    return answers


def refused(command: RefundIssue, answer: ClaimAnswer, now: datetime) -> Verdict:
    """The verdict on a command that was not claimed, and so never reaches the provider."""
    if answer.word == "key_forgotten":
        # Sent again it might be carried out anew: only a look-up may follow (protocol rule 2).
        return Verdict("refused", (result_of(command, "uncertain", now, code=KEY_RETENTION_PASSED),))
    if answer.word == "disputed":
        # The client's bank may take the money back: refunded as well, the seller would be debited twice.
        return Verdict("refused", (result_of(command, "rejected", now, code=DISPUTED),))
    if answer.word == "unknown":
        return Verdict("parked", fault=Fault("unknown_refund", "refund_id", "no refund has this id"))
    if answer.word == "contradicts":
        detail = "the command differs from the refund as it was decided"
        return Verdict("parked", fault=Fault("contradicts_recorded", "refund_id", detail))
    return Verdict("stale")


def result_of(
    command: RefundCommand,
    outcome: Outcome,
    now: datetime,
    *,
    provider_refund_id: str | None = None,
    code: str | None = None,
    message: str | None = None,
    retry_after_s: int | None = None,
) -> Emission:
    """`refund.result` for a command, however the answer came about."""
    look_up_no = command.look_up_no if isinstance(command, RefundLookUp) else None
    data = RefundResult(
        refund_id=command.refund_id,
        order_id=command.order_id,
        provider=command.provider,
        attempt=command.attempt,
        outcome=outcome,
        provider_refund_id=provider_refund_id,
        provider_code=code,
        message=message,
        observed_at=now,
        via="call" if look_up_no is None else "look_up",
        retry_after_s=retry_after_s,
        look_up_no=look_up_no,
    )
    # A claimed attempt is called once; a look-up may be repeated, and each answer is an observation of its own.
    asked = () if look_up_no is None else (str(look_up_no), command.issued_at.isoformat())
    unclaimed = (code,) if code in (KEY_RETENTION_PASSED, DISPUTED) else ()
    cause = (command.refund_id, str(command.attempt), data.via, *asked, *unclaimed)
    return emission(REFUNDS_RESULTS, command.order_id, "refund.result", data, now, *cause)


def issues(batch: Sequence[Incoming]) -> list[RefundIssue]:
    """The commands of a batch that move money."""
    return [message.data for message in batch if isinstance(message.data, RefundIssue)]
