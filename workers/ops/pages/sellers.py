"""Sellers: the table of all, and one of them with what their rates come from."""

import asyncio
from typing import Any, Final, get_args
from urllib.parse import quote, urlencode

import msgspec
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workers.domain.explanation import Comparison
from workers.insight.seller_page import DayRate, advice_standing, rates_over_time
from workers.insight.sellers import LAST_SEQ, explanation
from workers.ops.charts import bar_chart, line_chart
from workers.ops.following import BINS, KEYS, MOST_SELLERS, Following, Key, Sort, bin_of
from workers.ops.language import Speech
from workers.ops.page import draw
from workers.ops.viewer import needs, viewer_of

SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
OUTCOMES: Final = 50
_MOST_ID: Final = 64
_MOST_CURSOR: Final = 120
_MOST_DIGITS: Final = 20


@needs("viewer")
async def sellers(request: Request) -> Response:
    """A page of the table."""
    following: Following = request.app.state.following
    prefix = request.query_params.get("id", "").strip()
    if len(prefix) > _MOST_ID or not prefix.isprintable():
        raise HTTPException(400, "id")
    sort = _sort(request.query_params.get("sort", ""))
    after = _key(request.query_params.get("after", ""))
    part = following.table.page(sort, prefix, after, asyncio.get_running_loop().time())
    asked = {"sort": sort, **({"id": prefix} if prefix else {})}
    cursor = f"{part.after[0]!r}~{part.after[1]}" if part.after is not None else ""
    values: dict[str, Any] = {
        "following": following,
        "part_rows": part.rows,
        "prefix": prefix,
        "sort": sort,
        "sorts": SORTS,
        "most": MOST_SELLERS,
        "total": len(following.table.rows),
        "first": after is None,
        "first_link": f"/sellers?{urlencode(asked)}",
        "next_link": f"/sellers?{urlencode({**asked, 'after': cursor})}" if cursor else None,
    }
    return draw(request, "sellers.html", here="sellers", **values)


@needs("viewer")
async def seller(request: Request) -> Response:
    """One seller: counts, plot, place among all, explanation, outcomes."""
    following: Following = request.app.state.following
    seller_id: str = request.path_params["seller_id"]
    before_seq = _before(request.query_params.get("before", ""))
    partitions = request.app.state.settings.topic_partitions
    async with request.app.state.reader.snapshot() as connection:
        told = await explanation(connection, seller_id, partitions, limit=OUTCOMES, before_seq=before_seq)
        if told is None:
            raise HTTPException(404)
        rates = await rates_over_time(connection, seller_id, told.today)
        standing = await advice_standing(connection, seller_id)
    say = Speech(viewer_of(request).language)
    rate = told.comparison.cancellation_rate
    values: dict[str, Any] = {
        "told": told,
        "standing": standing,
        "verdict": _verdict(told.comparison),
        "figures": _figures(rates, say),
        "plot": _plot(rates, say),
        "spread": _spread(following, rate, say),
        "following": following,
        "first": before_seq is None,
        "path_of": f"/sellers/{quote(seller_id, safe='')}",
    }
    return draw(request, "sellers_one.html", here="sellers", **values)


def _verdict(compared: Comparison) -> str:
    """A word for how the seller stands, by the rule of R9."""
    if compared.above_average:
        return "above"
    if compared.cancellation_rate is None:
        return "none"
    if compared.others_average is None:
        return "unknown"
    return "doubt" if compared.cancellation_rate > compared.others_average else "below"


def _figures(rates: list[DayRate], say: Speech) -> str:
    known = [one.rate for one in rates if one.rate is not None]
    return say.text(
        "sellers.plot.figures",
        now=say.percent(rates[-1].rate),
        least=say.percent(min(known, default=None)),
        most=say.percent(max(known, default=None)),
    )


def _plot(rates: list[DayRate], say: Speech) -> Markup:
    values = [None if one.rate is None else round(100 * one.rate, 3) for one in rates]
    first, last = f"{rates[0].day}", f"{rates[-1].day}"
    return line_chart(
        values,
        title=say.text("sellers.plot"),
        description=_figures(rates, say),
        first=first,
        last=last,
        unit=" %",
        write=say.number,
    )


def _spread(following: Following, rate: float | None, say: Speech) -> tuple[Markup, str] | None:
    """All sellers' rates with this one's marked, and that in words; None while the table isn't known."""
    counts = following.table.spread()
    if following.at is None or not any(counts):
        return None
    marked = bin_of(rate) if rate is not None else None
    lower = sum(counts[:marked]) if marked is not None else 0
    key = "sellers.spread.figures" if marked is not None else "sellers.spread.figures.none"
    description = say.text(
        key, rate=say.percent(rate), sellers=say.number(sum(counts)), lower=say.number(lower), step=100 // BINS
    )
    title = say.text("sellers.spread")
    return bar_chart(
        counts, title=title, description=description, first="0 %", last="100 %", marked=marked, write=say.number
    ), description


def _sort(text: str) -> Sort:
    try:
        sort: Sort = msgspec.convert(text or "rate", Sort)
    except msgspec.ValidationError:
        raise HTTPException(400, "sort") from None
    return sort


def _key(text: str) -> Key | None:
    """Where a page begins. Raises HTTPException."""
    if not text:
        return None
    number, _, seller_id = text[:_MOST_CURSOR].partition("~")
    try:
        return float(number), seller_id
    except ValueError:
        raise HTTPException(400, "after") from None


def _before(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS or not 0 < int(text) <= LAST_SEQ:
        raise HTTPException(400, "before")
    return int(text)


assert set(KEYS) == set(SORTS)
ROUTES = [Route("/sellers", sellers), Route("/sellers/{seller_id}", seller)]
