"""A seller is above the others' average: what they are told, from which numbers, and what to do (SPEC R8, R9)."""

from decimal import Decimal
from typing import Final

from schemas.sellers import AdviceNumbers, AdviceTexts, SellerAdvice
from workers.domain.advice import AT_MOST_EVERY
from workers.domain.notices.notice import UNKNOWN_LOCALE, Line, Notice, Rate, Value, notice_id
from workers.domain.notices.writing import writer_of

_SURE: Final = 0.95
_MOST_PLACES: Final = 4
"""Rates have 6 places."""
_TIPS: Final = ("above.describe", "above.provide", "above.ask", "above.clarify", "above.deliver")
_AFTERWARDS: Final = ("above.cancelled", "advice.before", "advice.order", "advice.clarify")


def texts_of(numbers: AdviceNumbers, help_url: str | None) -> AdviceTexts:
    """The advice in each language."""
    lines = _lines(numbers, help_url)
    # English as it is written internationally.
    return AdviceTexts(fr=writer_of("fr").body(lines), en=writer_of("en-001").body(lines))


def advised(advice: SellerAdvice, locale: str | None, help_url: str | None) -> Notice:
    """The notice of an advice, in the seller's recorded locale. It is about no single order."""
    fact = ("seller.advice", advice.seller_id, advice.issued_at.isoformat())
    numbers = advice.numbers
    return Notice(
        notification_id=notice_id("seller", *fact),
        kind="seller",
        recipient_id=advice.seller_id,
        locale=locale or UNKNOWN_LOCALE,
        about="advice",
        order_id=None,
        subject=Line("above.subject"),
        body=_lines(numbers, help_url),
        facts={
            "fact": fact[0],
            "kind": advice.kind,
            "as_of": numbers.as_of.isoformat(),
            "window_days": numbers.window_days,
            "cancelled": numbers.cancelled,
            "closed": numbers.closed,
            "cancellation_rate": _decimal(numbers.cancellation_rate),
            "lower_bound": _decimal(numbers.lower_bound),
            "others_average": _decimal(numbers.others_average),
        },
    )


def _decimal(rate: float) -> str:
    return f"{rate:.6f}"


def _lines(numbers: AdviceNumbers, help_url: str | None) -> tuple[Line, ...]:
    places = _places(numbers)
    span: dict[str, Value] = {
        "closed": numbers.closed,
        "cancelled": numbers.cancelled,
        "days": numbers.window_days,
        "date": numbers.as_of,
        "rate": Rate(numbers.cancellation_rate, places),
    }
    average: dict[str, Value] = {
        "average": Rate(numbers.others_average, places),
        "lower": Rate(numbers.lower_bound, places),
        "sure": Rate(_SURE),
    }
    return (
        Line(_counted(numbers), span),
        Line("above.average", average),
        Line("above.counts"),
        *(Line(key) for key in (*_TIPS, *_AFTERWARDS)),
        Line("above.again", {"days": AT_MOST_EVERY.days}),
        *((Line("help", {"url": help_url}),) if help_url else ()),
    )


def _counted(numbers: AdviceNumbers) -> str:
    if numbers.closed == 1:
        return "above.only"
    return "above.one" if numbers.cancelled == 1 else "above.many"


def _places(numbers: AdviceNumbers) -> int:
    """So many decimals that what is above the average is also written so."""
    lower, average = (Decimal(str(rate)) * 100 for rate in (numbers.lower_bound, numbers.others_average))
    for places in range(1, _MOST_PLACES):
        if round(lower, places) > round(average, places):
            return places
    return _MOST_PLACES
