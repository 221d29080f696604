"""What Stripe's events say: refunds that move, charges that were refunded, disputes. Everything else is no concern."""

from typing import Any, Final

from schemas.base import Fault
from schemas.webhooks import ProviderWebhook
from workers.providers.amounts import NotExpressible, minor_of_stripe
from workers.providers.card_answers import answer_of
from workers.webhooks.news import (
    DisputeNews,
    News,
    as_response,
    at_seconds,
    needed_id,
    refund_news,
    status_of,
    usable_ids,
)

_REFUND: Final = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})
_CHARGE: Final = "charge.refunded"
_DISPUTE: Final = frozenset(
    {
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
_GIVEN_UP: Final = frozenset({"won", "warning_closed", "prevented"})
"""Statuses after which the money is ours; a dispute that was lost has paid the client."""
_OBJECT: Final = "data.object"
_MAX_REFUNDS: Final = 100


def decode_stripe(event: ProviderWebhook) -> list[News]:
    """The event's news, none where it is of no concern. Raises Fault."""
    kind = event.type
    if kind is None:
        raise Fault("missing_field", "type", "an event of Stripe names its type")
    if kind not in _REFUND and kind not in _DISPUTE and kind != _CHARGE:
        return []
    thing = event.data.get("object") if isinstance(event.data, dict) else None
    if not isinstance(thing, dict):
        raise Fault("invalid_field", _OBJECT, "not an object")
    if kind in _DISPUTE:
        return [_dispute(thing)]
    if kind in _REFUND:
        return [_refund(thing, _OBJECT, ())]
    return _refunds_of(thing)


def _refund(refund: dict[str, Any], path: str, charge: tuple[str, ...]) -> News:
    metadata = refund.get("metadata")
    ours = metadata.get("refund_id") if isinstance(metadata, dict) else None
    references = usable_ids(*_named(refund), *charge)
    answer, made_at = answer_of(as_response(refund), ()), at_seconds(refund.get("created"))
    return refund_news(refund, answer, ours, references, path, money=_money_of(refund), made_at=made_at)


def _money_of(refund: dict[str, Any]) -> tuple[int, str] | None:
    amount, currency = refund.get("amount"), refund.get("currency")
    if not isinstance(amount, int) or not isinstance(currency, str):
        return None
    try:
        return minor_of_stripe(amount, currency.upper()), currency.upper()
    except NotExpressible:
        return None


def _refunds_of(charge: dict[str, Any]) -> list[News]:
    """A charge of newer versions doesn't carry its refunds; each is told by events of its own."""
    listed = charge.get("refunds")
    data = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(data, list):
        return []
    names = usable_ids(charge.get("payment_intent"), charge.get("id"))
    path = f"{_OBJECT}.refunds.data"
    if len(data) > _MAX_REFUNDS or not all(isinstance(one, dict) for one in data):
        raise Fault("invalid_field", path, f"not at most {_MAX_REFUNDS} refunds")
    return [_refund(one, f"{path}[{number}]", names) for number, one in enumerate(data)]


def _dispute(dispute: dict[str, Any]) -> DisputeNews:
    references = usable_ids(*_named(dispute))
    if not references:
        raise Fault("missing_field", f"{_OBJECT}.payment_intent", "a dispute without a payment")
    status = status_of(dispute.get("status"), f"{_OBJECT}.status")
    return DisputeNews(
        dispute_id=needed_id(dispute, "id", _OBJECT),
        references=references,
        status=status,
        is_open=status not in _GIVEN_UP,
        code="disputed",
    )


def _named(thing: dict[str, Any]) -> list[Any]:
    """The payment under both of its names; each is an id, or the whole object where it was expanded."""
    named = (thing.get("payment_intent"), thing.get("charge"))
    return [one.get("id") if isinstance(one, dict) else one for one in named]
