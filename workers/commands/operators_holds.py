"""The arguments of the commands that hold something back: a worker, a provider, a chat's close."""

from typing import Annotated

import typer

from workers.commands.arguments import MOST, AsJson, By, Refunder, moment_of
from workers.commands.calling import operate, the_actor

Consumer = Annotated[str, typer.Argument(metavar="NAME", help="the worker, such as cancellations")]
Why = Annotated[str, typer.Option("--reason", help="kept in the audit log; nothing personal", metavar="TEXT")]
Conversation = Annotated[str, typer.Argument(metavar="CONVERSATION", help="its id")]

providers = typer.Typer(help="Payment providers.", no_args_is_help=True)
consumers = typer.Typer(help="Workers that read from Kafka.", no_args_is_help=True)
chats = typer.Typer(help="Chats that close after a cancellation.", no_args_is_help=True)


@providers.command("list")
def list_providers(as_json: AsJson = False) -> None:
    """Which provider is paused, since when and why; and the latest pause that is over."""
    from workers.commands import providers as command  # noqa: PLC0415

    operate(lambda settings: command.list_(settings, as_json=as_json))


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

    operate(lambda settings: command.list_(settings, as_json=as_json), "kafka_bootstrap_servers")


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
    operate(lambda settings: command.hold(settings, kind, name, by=who, reason=reason, paused=paused))


@chats.command("list")
def list_chats(
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="shown at most, the next first")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the chats that close next."""
    from workers.commands import chats as command  # noqa: PLC0415

    operate(lambda settings: command.list_(settings, limit=limit, as_json=as_json))


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
    close_at = moment_of("--until", until)
    assert close_at is not None
    operate(lambda settings: command.extend(settings, conversation_id, close_at, by=who, reason=reason))


@chats.command("withdraw")
def withdraw_chat(conversation_id: Conversation, reason: Why, by: By = None) -> None:
    """Let a chat stay open until another order of it is cancelled; both sides are told."""
    from workers.commands import chats as command  # noqa: PLC0415

    who = the_actor(by)
    operate(lambda settings: command.withdraw(settings, conversation_id, by=who, reason=reason))
