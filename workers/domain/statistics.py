"""A seller's counts and rates, folded from numbered outcomes (SPEC §6)."""

from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from schemas.sellers import OutcomeKind, SellerOutcome, SellerStatistics, Span

KINDS: Final[tuple[OutcomeKind, ...]] = (
    "accepted",
    "cancelled_before_acceptance",
    "completed",
    "cancelled_after_acceptance",
)


class Counts(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What counts for a seller up to outcome `seq`."""

    seq: int = 0
    accepted: int = 0
    cancelled_before_acceptance: int = 0
    completed: int = 0
    cancelled_after_acceptance: int = 0


def fold(counts: Counts, outcome: SellerOutcome) -> Counts | None:
    """Counts after one more outcome; unchanged by a repeat; None where outcomes in between are missing."""
    if outcome.seq <= counts.seq:
        return counts
    if outcome.seq != counts.seq + 1:
        return None
    changes = {outcome.outcome: getattr(counts, outcome.outcome) + 1}
    if outcome.replaces is not None:
        taken = outcome.replaces.outcome
        changes[taken] = changes.get(taken, getattr(counts, taken)) - 1
    return replace(counts, seq=outcome.seq, **changes)


def statistics_of(seller_id: str, counts: Counts, as_of: datetime) -> SellerStatistics:
    """The row that is published of a seller."""
    return SellerStatistics(
        seller_id=seller_id,
        seq=counts.seq,
        as_of=as_of,
        lifetime=span_of(counts),
        windows={},
        others_average=None,
        above_average=False,
    )


def span_of(counts: Counts) -> Span:
    """Counts with their rates."""
    before, after = counts.cancelled_before_acceptance, counts.cancelled_after_acceptance
    return Span(
        accepted=counts.accepted,
        cancelled_before_acceptance=before,
        completed=counts.completed,
        cancelled_after_acceptance=after,
        acceptance_rate=_rate(counts.accepted, counts.accepted + before),
        completion_rate=_rate(counts.completed, counts.completed + after),
        cancellation_rate=_rate(before + after, counts.completed + before + after),
    )


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
