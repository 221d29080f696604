"""What PayPal's events say: refunds of captures, captures that were reversed, disputes. All else is no concern."""

import re
from typing import Any, Final

from schemas.base import Fault
from schemas.webhooks import ProviderWebhook
from workers.providers.amounts import NotExpressible, minor_of_paypal
from workers.providers.paypal_answers import answer_of
from workers.webhooks.news import (
    DisputeNews,
    News,
    as_response,
    at_text,
    needed_id,
    refund_news,
    status_of,
    usable_id,
    usable_ids,
)

_REFUND: Final = frozenset({"PAYMENT.CAPTURE.REFUNDED", "PAYMENT.REFUND.PENDING", "PAYMENT.REFUND.FAILED"})
_REVERSED: Final = "PAYMENT.CAPTURE.REVERSED"
_DISPUTE: Final = frozenset({"CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.UPDATED", "CUSTOMER.DISPUTE.RESOLVED"})
_GIVEN_UP: Final = frozenset({"RESOLVED_SELLER_FAVOUR", "CANCELED_BY_BUYER", "DENIED"})
"""Outcomes after which the client was not paid by anybody."""
_RESOLVED: Final = "RESOLVED"
_CAPTURE: Final = re.compile(r"/captures/([A-Za-z0-9_.:-]{1,64})\Z")
_RESOURCE: Final = "resource"
_MAX_LISTED: Final = 100


def decode_paypal(event: ProviderWebhook) -> list[News]:
    """The event's news, none where it is of no concern. Raises Fault."""
    kind, thing = event.event_type, event.resource
    if kind is None:
        raise Fault("missing_field", "event_type", "an event of PayPal names its type")
    if kind not in _REFUND and kind not in _DISPUTE and kind != _REVERSED:
        return []
    if not isinstance(thing, dict):
        raise Fault("invalid_field", _RESOURCE, "not an object")
    if kind == _REVERSED:
        return [_reversal(thing)]
    if kind in _DISPUTE:
        return [_dispute(thing)]
    references = usable_ids(_capture_of(thing))
    answer, made_at = answer_of(as_response(thing), ()), at_text(thing.get("create_time"))
    ours = thing.get("custom_id")
    return [refund_news(thing, answer, ours, references, _RESOURCE, money=_money_of(thing), made_at=made_at)]


def _money_of(refund: dict[str, Any]) -> tuple[int, str] | None:
    amount = refund.get("amount")
    value, currency = (amount.get("value"), amount.get("currency_code")) if isinstance(amount, dict) else (None, None)
    if not isinstance(value, str) or not isinstance(currency, str):
        return None
    try:
        return minor_of_paypal(value, currency), currency
    except NotExpressible:
        return None


def _capture_of(thing: dict[str, Any]) -> str | None:
    """The capture that a thing of PayPal's hangs on, from its link upwards."""
    links = thing.get("links")
    for link in links[:_MAX_LISTED] if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "up" and isinstance(link.get("href"), str):
            found = _CAPTURE.search(link["href"])
            if found:
                return found.group(1)
    return None


def _reversal(thing: dict[str, Any]) -> DisputeNews:
    """The money was taken back. The resource is the reversal, with a link to its capture, or the capture itself."""
    own = needed_id(thing, "id", _RESOURCE)
    return DisputeNews(
        dispute_id=own,
        references=(_capture_of(thing) or own,),
        status="REVERSED",
        is_open=True,
        code="capture_reversed",
    )


def _dispute(thing: dict[str, Any]) -> DisputeNews:
    listed = thing.get("disputed_transactions")
    about = listed[:_MAX_LISTED] if isinstance(listed, list) else []
    references = usable_ids(*(one.get("seller_transaction_id") for one in about if isinstance(one, dict)))
    if not references:
        raise Fault("missing_field", f"{_RESOURCE}.disputed_transactions", "a dispute without a payment")
    status = status_of(thing.get("status"), f"{_RESOURCE}.status")
    outcome = thing.get("dispute_outcome")
    told = usable_id(outcome.get("outcome_code")) if isinstance(outcome, dict) else None
    return DisputeNews(
        dispute_id=needed_id(thing, "dispute_id", _RESOURCE),
        references=references,
        status=told if status == _RESOLVED and told else status,
        # Resolved without a word on how may have paid the client.
        is_open=not (status == _RESOLVED and told in _GIVEN_UP),
        code="disputed",
    )
