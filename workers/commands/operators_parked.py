"""The arguments of the commands about parked messages."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from workers.commands.arguments import MOST, AsJson, By, duration_of
from workers.commands.calling import operate, the_actor
from workers.settings import SettingsError

if TYPE_CHECKING:
    from workers.insight.parked import Which

Reason = Annotated[str | None, typer.Option(help="only those parked for this reason", metavar="CODE")]
OfTopic = Annotated[str | None, typer.Option("--topic", help="only those of this topic", metavar="TOPIC")]
AtMost = Annotated[int, typer.Option(min=1, max=MOST, help="act on so many at most, the oldest first")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only count what would be done")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="topic:partition:offset")]
All = Annotated[bool, typer.Option("--all", help="every parked message")]

parked = typer.Typer(help="Works on messages that could not be processed.", no_args_is_help=True)


class Status(StrEnum):
    """How a parked message stands."""

    PARKED = "parked"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"
    ANY = "any"


@parked.command("list")
def list_parked(
    reason: Reason = None,
    topic: OfTopic = None,
    since: Annotated[str | None, typer.Option(help="parked within: 2h, 7d, PT30M", metavar="DURATION")] = None,
    status: Annotated[Status, typer.Option(help="how they stand")] = Status.PARKED,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="shown at most, the youngest first")] = 50,
    as_json: AsJson = False,
) -> None:
    """List parked messages, the youngest first."""
    from workers.commands import parked as command  # noqa: PLC0415

    which = _which(None, reason, topic, every=True)
    within = None if since is None else duration_of(since)
    standing = None if status is Status.ANY else status.value
    operate(
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
        operate(lambda settings: command.raw(settings, parked_id))
    else:
        operate(lambda settings: command.show(settings, parked_id, as_json=as_json))


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
    operate(lambda settings: command.put_back(settings, which, by=who, limit=limit, dry_run=dry_run, as_json=as_json))


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
    operate(
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
