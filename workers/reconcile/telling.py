"""What follows from a finding: a flag for review, or the provider's word to who decides refunds. Each once for good.

Both are scheduled messages that are due at once, written with the report: the worker `timers` sends them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from schemas.base import Id
from schemas.refunds import RefundFlagged, RefundResult
from schemas.topics import REFUNDS_DUE, REFUNDS_RESULTS
from workers.domain.emission import Emission, emission
from workers.domain.ids import derived
from workers.pipeline.messages import outgoing, pack
from workers.reconcile.types import Difference, Finding, Ours, Side
from workers.store.database import columns
from workers.store.queries import sql

MOST_DIFFERENCES: Final = 10_000
"""Reported, and acted on, in one run. More is no matter of single refunds."""


class Word(msgspec.Struct, frozen=True):
    """A message under the id that keeps it from being sent twice."""

    schedule_id: str
    subject: str
    emission: Emission


def words_of(finding: Finding, now: datetime) -> list[Word]:
    """What a finding asks to be told; nothing where it is of no refund of ours."""
    ours = finding.ours
    if ours is None:
        return []
    told = []
    if finding.told is not None:
        told.append(_result(finding, ours, now))
    if finding.flag:
        told.append(_flag(finding, ours, now))
    return told


def difference_of(finding: Finding, provider: str, words: Sequence[Word], fresh: set[str], *, dry: bool) -> Difference:
    """A finding as it is reported; `fresh` are the words that nobody had told before."""
    ours = finding.ours
    new = [word for word in words if word.schedule_id in fresh]
    reviewed = any(word.emission.type == "refund.flagged" for word in new)
    if not words:
        action = "reported"
    elif not new:
        action = "told_before"
    elif dry:
        action = "would_review" if reviewed else "would_tell"
    else:
        action = "review" if reviewed else "told"
    return Difference(
        kind=finding.kind,
        provider=provider,
        refund_id=finding.refund_id,
        order_id=ours.order_id if ours is not None else None,
        provider_refund_id=finding.provider_refund_id,
        ours=Side(state=ours.state, amount_minor=ours.amount_minor, currency=ours.currency) if ours else None,
        theirs=finding.theirs,
        action=action,  # type: ignore[arg-type]  # one of its literals
    )


async def tell(connection: Any, words: Iterable[Word]) -> set[str]:
    """Schedule what was never told; the schedule_ids of that."""
    told = {word.schedule_id: word for word in words}
    rows = [(word.schedule_id, word.subject, pack(outgoing(word.emission, None))) for word in told.values()]
    found = await connection.fetch(sql("reconcile_tell"), *columns(rows, 3)) if rows else ()
    return {row["schedule_id"] for row in found}


async def untold(connection: Any, words: Iterable[Word]) -> set[str]:
    """The schedule_ids that nobody told yet."""
    wanted = {word.schedule_id for word in words}
    rows = await connection.fetch(sql("reconcile_told_before"), list(wanted))
    return wanted - {row["schedule_id"] for row in rows}


def _flag(finding: Finding, ours: Ours, now: datetime) -> Word:
    theirs = finding.theirs
    said: tuple[str, ...] = ()
    if theirs is not None and finding.kind in ("amount_differs", "state_differs"):
        said = (theirs.state, str(theirs.amount_minor), str(theirs.currency))
    cause = (finding.kind, ours.refund_id, finding.provider_refund_id or "", *said)
    data = RefundFlagged(
        refund_id=ours.refund_id,
        order_id=ours.order_id,
        code=f"reconcile_{finding.kind}",
        provider_refund_id=_fit(finding.provider_refund_id),
        observed_at=now,
    )
    sent = emission(REFUNDS_DUE, ours.order_id, "refund.flagged", data, now, "reconcile", *cause)
    return Word(f"reconcile:{derived('flag', *cause)}", ours.refund_id, sent)


def _result(finding: Finding, ours: Ours, now: datetime) -> Word:
    answer = finding.told
    assert answer is not None
    data = RefundResult(
        refund_id=ours.refund_id,
        order_id=ours.order_id,
        provider=ours.provider,
        attempt=ours.attempt,
        outcome=answer.outcome,
        provider_refund_id=finding.provider_refund_id,
        provider_code=answer.code,
        message=answer.detail,
        observed_at=now,
        via="look_up",
        # Without a number: this look-up was nobody's who waits for proof of absence, and must never pass for it.
        look_up_no=None,
    )
    cause = (ours.refund_id, finding.provider_refund_id or "", answer.outcome)
    sent = emission(REFUNDS_RESULTS, ours.order_id, "refund.result", data, now, "reconcile", *cause)
    return Word(f"reconcile:{derived('fact', *cause)}", ours.refund_id, sent)


def _fit(provider_refund_id: str | None) -> str | None:
    """The provider's id if a message can carry it."""
    try:
        return msgspec.convert(provider_refund_id, Id | None)
    except msgspec.ValidationError:
        return None
