"""Refunds by what is known of them, those first that are longest in their state; what waits for a second person."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, get_args
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.base import ProviderName
from schemas.currencies import EXPONENTS
from schemas.refunds import RefundState
from workers.insight.refund_search import (
    MOST_COUNTED,
    MOST_LOOKED_AT,
    Filters,
    Place,
    count_open,
    search_refunds,
    waiting_actions,
)
from workers.ops.moments import read_moment
from workers.ops.page import draw
from workers.ops.viewer import needs

PROVIDERS: Final[tuple[str, ...]] = get_args(ProviderName)
STATES: Final[tuple[RefundState, ...]] = get_args(RefundState)
AGES: Final = {"1m": 60, "10m": 600, "1h": 3_600, "6h": 21_600, "1d": 86_400, "3d": 259_200, "7d": 604_800}
"""In seconds, by how the address names them."""
_CHOICES: Final = {"states": STATES, "providers": PROVIDERS, "currencies": sorted(EXPONENTS), "ages": AGES}
_AMOUNTS: Final = ("from", "to")
"""What is typed rather than chosen: what can't be read of it is said beside it."""
_MOST_CODE: Final = 128
_MOST_CURSOR: Final = 200
_MOST_DIGITS: Final = 15
_FIELDS: Final = ("state", "provider", "code", "age", "currency", "from", "to")


@needs("viewer")
async def refunds(request: Request) -> Response:
    """A page of them."""
    given = {name: request.query_params.get(name, "").strip() for name in _FIELDS}
    try:
        filters = _filters(given)
    except HTTPException as error:
        if error.detail not in _AMOUNTS:
            raise
        return draw(request, "refunds.html", here="refunds", status=400, given=given, fault=error.detail, **_CHOICES)
    after = _place(request.query_params.get("after", ""))
    async with request.app.state.reader.snapshot() as connection:
        found = await search_refunds(connection, filters, after)
        counts = await count_open(connection)
        waiting = await waiting_actions(connection)
    asked = {name: value for name, value in given.items() if value}
    values: dict[str, Any] = {
        "given": given,
        "filters": filters,
        "found": found,
        "first": after is None,
        "counts": [(state, counts[state]) for state in STATES if state in counts],
        "most_counted": MOST_COUNTED,
        "most_looked_at": MOST_LOOKED_AT,
        "waiting": waiting,
        "fault": "",
        **_CHOICES,
        "first_link": f"/refunds?{urlencode(asked)}",
        "next_link": f"/refunds?{urlencode({**asked, 'after': _cursor(found.after)})}" if found.after else None,
    }
    return draw(request, "refunds.html", here="refunds", **values)


def _filters(given: Mapping[str, str]) -> Filters:
    """What was typed. Raises HTTPException with the name of the field that can't be read."""
    code, age, currency = given["code"], given["age"], given["currency"].upper()
    if len(code) > _MOST_CODE or not code.isprintable():
        raise HTTPException(400, "code")
    if currency and currency not in EXPONENTS:
        raise HTTPException(400, "currency")
    if age and age not in AGES:
        raise HTTPException(400, "age")
    try:
        return Filters(
            state=msgspec.convert(given["state"] or None, RefundState | None),
            provider=msgspec.convert(given["provider"] or None, ProviderName | None),
            code=code or None,
            min_age=timedelta(seconds=AGES.get(age, 0)),
            currency=currency or None,
            from_minor=_minor(given, "from", currency),
            to_minor=_minor(given, "to", currency),
        )
    except msgspec.ValidationError:
        raise HTTPException(400, "state, provider") from None


def _minor(given: Mapping[str, str], name: str, currency: str) -> int | None:
    """An amount with the currency's decimals, in its minor unit: without a currency it says nothing."""
    text = given[name].replace(",", ".").replace(" ", "")
    if not text:
        return None
    whole, _, part = text.partition(".")
    exponent = EXPONENTS.get(currency)
    digits = whole + part
    if (
        exponent is None
        or len(part) > exponent
        or not digits.isascii()
        or not digits.isdecimal()
        or len(digits) > _MOST_DIGITS
    ):
        raise HTTPException(400, name)
    return int(whole + part.ljust(exponent, "0"))


def _cursor(place: Place) -> str:
    return f"{place.since.isoformat()}~{place.refund_id}"


def _place(text: str) -> Place | None:
    """Where a page begins. Raises HTTPException."""
    if not text:
        return None
    moment, _, refund_id = text[:_MOST_CURSOR].partition("~")
    try:
        since = read_moment(moment)
    except ValueError:
        raise HTTPException(400, "after") from None
    if since.tzinfo is None or not refund_id.isprintable():
        raise HTTPException(400, "after")
    return Place(since, refund_id)


ROUTES = [Route("/refunds", refunds)]
