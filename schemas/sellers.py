"""What counts in a seller's statistics, and the statistics themselves."""

from datetime import date
from typing import Literal

from schemas.base import Count, Id, Message, Ordinal, Time

OutcomeKind = Literal["accepted", "cancelled_before_acceptance", "completed", "cancelled_after_acceptance"]


class Replaced(Message, frozen=True, kw_only=True):
    """The earlier outcome that a correction takes back."""

    outcome: OutcomeKind
    occurred_at: Time


class SellerOutcome(Message, frozen=True, kw_only=True):
    """One thing that counts, numbered without a gap per seller from 1."""

    seller_id: Id
    order_id: Id
    seq: Ordinal
    outcome: OutcomeKind
    occurred_at: Time
    replaces: Replaced | None = None

    def _within(self) -> tuple[Replaced, ...]:
        return (self.replaces,) if self.replaces else ()


class Span(Message, frozen=True, kw_only=True):
    """Counts and rates of one span of time; a rate is null while nothing is in its denominator."""

    accepted: Count
    cancelled_before_acceptance: Count
    completed: Count
    cancelled_after_acceptance: Count
    acceptance_rate: float | None
    completion_rate: float | None
    cancellation_rate: float | None


class SellerStatistics(Message, frozen=True, kw_only=True):
    """A seller's current row. Readers compare `seq` and `as_of`: a late copy of an older row may come last."""

    seller_id: Id
    seq: Count
    as_of: Time
    lifetime: Span
    windows: dict[str, Span]
    others_average: float | None
    above_average: bool


class AdviceNumbers(Message, frozen=True, kw_only=True):
    """What an advice follows from: orders of the last `window_days` UTC days, `as_of` included."""

    as_of: date
    window_days: Count
    cancelled: Count
    closed: Count
    cancellation_rate: float
    lower_bound: float
    """Of the rate's 95 % Wilson interval: what the rate is at least, few orders taken into account."""
    others_average: float


class AdviceTexts(Message, frozen=True, kw_only=True):
    """The advice in each language."""

    fr: str
    en: str


class SellerAdvice(Message, frozen=True, kw_only=True):
    """A seller whose cancellation rate is above the others' average is advised; once a crossing, not every month."""

    seller_id: Id
    kind: Literal["above_average"]
    numbers: AdviceNumbers
    texts: AdviceTexts
    issued_at: Time
