"""`annul sellers show ID`: a seller's counts and rates, and the outcomes behind them."""

import sys

from schemas.sellers import Span
from workers.commands.output import cell, console, print_json, table
from workers.insight.reading import named
from workers.insight.sellers import SellerView, show_seller
from workers.settings import Settings


async def run(settings: Settings, seller_id: str, *, limit: int, as_json: bool) -> bool:
    """Print it; False, and one line on standard error, where nothing was ever counted for the seller."""
    view = await show_seller(settings, seller_id, limit)
    if view is None:
        sys.stderr.write(f"annul: nothing was ever counted for seller {named(seller_id)}\n")
        return False
    if as_json:
        print_json(view)
    else:
        _print(view)
    return True


def _print(view: SellerView) -> None:
    out = console()
    span = view.lifetime
    out.print(cell(f"Seller {view.seller_id}, up to outcome {view.seq}: {_counts(span)}."))
    out.print(
        f"Acceptance rate {_rate(span.acceptance_rate)}, completion rate {_rate(span.completion_rate)}, "
        f"cancellation rate {_rate(span.cancellation_rate)}."
    )
    rows = [
        (
            one["seq"],
            one["occurred_at"],
            one["outcome"],
            one["order_id"],
            one["replaces_outcome"] and f"{one['replaces_outcome']} of {one['replaces_occurred_at']:%Y-%m-%d %H:%M:%S}",
        )
        for one in view.outcomes
    ]
    title = f"The latest {len(rows)} of {view.seq} outcomes"
    out.print(table(title, ("seq", "at (UTC)", "outcome", "order", "takes back"), rows, numbers=("seq",)))


def _counts(span: Span) -> str:
    return (
        f"{span.accepted} accepted, {span.cancelled_before_acceptance} cancelled before acceptance, "
        f"{span.completed} completed, {span.cancelled_after_acceptance} cancelled after acceptance"
    )


def _rate(rate: float | None) -> str:
    return "unknown" if rate is None else f"{rate:.2%}"
