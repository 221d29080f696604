"""The arguments of the operators' commands; what they do is loaded when needed."""

from pathlib import Path
from typing import Annotated

import typer

from workers.commands import money, operators_holds, operators_parked
from workers.commands.arguments import MOST, AsJson, Refunder, moment_of
from workers.commands.calling import operate
from workers.settings import SettingsError

sellers = typer.Typer(help="Sellers' statistics.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command("verify")(verify)
    app.command("order")(order)
    app.command("reconcile")(reconcile)
    money.add_to(app)
    app.add_typer(operators_parked.parked, name="parked")
    app.add_typer(sellers, name="sellers")
    app.add_typer(operators_holds.providers, name="providers")
    app.add_typer(operators_holds.consumers, name="consumers")
    app.add_typer(operators_holds.chats, name="chats")


def verify(
    topics: Annotated[bool, typer.Option("--topics", help="read the topics too")] = False,
    books: Annotated[bool, typer.Option("--books", help="ask the simulated providers too")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every invariant, while workers run or not; exit 1 where one is broken."""
    from workers.commands import verify as command  # noqa: PLC0415 - loaded only where needed: starts stay quick

    needed = ["kafka_bootstrap_servers"] if topics else []
    operate(lambda settings: command.run(settings, topics=topics, books=books, as_json=as_json), *needed)


def order(order_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Tell one order's whole story: each step with its time, message id and provider's answer."""
    from workers.commands import order as command  # noqa: PLC0415

    operate(lambda settings: command.run(settings, order_id, as_json=as_json))


def reconcile(
    provider: Annotated[Refunder | None, typer.Option(help="only this one")] = None,
    since: Annotated[str | None, typer.Option("--from", help="the period's beginning, ISO 8601", metavar="T")] = None,
    until: Annotated[str | None, typer.Option("--to", help="its end; now if not given", metavar="T")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=90, help="or how long it is; 2 if not given")] = None,
    sample: Annotated[
        int | None, typer.Option(min=0, max=MOST, help="succeeded refunds to ask each provider about again")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="compare and ask, but tell and record nothing")] = False,
    as_json: AsJson = False,
    file: Annotated[Path | None, typer.Option(help="write the report here too, as JSON", dir_okay=False)] = None,
) -> None:
    """Hold the providers' word against ours: lists, what is uncertain or pending, a sample; exit 1 on a difference."""
    from workers.commands import reconcile as command  # noqa: PLC0415

    if since is not None and days is not None:
        raise SettingsError("--from and --days don't go together")
    wishes = command.Wishes(
        provider=provider.value if provider is not None else None,
        period_from=moment_of("--from", since),
        period_to=moment_of("--to", until),
        days=days or 2,
        sample=sample,
        dry_run=dry_run,
        as_json=as_json,
        file=file,
    )
    operate(lambda settings: command.run(settings, wishes))


@sellers.command("show")
def show_seller(
    seller_id: Annotated[str, typer.Argument(metavar="ID")],
    explain: Annotated[bool, typer.Option("--explain", help="how each rate comes about, to recompute it")] = False,
    order_id: Annotated[
        str | None, typer.Option("--order", help="with --explain: what this order did to the rates", metavar="ORDER")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, max=MOST, help="outcomes shown, the latest first")] = 50,
    as_json: AsJson = False,
) -> None:
    """A seller's counts and rates, and the outcomes behind them."""
    from workers.commands import sellers_show as command  # noqa: PLC0415

    if order_id is not None and not explain:
        raise SettingsError("--order goes with --explain")
    if explain:
        operate(lambda settings: command.explain(settings, seller_id, order_id, limit=limit, as_json=as_json))
    else:
        operate(lambda settings: command.run(settings, seller_id, limit=limit, as_json=as_json))


@sellers.command("rebuild")
def rebuild_sellers(
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=1, max=86_400, help="how long to wait for the workers", metavar="SECONDS")
    ] = 600.0,
    as_json: AsJson = False,
) -> None:
    """Make the table of statistics again from PostgreSQL, beside the live one; compares, and swaps what differs."""
    from workers.commands import sellers_rebuild as command  # noqa: PLC0415

    operate(lambda settings: command.run(settings, timeout_s=timeout_s, as_json=as_json))
