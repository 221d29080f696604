"""What every command needs: settings as a person has them, and an event loop."""

import asyncio
import getpass
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import typer
import uvloop

from workers.settings import Settings, SettingsError

T = TypeVar("T")
_MOST_NAME: Final = 128


def operator_settings(*needed: str) -> Settings:
    """Settings for a person's command: from the environment, and what is not there from the local stack that runs."""
    try:
        from workers.local.home import live_stacks  # noqa: PLC0415 - a production installation has no local stack
    except ImportError:
        stacks = []
    else:
        stacks = [folder.state.settings for folder in live_stacks() if folder.state.settings]
    if stacks:
        for name, value in stacks[-1].items():
            os.environ.setdefault(name, value)
    settings = Settings.read()
    settings.need(*needed)
    return settings


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def operate(work: Callable[[Settings], Coroutine[Any, Any, bool]], *needed: str) -> None:
    """Run it with an operator's settings; exit 1 where it says no, or where what it asks fails in a known way."""
    from aiohttp import ClientError  # noqa: PLC0415 - loaded only where needed: starts stay quick
    from aiokafka.errors import KafkaError  # noqa: PLC0415
    from asyncpg import InterfaceError, PostgresError  # noqa: PLC0415

    from workers.insight.topic_reader import NoTopicError  # noqa: PLC0415

    settings = operator_settings("database_url", *needed)
    try:
        well = run(work(settings))
    except (PostgresError, InterfaceError, KafkaError, ClientError, NoTopicError) as error:
        sys.stderr.write(f"annul: {type(error).__name__}: {' '.join(str(error).split())}\n")
        well = False
    if not well:
        raise typer.Exit(1)


def the_actor(by: str | None) -> str:
    """Who does it, for the record: the name given, else the system's user. Raises SettingsError for a bad name."""
    if by is None:
        try:
            by = getpass.getuser()
        except (KeyError, ImportError, OSError):
            by = "unknown"
    name = " ".join(by.split())
    if not 0 < len(name) <= _MOST_NAME or not name.isprintable():
        raise SettingsError(f"--by takes a name of 1 to {_MOST_NAME} printable characters")
    return name
