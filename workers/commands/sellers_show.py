"""`annul sellers show ID`: a seller's row as SQL has it, or with `--explain` how each rate comes about."""

import sys

from schemas.sellers import Span
from workers.commands.output import cell, console, print_json, table, when
from workers.commands.sellers_explain import READ_TABLE, outcomes_table, print_explanation
from workers.insight.reading import named, snapshot
from workers.insight.sellers import SellerView, explanation, show_seller
from workers.settings import Settings


async def run(settings: Settings, seller_id: str, *, limit: int, as_json: bool) -> bool:
    """Print the row; False, and one line on standard error, where nothing was ever counted for the seller."""
    async with snapshot(settings) as connection:
        view = await show_seller(connection, seller_id, settings.topic_partitions, limit)
    if view is None:
        return _nothing(seller_id)
    if as_json:
        print_json(view)
    else:
        _print(view)
    return True


async def explain(settings: Settings, seller_id: str, order_id: str | None, *, limit: int, as_json: bool) -> bool:
    """Print how the rates come about; False, and one line on standard error, where there is nothing to explain."""
    async with snapshot(settings) as connection:
        told = await explanation(connection, seller_id, settings.topic_partitions, limit=limit, order_id=order_id)
    if told is None:
        return _nothing(seller_id)
    if order_id is not None and told.order is None:
        sys.stderr.write(f"annul: nothing was ever counted for seller {named(seller_id)} of order {named(order_id)}\n")
        return False
    if as_json:
        print_json(told)
    else:
        print_explanation(told)
    return True


def _nothing(seller_id: str) -> bool:
    sys.stderr.write(f"annul: nothing was ever counted for seller {named(seller_id)}\n")
    return False


def _print(view: SellerView) -> None:
    out = console()
    out.print(cell(f"Seller {view.seller_id}, up to outcome {view.seq}, as of {when(view.as_of)} UTC"))
    spans = {"lifetime": view.lifetime, **dict(reversed(view.windows.items()))}
    headings = (
        "span",
        "accepted",
        "cancelled before acceptance",
        "completed",
        "cancelled after acceptance",
        "acceptance rate",
        "completion rate",
        "cancellation rate",
    )
    rows = [(name, *_row(span)) for name, span in spans.items()]
    out.print(table("Counts and rates (`--explain` says how they come about)", headings, rows, numbers=headings[1:]))
    average = "unknown" if view.others_average is None else f"{view.others_average}"
    out.print(
        cell(f"Others' average: {average}. Above average: {'yes' if view.above_average else 'no'}; {view.compared}.")
    )
    out.print(cell(READ_TABLE), soft_wrap=True)
    out.print(outcomes_table(f"The latest {len(view.outcomes)} of {view.seq} outcomes", view.outcomes))


def _row(span: Span) -> tuple[str | int, ...]:
    counts = (
        span.accepted,
        span.cancelled_before_acceptance,
        span.completed,
        span.cancelled_after_acceptance,
    )
    return (*counts, *(_rate(one) for one in (span.acceptance_rate, span.completion_rate, span.cancellation_rate)))


def _rate(rate: float | None) -> str:
    return "none" if rate is None else f"{rate}"
