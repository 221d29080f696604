"""Rows of the statistics topic, made by hand."""

from datetime import datetime

from kit.builders import NOW
from schemas.sellers import SellerStatistics, Span
from workers.domain.statistics import WINDOWS, span_of


def seller_row(
    seller_id: str,
    cancelled: int,
    completed: int,
    *,
    seq: int = 1,
    as_of: datetime = NOW,
    average: float | None = 0.1,
    above: bool = False,
) -> SellerStatistics:
    """With the same counts in every window and ever: all cancellations came after acceptance."""
    span: Span = span_of([cancelled + completed, 0, completed, cancelled])
    return SellerStatistics(
        seller_id=seller_id,
        seq=seq,
        as_of=as_of,
        lifetime=span,
        windows=dict.fromkeys(WINDOWS, span),
        others_average=average,
        above_average=above,
    )
