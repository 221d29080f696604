"""When a seller is advised to review how they sell (SPEC R9): once a crossing, and at most every 30 days.

A seller *crosses* when a new row says that they are above the others' average and the one before didn't. A crossing
too soon after an advice waits, and is advised once the 30 days are over if it still lasts; falling below closes it.
"""

from datetime import date, datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from schemas.sellers import AdviceNumbers, AdviceTexts, SellerAdvice
from schemas.topics import SELLERS_ADVICE
from workers.domain.averages import wilson_lower
from workers.domain.emission import Later, emission
from workers.domain.statistics import JUDGED, WINDOWS

AT_MOST_EVERY: Final = timedelta(days=30)
_PLACES: Final = 6
_INSTANT: Final = timedelta(microseconds=1)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a seller's new row says, and from which numbers: orders of the window that sellers are compared by."""

    seller_id: str
    above: bool
    cancelled: int
    closed: int
    others_average: float | None
    as_of: date


class Standing(msgspec.Struct, frozen=True):
    """Where a seller stands, and when they were advised."""

    seller_id: str
    above: bool
    since: datetime
    """Of the last crossing, either way; no two crossings of a seller share it."""
    advised: bool
    """Of this crossing."""
    advised_at: datetime | None
    """Of any."""


def decide_standing(known: Standing | None, judged: Judged, now: datetime) -> tuple[Standing | None, bool]:
    """Where the seller stands from now on, and whether they are advised now; None of whom nothing need be kept.

    Without an average nobody crosses, either way: whoever doesn't know the others judges nobody.
    """
    if judged.others_average is None:
        return known, False
    if known is None:
        if not judged.above:
            return None, False
        known = Standing(judged.seller_id, above=False, since=now - _INSTANT, advised=False, advised_at=None)
    if judged.above is not known.above:
        # Two processes' clocks may differ; what names a crossing only ever grows.
        known = replace(known, above=judged.above, since=max(now, known.since + _INSTANT), advised=False)
    if known.above and not known.advised and may_advise(known.advised_at, now):
        return replace(known, advised=True, advised_at=now), True
    return known, False


def may_advise(advised_at: datetime | None, now: datetime) -> bool:
    """Whether the last advice is long enough ago."""
    return advised_at is None or now - advised_at >= AT_MOST_EVERY


def numbers_of(judged: Judged) -> AdviceNumbers:
    """What an advice follows from; of a seller who is above, so there are closed orders and an average."""
    assert judged.others_average is not None, "without an average nobody is advised"
    return AdviceNumbers(
        as_of=judged.as_of,
        window_days=WINDOWS[JUDGED],
        cancelled=judged.cancelled,
        closed=judged.closed,
        cancellation_rate=round(judged.cancelled / judged.closed, _PLACES),
        lower_bound=round(wilson_lower(judged.cancelled, judged.closed), _PLACES),
        others_average=round(judged.others_average, _PLACES),
    )


def advice_of(standing: Standing, numbers: AdviceNumbers, texts: AdviceTexts, now: datetime) -> Later:
    """`seller.advice`, due at once; its ids follow from the seller and the crossing."""
    data = SellerAdvice(seller_id=standing.seller_id, kind="above_average", numbers=numbers, texts=texts, issued_at=now)
    since = standing.since.isoformat()
    told = emission(SELLERS_ADVICE, standing.seller_id, "seller.advice", data, now, standing.seller_id, since)
    # Not by the seller's id alone: a conversation's may be the same.
    return Later(f"seller.advice:{standing.seller_id}:{since}", f"seller:{standing.seller_id}", now, 1, told)
