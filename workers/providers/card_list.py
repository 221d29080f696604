"""Stripe's list of refunds: everything that was made in a period, by us, by others and in the dashboard."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec

from workers.providers import amounts, answers, lists
from workers.providers.card_answers import STATUSES, refusal_of
from workers.providers.http import Response
from workers.providers.port import Answer, ListedRefund, ListFailed

Get = Callable[[str], Awaitable[Response | Answer]]
"""Asks for a URL once, within the adapter's deadline."""

PAGE: Final = 100
MAX_PAGES: Final = 2_000
_STANDINGS: Final[dict[str, Literal["pending", "succeeded", "failed"]]] = {
    "succeeded": "succeeded",
    "pending": "pending",
    "declined": "failed",
}
"""By the class that the same status has in an answer."""


class _Listed(msgspec.Struct, frozen=True):
    id: str
    amount: int
    currency: str
    created: int
    status: str
    payment_intent: Any = None
    charge: Any = None
    metadata: Any = None


class _Page(msgspec.Struct, frozen=True):
    data: list[_Listed]
    has_more: bool


_page = msgspec.json.Decoder(_Page)


async def list_refunds(
    get: Get, url: str, since: datetime, until: datetime, secrets: answers.Secrets, pause: lists.Pause
) -> AsyncIterator[ListedRefund]:
    """As the port says; newest first. Whole seconds: Stripe knows no finer times."""
    query = {
        "created[gte]": str(int(since.timestamp())),
        "created[lt]": str(-int(-until.timestamp() // 1)),
        "limit": str(PAGE),
    }

    def refusal(response: Response) -> Answer:
        return refusal_of(response, secrets)

    for _ in range(MAX_PAGES):
        asked = f"{url}?{urlencode(query)}"
        response = await lists.page(partial(get, asked), refusal, pause)
        if not response.ok:
            raise lists.refused(response, refusal)
        found = answers.decoded(_page, response.body)
        if found is None or (found.has_more and not found.data):
            raise ListFailed("unreadable")
        for one in found.data:
            yield _listed(one)
        if not found.has_more:
            return
        if query.get("starting_after") == found.data[-1].id:
            raise ListFailed("the list turns in a circle")
        query["starting_after"] = found.data[-1].id
    raise ListFailed(f"{MAX_PAGES * PAGE} refunds and more")


def _listed(one: _Listed) -> ListedRefund:
    """Raises ListFailed: what can't be read might be the very refund that is looked for."""
    known_id = answers.refund_id_of(one.id)
    standing = _STANDINGS.get(STATUSES.get(one.status, ""))
    if known_id is None or standing is None:
        raise ListFailed("unreadable: a refund without a usable id or status")
    try:
        amount_minor = amounts.minor_of_stripe(one.amount, one.currency.upper())
        made_at = datetime.fromtimestamp(one.created, UTC)
    except (amounts.NotExpressible, ValueError, OverflowError, OSError):
        raise ListFailed(f"unreadable: amount or time of {known_id}") from None
    return ListedRefund(
        provider_refund_id=known_id,
        reference=answers.refund_id_of(one.payment_intent) or answers.refund_id_of(one.charge),
        refund_id=answers.refund_id_of(one.metadata.get("refund_id")) if isinstance(one.metadata, dict) else None,
        standing=standing,
        amount_minor=amount_minor,
        currency=one.currency.upper(),
        made_at=made_at,
    )
