"""The arguments of the operators' commands; what they do is loaded when needed."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workers.commands import money
from workers.commands.calling import operate as _operate
from workers.commands.calling import the_actor
from workers.settings import SettingsError

if TYPE_CHECKING:
    from workers.insight.parked import Which

_MOST: Final = 10_000

AsJson = Annotated[bool, typer.Option("--json", help="one line of JSON")]
Reason = Annotated[str | None, typer.Option(help="only those parked for this reason", metavar="CODE")]
OfTopic = Annotated[str | None, typer.Option("--topic", help="only those of this topic", metavar="TOPIC")]
AtMost = Annotated[int, typer.Option(min=1, max=_MOST, help="act on so many at most, the oldest first")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only count what would be done")]
By = Annotated[str | None, typer.Option("--by", help="who does it; the system's user if not given", metavar="NAME")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="topic:partition:offset")]
All = Annotated[bool, typer.Option("--all", help="every parked message")]

parked = typer.Typer(help="Works on messages that could not be processed.", no_args_is_help=True)
sellers = typer.Typer(help="Sellers' statistics.", no_args_is_help=True)
providers = typer.Typer(help="Payment providers.", no_args_is_help=True)
consumers = typer.Typer(help="Workers that read from Kafka.", no_args_is_help=True)
chats = typer.Typer(help="Chats that close after a cancellation.", no_args_is_help=True)


class Status(StrEnum):
    """How a parked message stands."""

    PARKED = "parked"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"
    ANY = "any"


class Refunder(StrEnum):
    """A provider that can be asked for what it refunded."""

    CARD = "card"
    PAYPAL = "paypal"


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command("verify")(verify)
    app.command("order")(order)
    app.command("reconcile")(reconcile)
    money.add_to(app)
    app.add_typer(parked, name="parked")
    app.add_typer(sellers, name="sellers")
    app.add_typer(providers, name="providers")
    app.add_typer(consumers, name="consumers")
    app.add_typer(chats, name="chats")


def verify(
    topics: Annotated[bool, typer.Option("--topics", help="read the topics too")] = False,
    books: Annotated[bool, typer.Option("--books", help="ask the simulated providers too")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every invariant, while workers run or not; exit 1 where one is broken."""
    from workers.commands import verify as command  # noqa: PLC0415 - loaded only where needed: starts stay quick

    needed = ["kafka_bootstrap_servers"] if topics else []
    _operate(lambda settings: command.run(settings, topics=topics, books=books, as_json=as_json), *needed)


def order(order_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Tell one order's whole story: each step with its time, message id and provider's answer."""
    from workers.commands import order as command  # noqa: PLC0415

    _operate(lambda settings: command.run(settings, order_id, as_json=as_json))


def reconcile(
    provider: Annotated[Refunder | None, typer.Option(help="only this one")] = None,
    since: Annotated[str | None, typer.Option("--from", help="the period's beginning, ISO 8601", metavar="T")] = None,
    until: Annotated[str | None, typer.Option("--to", help="its end; now if not given", metavar="T")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=90, help="or how long it is; 2 if not given")] = None,
    sample: Annotated[
        int | None, typer.Option(min=0, max=_MOST, help="succeeded refunds to ask each provider about again")
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
        period_from=_moment("--from", since),
        period_to=_moment("--to", until),
        days=days or 2,
        sample=sample,
        dry_run=dry_run,
        as_json=as_json,
        file=file,
    )
    _operate(lambda settings: command.run(settings, wishes))


@sellers.command("show")
def show_seller(
    seller_id: Annotated[str, typer.Argument(metavar="ID")],
    explain: Annotated[bool, typer.Option("--explain", help="how each rate comes about, to recompute it")] = False,
    order_id: Annotated[
        str | None, typer.Option("--order", help="with --explain: what this order did to the rates", metavar="ORDER")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, max=_MOST, help="outcomes shown, the latest first")] = 50,
    as_json: AsJson = False,
) -> None:
    """A seller's counts and rates, and the outcomes behind them."""
    from workers.commands import sellers_show as command  # noqa: PLC0415

    if order_id is not None and not explain:
        raise SettingsError("--order goes with --explain")
    if explain:
        _operate(lambda settings: command.explain(settings, seller_id, order_id, limit=limit, as_json=as_json))
    else:
        _operate(lambda settings: command.run(settings, seller_id, limit=limit, as_json=as_json))


@sellers.command("rebuild")
def rebuild_sellers(
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=1, max=86_400, help="how long to wait for the workers", metavar="SECONDS")
    ] = 600.0,
    as_json: AsJson = False,
) -> None:
    """Make the table of statistics again from PostgreSQL, beside the live one; compares, and swaps what differs."""
    from workers.commands import sellers_rebuild as command  # noqa: PLC0415

    _operate(lambda settings: command.run(settings, timeout_s=timeout_s, as_json=as_json))


