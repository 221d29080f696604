"""Scheduled messages, and the worker that sends them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from kit.broker import Broker
from kit.process import Process
from schemas.chats import ChatCommand
from schemas.topics import CHATS_COMMANDS
from workers.domain.emission import Later, emission
from workers.store.database import Database
from workers.store.recording import Agenda
from workers.timers import Timers

CHATS: Final = CHATS_COMMANDS.name
NOON: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def later(name: str, due_at: datetime = NOON, revision: int = 1) -> Later:
    """A chat's close."""
    data = ChatCommand(conversation_id=name, order_id="ord_1", close_at=due_at, revision=revision)
    told = emission(CHATS_COMMANDS, name, "chat.close", data, due_at, name, str(revision), due_at.isoformat())
    return Later(name, name, due_at, revision, told)


async def schedule(database: Database, *rows: Later, withdrawn: Iterable[str] = ()) -> None:
    """Write rows, and withdraw others, in one transaction."""
    agenda = Agenda()
    agenda.note(rows, withdrawn, None)
    async with database.transaction() as connection:
        await agenda.store(connection)


def timers_of(process: Process) -> Timers:
    """The worker, to be fired by hand."""
    return Timers(process.database, process.emitter, process.clock, process.metrics)


def sent(broker: Broker) -> list[str]:
    """The keys of the messages that were sent to chats."""
    return [str(record.key, "utf-8") for record in broker.records(CHATS)]  # type: ignore[arg-type]  # all are keyed


async def states(observer: Any) -> dict[str, str]:
    """Where every row stands."""
    return dict(await observer.fetch("SELECT schedule_id, state FROM scheduled_messages ORDER BY 1"))
