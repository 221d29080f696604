"""PayPal's refunds of a period, from Transaction Search: the only list that PayPal has.

It shows a transaction up to three hours after it was made, so that the newest part of a list proves no absence:
look-ups cover that gap. The app needs the right "Transaction Search"; without it PayPal answers 403.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Final, Literal
from urllib.parse import urlencode

import msgspec

from workers.providers import amounts, answers, lists
from workers.providers.http import Response
from workers.providers.paypal_answers import refusal_of
from workers.providers.port import Answer, ListedRefund, ListFailed

Get = Callable[[str], Awaitable[Response | Answer]]
"""Asks for a URL within the adapter's deadline, with a token."""

REFUND: Final = "T1107"
"""PayPal's event code of a refund that a payee sends."""
MAX_PERIOD: Final = timedelta(days=30)
"""Of the 31 that PayPal allows: times are rounded outwards."""
PAGE: Final = 200
"""Of the 500 that PayPal allows: entries with long notes must fit into what is read of an answer."""
MAX_ITEMS: Final = 10_000
"""PayPal gives no larger result; a period with more is halved."""
_MAX_REFUNDS: Final = 200_000
_TOO_LARGE: Final = "RESULTSET_TOO_LARGE"
_FRACTION: Final = timedelta(microseconds=999_999)
"""Times are told in whole seconds: an end within one is put to that one's end."""
_SHORTEST: Final = timedelta(minutes=1)
_STANDINGS: Final[dict[str, Literal["pending", "succeeded", "failed"]]] = {
    "S": "succeeded",
    "P": "pending",
    "D": "failed",
    "V": "failed",
}


class _Money(msgspec.Struct, frozen=True):
    currency_code: str
    value: str


class _Transaction(msgspec.Struct, frozen=True):
    transaction_id: str
    transaction_event_code: str
    transaction_initiation_date: str
    transaction_amount: _Money
    transaction_status: str
    paypal_reference_id: str | None = None
    paypal_reference_id_type: str | None = None
    custom_field: str | None = None


class _Detail(msgspec.Struct, frozen=True):
    transaction_info: _Transaction


class _Page(msgspec.Struct, frozen=True):
    transaction_details: list[_Detail] = []
    total_pages: int = 0


class _TooMany(Exception):
    """The period holds more than PayPal gives at once."""


_page = msgspec.json.Decoder(_Page)
_any = msgspec.json.Decoder()


async def list_refunds(
    get: Get,
    url: str,
    since: datetime,
    until: datetime,
    secrets: Callable[[], answers.Secrets],
    pause: lists.Pause,
) -> AsyncIterator[ListedRefund]:
    """As the port says. A refund on the border of two periods, which PayPal may tell in both, comes once."""
    told: set[tuple[str, str]] = set()
    periods = deque(_periods(since, until))
    while periods:
        period = periods.popleft()
        try:
            async for one in _of_period(get, url, period, secrets, pause):
                known = (one.provider_refund_id, one.standing)
                if known not in told:
                    told.add(known)
                    yield one
        except _TooMany:
            periods.extendleft(reversed(_halves(*period)))
        if len(told) > _MAX_REFUNDS:
            raise ListFailed(f"{_MAX_REFUNDS} refunds and more")


def _periods(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Of equal length, none too long; an end that is a sliver might lie in what PayPal doesn't show yet."""
    count = max(1, -(-(until - since) // MAX_PERIOD))
    step = (until - since) / count
    borders = [*(since + step * number for number in range(count)), until]
    return list(pairwise(borders))


def _halves(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    if until - since <= _SHORTEST:
        raise ListFailed(f"more than {MAX_ITEMS} refunds within a minute")
    middle = since + (until - since) / 2
    return [(since, middle), (middle, until)]


async def _of_period(
    get: Get,
    url: str,
    period: tuple[datetime, datetime],
    secrets: Callable[[], answers.Secrets],
    pause: lists.Pause,
) -> AsyncIterator[ListedRefund]:
    """Raises `_TooMany` before anything was given."""
    query = {
        "start_date": _text(period[0]),
        "end_date": _text(period[1] + _FRACTION),
        "transaction_type": REFUND,
        "fields": "transaction_info",
        # Pending and denied ones too: by default only what moved a balance is told.
        "balance_affecting_records_only": "N",
        "page_size": str(PAGE),
    }

    def refusal(response: Response) -> Answer:
        return refusal_of(response, secrets())

    number, pages = 1, 1
    while number <= pages:
        asked = f"{url}?{urlencode({**query, 'page': number})}"
        response = await lists.page(partial(get, asked), refusal, pause)
        if not response.ok:
            raise _TooMany if number == 1 and _is_too_large(response) else lists.refused(response, refusal)
        found = answers.decoded(_page, response.body)
        if found is None or (number < pages and not found.transaction_details):
            raise ListFailed("unreadable")
        if number == 1 and (pages := found.total_pages) > MAX_ITEMS // PAGE:
            raise _TooMany
        for detail in found.transaction_details:
            if _is_ours_to_tell(detail.transaction_info):
                yield _listed(detail.transaction_info)
        number += 1


def _is_too_large(response: Response) -> bool:
    return answers.text_of(answers.decoded(_any, response.body), "name") == _TOO_LARGE


def _is_ours_to_tell(one: _Transaction) -> bool:
    """Whether it is a refund that went out of the account; one that somebody sent to us comes in."""
    return one.transaction_event_code == REFUND and one.transaction_amount.value.startswith("-")


def _listed(one: _Transaction) -> ListedRefund:
    """Raises ListFailed: what can't be read might be the very refund that is looked for."""
    known_id = answers.refund_id_of(one.transaction_id)
    standing = _STANDINGS.get(one.transaction_status)
    if known_id is None or standing is None:
        raise ListFailed("unreadable: not a refund with a usable id and status")
    try:
        amount_minor = amounts.minor_of_paypal(one.transaction_amount.value, one.transaction_amount.currency_code)
        made_at = datetime.fromisoformat(one.transaction_initiation_date)
    except (amounts.NotExpressible, ValueError):
        raise ListFailed(f"unreadable: amount or time of {known_id}") from None
    if made_at.tzinfo is None:
        raise ListFailed(f"unreadable: time of {known_id} without its zone")
    of_payment = one.paypal_reference_id_type == "TXN"
    return ListedRefund(
        provider_refund_id=known_id,
        reference=answers.refund_id_of(one.paypal_reference_id) if of_payment else None,
        refund_id=answers.refund_id_of(one.custom_field),
        standing=standing,
        amount_minor=amount_minor,
        currency=one.transaction_amount.currency_code,
        made_at=made_at.astimezone(UTC),
    )


def _text(at: datetime) -> str:
    """RFC 3339 in UTC with whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