@providers.command("list")
def list_providers(as_json: AsJson = False) -> None:
    """Which provider is paused, since when and why; and the latest pause that is over."""
    from workers.commands import providers as command  # noqa: PLC0415

    _operate(lambda settings: command.list_(settings, as_json=as_json))


Consumer = Annotated[str, typer.Argument(metavar="NAME", help="the worker, such as cancellations")]
Why = Annotated[str, typer.Option("--reason", help="kept in the audit log; nothing personal", metavar="TEXT")]


@providers.command("pause")
def pause_provider(name: Refunder, reason: Why, by: By = None) -> None:
    """Send nothing more to a provider until a person resumes it."""
    _hold("provider", name.value, by, reason, paused=True)


@providers.command("resume")
def resume_provider(name: Refunder, reason: Why, by: By = None) -> None:
    """Go on with a provider, whoever paused it; what waited is woken."""
    _hold("provider", name.value, by, reason, paused=False)


@consumers.command("list")
def list_consumers(as_json: AsJson = False) -> None:
    """Every consumer: members, messages that wait and for how long, who paused it; exit 1 where nobody takes them."""
    from workers.commands import consumers as command  # noqa: PLC0415

    _operate(lambda settings: command.list_(settings, as_json=as_json), "kafka_bootstrap_servers")


@consumers.command("pause")
def pause_consumer(name: Consumer, reason: Why, by: By = None) -> None:
    """Let a worker take nothing more; what it took is ended, the rest waits in Kafka."""
    _hold("consumer", name, by, reason, paused=True)


@consumers.command("resume")
def resume_consumer(name: Consumer, reason: Why, by: By = None) -> None:
    """Let a worker go on."""
    _hold("consumer", name, by, reason, paused=False)


def _hold(kind: str, name: str, by: str | None, reason: str, *, paused: bool) -> None:
    from workers.commands import consumers as command  # noqa: PLC0415

    who = the_actor(by)
    _operate(lambda settings: command.hold(settings, kind, name, by=who, reason=reason, paused=paused))


Conversation = Annotated[str, typer.Argument(metavar="CONVERSATION", help="its id")]


@chats.command("list")
def list_chats(
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="shown at most, the next first")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the chats that close next."""
    from workers.commands import chats as command  # noqa: PLC0415

    _operate(lambda settings: command.list_(settings, limit=limit, as_json=as_json))


@chats.command("extend")
def extend_chat(
    conversation_id: Conversation,
    until: Annotated[str, typer.Option("--until", help="the new time, ISO 8601; later than announced", metavar="T")],
    reason: Why,
    by: By = None,
) -> None:
    """Let a chat close later; both sides are told. Exit 1 where that is refused."""
    from workers.commands import chats as command  # noqa: PLC0415

    who = the_actor(by)
    close_at = _moment("--until", until)
    assert close_at is not None
    _operate(lambda settings: command.extend(settings, conversation_id, close_at, by=who, reason=reason))


@chats.command("withdraw")
def withdraw_chat(conversation_id: Conversation, reason: Why, by: By = None) -> None:
    """Let a chat stay open until another order of it is cancelled; both sides are told."""
    from workers.commands import chats as command  # noqa: PLC0415

    who = the_actor(by)
    _operate(lambda settings: command.withdraw(settings, conversation_id, by=who, reason=reason))


@parked.command("list")
def list_parked(
    reason: Reason = None,
    topic: OfTopic = None,
    since: Annotated[str | None, typer.Option(help="parked within: 2h, 7d, PT30M", metavar="DURATION")] = None,
    status: Annotated[Status, typer.Option(help="how they stand")] = Status.PARKED,
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="shown at most, the youngest first")] = 50,
    as_json: AsJson = False,
) -> None:
    """List parked messages, the youngest first."""
    from workers.commands import parked as command  # noqa: PLC0415

    which = _which(None, reason, topic, every=True)
    within = None if since is None else _duration(since)
    standing = None if status is Status.ANY else status.value
    _operate(
        lambda settings: command.list_(settings, which, status=standing, since=within, limit=limit, as_json=as_json)
    )


@parked.command("show")
def show_parked(
    parked_id: Annotated[str, typer.Argument(metavar="ID")],
    raw: Annotated[bool, typer.Option("--raw", help="the value's bytes, unmasked, and nothing else")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one parked message; what may be personal is masked."""
    from workers.commands import parked as command  # noqa: PLC0415

    if raw and as_json:
        raise SettingsError("--raw and --json don't go together")
    if raw:
        _operate(lambda settings: command.raw(settings, parked_id))
    else:
        _operate(lambda settings: command.show(settings, parked_id, as_json=as_json))


