"""What an event of a provider says, put into words that don't depend on the provider."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from schemas.base import Fault, ProviderName
from schemas.refunds import Outcome
from workers.providers.http import Response
from workers.providers.port import Answer

Sender: TypeAlias = Literal["stripe", "paypal"]
SENDERS: Final[tuple[Sender, ...]] = get_args(Sender)
PROVIDER_OF: Final[dict[Sender, ProviderName]] = {"stripe": "card", "paypal": "paypal"}
"""The provider of a refund, by who sends its webhooks."""

_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_MAX_STATUS: Final = 64
_OLDEST: Final = timedelta(days=90)
"""An event's time that is further back is not believed; providers send again for days, by hand for weeks."""
_AHEAD: Final = timedelta(minutes=5)


class RefundNews(msgspec.Struct, frozen=True, kw_only=True):
    """A refund stands so at the provider."""

    provider_refund_id: str
    refund_id: str | None
    """Ours, where the provider's copy carries a usable one."""
    references: tuple[str, ...]
    """The payment that it is of, under every name that the event gives; none where it gives none."""
    outcome: Outcome
    code: str | None
    detail: str | None
    amount_minor: int | None = None
    """With `currency` and `made_at`: None where the event doesn't say, or not so that it can be read."""
    currency: str | None = None
    made_at: datetime | None = None


class DisputeNews(msgspec.Struct, frozen=True, kw_only=True):
    """A client's bank, or the provider, took a payment back, may do so, or gave it up."""

    dispute_id: str
    references: tuple[str, ...]
    status: str
    is_open: bool
    """The payment is taken back or may yet be: nothing of it may be refunded. A lost dispute stays open so."""
    code: Literal["disputed", "capture_reversed"]


News: TypeAlias = RefundNews | DisputeNews


def usable_id(value: Any) -> str | None:
    """An id from outside where it fits the pattern of ids, else None."""
    return value if isinstance(value, str) and _ID.match(value) else None


def needed_id(thing: Any, name: str, path: str) -> str:
    """The id under `name`. Raises Fault that names it by its path where it is missing or unusable."""
    found = usable_id(thing.get(name)) if isinstance(thing, dict) else None
    if found is None:
        raise Fault("invalid_field", f"{path}.{name}", "no usable id")
    return found


def usable_ids(*values: Any) -> tuple[str, ...]:
    """Those of the values that are usable ids, each once, in order."""
    return tuple(dict.fromkeys(found for value in values if (found := usable_id(value)) is not None))


def status_of(value: Any, path: str) -> str:
    """A status as it may be kept. Raises Fault."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value[:_MAX_STATUS]:
        raise Fault("invalid_field", path, "no status that can be read")
    return value[:_MAX_STATUS]


def believable(at: datetime | None, now: datetime) -> datetime:
    """An event's own time where it makes sense, else `now`."""
    return at if at is not None and now - _OLDEST <= at <= now + _AHEAD else now


def at_seconds(value: Any) -> datetime | None:
    """A time from Unix seconds."""
    try:
        return datetime.fromtimestamp(value, UTC) if isinstance(value, int) else None
    except (OverflowError, ValueError, OSError):
        return None


def at_text(value: Any) -> datetime | None:
    """A time from RFC 3339."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None


def as_response(thing: Any) -> Response:
    """A provider's object as a call would have returned it: its tables then read news as they read answers."""
    return Response(200, {}, msgspec.json.encode(thing))


def refund_news(
    thing: dict[str, Any],
    answer: Answer,
    refund_id: Any,
    references: tuple[str, ...],
    path: str,
    *,
    money: tuple[int, str] | None = None,
    made_at: datetime | None = None,
) -> News:
    """News of a refund object that the provider's table has read; `money` in ISO's minor units.

    Raises Fault where it could not: a status that nobody knows is for a person, it moves no refund.
    """
    provider_refund_id = needed_id(thing, "id", path)
    if answer.outcome == "uncertain" or answer.provider_refund_id is None:
        raise Fault("invalid_field", f"{path}.status", "not a status of a refund that we know")
    return RefundNews(
        provider_refund_id=provider_refund_id,
        refund_id=usable_id(refund_id),
        references=references,
        outcome=answer.outcome,
        code=answer.code,
        detail=answer.detail,
        amount_minor=money[0] if money is not None else None,
        currency=money[1] if money is not None else None,
        made_at=made_at,
    )
