"""What every command needs: settings as a person has them, and an event loop."""

import asyncio
import getpass
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import typer
import uvloop

from workers.settings import Settings, SettingsError

T = TypeVar("T")
_MOST_NAME: Final = 128
EXIT_UNREACHABLE: Final = 3
"""PostgreSQL, Kafka or a provider can't be reached: nothing was found out, and nothing is wrong with the call."""


def operator_settings(*needed: str) -> Settings:
    """Settings for a person's command: from the environment, and what is not there from the local stack that runs."""
    try:
        from workers.local.home import live_stacks  # noqa: PLC0415 - a production installation has no local stack
    except ImportError:
        stacks = []
    else:
        stacks = [folder.state.settings for folder in live_stacks() if folder.state.settings]
    given = {name.upper() for name, value in os.environ.items() if value}
    theirs = {name: value for name, value in stacks[-1].items() if name not in given} if stacks else {}
    settings = Settings.read(theirs)
    settings.need(*needed)
    return settings


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def operate(work: Callable[[Settings], Coroutine[Any, Any, bool]], *needed: str) -> None:
    """Run it with an operator's settings.

    Exit 1 where it says no, or where what it asks fails in a known way; 3 where Kafka or a provider can't be reached.
    Raises OSError and TimeoutError where PostgreSQL can't.
    """
    from aiohttp import ClientError  # noqa: PLC0415 - loaded only where needed: starts stay quick
    from aiokafka.errors import KafkaError  # noqa: PLC0415
    from asyncpg import InterfaceError, PostgresError  # noqa: PLC0415

    from workers.insight.topic_reader import NoTopicError  # noqa: PLC0415

    settings = operator_settings("database_url", *needed)
    try:
        well = run(work(settings))
    except (PostgresError, InterfaceError, KafkaError, ClientError, NoTopicError) as error:
        if (away := unreachable(error)) is not None:
            sys.stderr.write(f"annul: {away}\n")
            raise typer.Exit(EXIT_UNREACHABLE) from None
        sys.stderr.write(f"annul: {type(error).__name__}: {' '.join(str(error).split())}\n")
        well = False
    if not well:
        raise typer.Exit(1)


def unreachable(error: BaseException) -> str | None:
    """What can't be reached, in one line; None where the error says something else."""
    from aiohttp import ClientConnectionError  # noqa: PLC0415 - loaded only where needed: starts stay quick
    from aiokafka.errors import (  # noqa: PLC0415
        KafkaConnectionError,
        KafkaTimeoutError,
        NoBrokersAvailable,
        NodeNotReadyError,
        RequestTimedOutError,
    )
    from asyncpg import (  # noqa: PLC0415
        AdminShutdownError,
        CannotConnectNowError,
        CrashShutdownError,
        PostgresConnectionError,
        TooManyConnectionsError,
    )

    match error:
        case BrokenPipeError():  # who read what we print has gone
            return None
        case (
            KafkaConnectionError()
            | KafkaTimeoutError()
            | NoBrokersAvailable()
            | NodeNotReadyError()
            | RequestTimedOutError()
        ):
            what = "Kafka"
        case ClientConnectionError():
            what = "a provider"
        # Of what commands ask, PostgreSQL alone is asked over a bare connection.
        case (
            PostgresConnectionError()
            | CannotConnectNowError()
            | TooManyConnectionsError()
            | AdminShutdownError()
            | CrashShutdownError()
            | ConnectionError()
            | TimeoutError()
            | socket.gaierror()
        ):
            what = "PostgreSQL"
        case _:
            return None
    told = " ".join(str(error).split()) or "no answer in time"
    return f"{what} can't be reached: {told}"


def the_actor(by: str | None) -> str:
    """Who does it, for the record: the name given, else the system's user. Raises SettingsError for a bad name."""
    if by is None:
        try:
            by = getpass.getuser()
        except (KeyError, ImportError, OSError):
            by = "unknown"
    name = " ".join(by.split())
    from workers.actions.rules import is_a_worker  # noqa: PLC0415 - loaded only where needed: starts stay quick

    if not 0 < len(name) <= _MOST_NAME or not name.isprintable() or is_a_worker(name):
        raise SettingsError(f"--by takes a name of 1 to {_MOST_NAME} printable characters that isn't a worker's")
    return name