@parked.command("redrive")
def redrive(
    ids: Ids = None,
    every: All = False,
    reason: Reason = None,
    topic: OfTopic = None,
    limit: AtMost = 1_000,
    by: By = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put parked messages back on their topics."""
    from workers.commands import parked as command  # noqa: PLC0415

    which = _which(ids, reason, topic, every=every)
    who = the_actor(by)
    _operate(lambda settings: command.put_back(settings, which, by=who, limit=limit, dry_run=dry_run, as_json=as_json))


@parked.command("discard")
def discard(
    why: Annotated[str, typer.Option(help="the reason, kept on record; nothing personal", metavar="TEXT")],
    ids: Ids = None,
    every: All = False,
    reason: Reason = None,
    topic: OfTopic = None,
    limit: AtMost = 1_000,
    by: By = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give parked messages up; they stay on record."""
    from workers.commands import parked as command  # noqa: PLC0415

    told = " ".join(why.split())
    if not 0 < len(told) <= 500:  # noqa: PLR2004 - as long as a cancellation's reason
        raise SettingsError("--why takes a reason of 1 to 500 characters")
    which = _which(ids, reason, topic, every=every)
    who = the_actor(by)
    _operate(
        lambda settings: command.give_up(
            settings, which, why=told, by=who, limit=limit, dry_run=dry_run, as_json=as_json
        )
    )


def _which(ids: list[str] | None, reason: str | None, topic: str | None, *, every: bool) -> "Which":
    """Which messages are meant. Raises SettingsError where that isn't clear."""
    from workers.insight.parked import Which  # noqa: PLC0415

    if ids and (every or reason or topic):
        raise SettingsError("name messages by their ids, or by --all, --reason and --topic, not by both")
    if not (ids or every or reason or topic):
        raise SettingsError("which messages? name their ids, or give --all, --reason or --topic")
    return Which(ids=tuple(ids) if ids else None, reason=reason, topic=topic)


def _moment(option: str, text: str | None) -> datetime | None:
    """A day or a time, in UTC where it doesn't say. Raises SettingsError."""
    if text is None:
        return None
    from workers.insight.reading import named  # noqa: PLC0415

    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        what = f"{named(text)} is not a time such as 2026-11-23 or 2026-11-23T09:15:00Z"
        raise SettingsError(f"{option}: {what}") from None


def _duration(text: str) -> timedelta:
    """ISO 8601, or a number with s, m, h, d or w. Raises SettingsError."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from workers.insight.reading import named  # noqa: PLC0415

    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    number, unit = text[:-1], units.get(text[-1:])
    try:
        if unit is not None and number.isdecimal():
            return timedelta(**{unit: int(number)})
        if text.startswith("P"):
            return TypeAdapter(timedelta).validate_python(text)
    except (OverflowError, ValidationError):
        pass
    raise SettingsError(f"--since: {named(text)} is not a duration such as 30m, 2h, 7d or PT30M")
