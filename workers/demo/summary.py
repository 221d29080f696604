"""What happened, for a person: money, chats, sellers, and what was parked and why."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.sellers import Span
from workers.demo.showcase import cases
from workers.domain.statistics import KINDS, span_of
from workers.insight.money import money
from workers.store.database import Database

_SELLERS = 5


async def print_summary(console: Console, database: Database) -> None:
    """Print all tables."""
    parts: list[RenderableType] = [
        await _cases(database),
        await _refunds(database),
        await _money(database),
        await _review(database),
        await _payouts(database),
        await _chats(database),
        await _sellers(database),
        await _parked(database),
    ]
    console.print(Group(*parts))


async def _cases(database: Database) -> Table:
    table = _table("One of each kind", ("case", "its refund", ""), ())
    for case in await cases(database):
        table.add_row(case.name, case.path, "as it should" if case.as_it_should else "[red]not so[/red]")
    return table


async def _refunds(database: Database) -> Table:
    table = _table("Refunds", ("provider", "state"), ("refunds", "p50 from cancel, s", "p99, s"))
    for row in await database.fetch("demo_refunds"):
        table.add_row(
            row["provider"], row["state"], str(row["refunds"]), _seconds(row["p50_s"]), _seconds(row["p99_s"])
        )
    return table


async def _money(database: Database) -> Text:
    rows = await database.fetch("demo_amounts")
    told = ", ".join(f"{money(row['amount_minor'], row['currency'])} in {row['refunds']} refunds" for row in rows)
    observed = await database.fetch("demo_outcomes")
    heard = ", ".join(f"{row['observations']} {row['outcome']} by {row['via']}" for row in observed)
    return Text(f"Money back: {told}.\nProviders' answers: {heard}.\n")


async def _review(database: Database) -> Table:
    table = _table("Refunds that a person must look at", ("provider", "the provider said"), ("refunds",))
    for row in await database.fetch("demo_review"):
        table.add_row(row["provider"], row["code"] or "", str(row["refunds"]))
    return table


async def _payouts(database: Database) -> Text:
    rows = await database.fetch("demo_payouts")
    told = ", ".join(f"{row['payouts']} {row['reason'].replace('_', ' ')}" for row in rows)
    return Text(f"Payouts asked for: {told or 'none'}.\n")


async def _chats(database: Database) -> Text:
    row = (await database.fetch("demo_chats"))[0]
    late = f", the latest {row['latest_s']:.2f} s after it was due" if row["latest_s"] is not None else ""
    return Text(f"Chats: {row['closed']} closed{late}; {row['withdrawn']} kept open by a new order.\n")


async def _sellers(database: Database) -> Table:
    table = _table("Sellers with most orders", ("seller",), ("accepted", "completed", "cancelled", "rates a/c/x"))
    for row in await database.fetch("demo_sellers", _SELLERS):
        span = span_of([row[kind] for kind in KINDS])
        cancelled = span.cancelled_before_acceptance + span.cancelled_after_acceptance
        table.add_row(row["seller_id"], str(span.accepted), str(span.completed), str(cancelled), _rates(span))
    return table


async def _parked(database: Database) -> Table:
    table = _table("Parked messages, and why", ("reason", "fields at fault"), ("messages",))
    for row in await database.fetch("demo_parked"):
        table.add_row(row["reason"], row["fields"], str(row["messages"]))
    return table


def _rates(span: Span) -> str:
    rates = (span.acceptance_rate, span.completion_rate, span.cancellation_rate)
    return " / ".join("-" if rate is None else f"{rate:.0%}" for rate in rates)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(title: str, texts: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table
