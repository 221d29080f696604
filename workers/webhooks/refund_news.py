"""Whose refund news is about, and what follows: a result where it is ours, an alarm where nobody can tell."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from schemas.base import Fault, ProviderName
from schemas.refunds import RefundFlagged, RefundResult
from schemas.topics import REFUNDS_DUE, REFUNDS_RESULTS
from workers.domain.emission import Emission, emission
from workers.domain.known_before import refunded_before, was_told
from workers.webhooks.news import RefundNews

UNKNOWN_REFUND: Final = "unknown_refund"
UNKNOWN_PROVIDER_REFUND: Final = "unknown_provider_refund"
"""Code of a flag: the provider refunded something of this payment, and not by this refund."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A refund of ours that news may be about."""

    refund_id: str
    order_id: str
    provider: ProviderName
    reference: str
    attempt: int
    provider_refund_id: str | None
    tender_id: str
    currency: str
    escrow: bytes | None
    """The recorded money of the cancellation."""
    asked_at: datetime
    """When a refund of this tender was first asked for."""
    heard: Sequence[str]
    """The provider's ids of it among those that were asked for."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The event that the news came with."""

    provider: ProviderName
    event_id: str
    at: datetime
    """Its own time where that makes sense, else when it was read."""
    now: datetime


class Outcome(msgspec.Struct, frozen=True):
    """What one piece of news causes; nothing where it is of a refund that the cancellation knew of."""

    emissions: Sequence[Emission] = ()
    fault: Fault | None = None


class Index:
    """The refunds that news of a batch may be about, found by any of their names."""

    def __init__(self, refunds: Iterable[Heard] = ()) -> None:
        self._by_id: dict[str, Heard] = {}
        self._by_provider_id: dict[tuple[str, str], Heard] = {}
        self._by_reference: dict[tuple[str, str], list[Heard]] = {}
        for one in refunds:
            self._by_id[one.refund_id] = one
            known = {*one.heard, one.provider_refund_id} - {None}
            self._by_provider_id.update({(one.provider, name): one for name in known if name is not None})
            self._by_reference.setdefault((one.provider, one.reference), []).append(one)

    def find(self, provider: ProviderName, news: RefundNews) -> Heard | None:
        """By our id, else by the provider's. A stranger's word in the place of our id hides no refund that is ours."""
        named = self._by_id.get(news.refund_id) if news.refund_id else None
        return named or self._by_provider_id.get((provider, news.provider_refund_id))

    def of_payment(self, provider: ProviderName, references: Iterable[str]) -> list[Heard]:
        """The refunds of a payment."""
        return [one for name in references for one in self._by_reference.get((provider, name), ())]


def decide_refund_news(news: RefundNews, index: Index, cause: Cause) -> Outcome:
    """A result for the refund that it is about. Where that can't be told nothing is guessed: a person must look."""
    refund = index.find(cause.provider, news)
    if refund is None and _known_before(news, index, cause):
        return Outcome()
    if refund is None:
        flags = _flags(news, index, cause)
        detail = "of a payment that we know" if flags else "of a payment that we don't know"
        return Outcome(flags, Fault(UNKNOWN_REFUND, "refund_id", f"no refund of ours by either id, {detail}"))
    if refund.provider != cause.provider:
        fault = Fault("contradicts_recorded", "provider", "the refund that it names is another provider's")
        return Outcome(_flags(news, index, cause), fault)
    if news.references and refund.reference not in news.references:
        fault = Fault("contradicts_recorded", "reference", "the refund that it names is of another payment")
        return Outcome(_flags(news, index, cause), fault)
    result = RefundResult(
        refund_id=refund.refund_id,
        order_id=refund.order_id,
        provider=refund.provider,
        attempt=refund.attempt,
        outcome=news.outcome,
        provider_refund_id=news.provider_refund_id,
        provider_code=news.code,
        message=news.detail,
        observed_at=cause.at,
        via="webhook",
    )
    named = ("webhook", cause.provider, cause.event_id, news.provider_refund_id)
    return Outcome([emission(REFUNDS_RESULTS, refund.order_id, "refund.result", result, cause.now, *named)])


def _known_before(news: RefundNews, index: Index, cause: Cause) -> bool:
    """Whether a cancellation counted it: then we refund what is left beside it. One that fails is for a person."""
    amount, made_at = news.amount_minor, news.made_at
    if amount is None or made_at is None or news.outcome not in ("succeeded", "pending"):
        return False
    return any(
        one.currency == news.currency
        and was_told(
            made_at,
            amount,
            asked_at=one.asked_at,
            refunded_before_minor=refunded_before(one.escrow, one.tender_id),
        )
        for one in index.of_payment(cause.provider, news.references)
    )


def _flags(news: RefundNews, index: Index, cause: Cause) -> list[Emission]:
    """Money went back to somebody of a payment that we are refunding ourselves: our refunds of it wait for a person."""
    return [
        flag(one.refund_id, one.order_id, UNKNOWN_PROVIDER_REFUND, cause, news.provider_refund_id)
        for one in index.of_payment(cause.provider, news.references)
    ]


def flag(refund_id: str, order_id: str, code: str, cause: Cause, provider_refund_id: str | None = None) -> Emission:
    """A person must look at this refund."""
    told = RefundFlagged(
        refund_id=refund_id,
        order_id=order_id,
        code=code,
        provider_refund_id=provider_refund_id,
        observed_at=cause.at,
    )
    named = ("webhook", cause.provider, cause.event_id, refund_id, code, provider_refund_id or "")
    return emission(REFUNDS_DUE, order_id, "refund.flagged", told, cause.now, *named)
