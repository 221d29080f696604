"""Recording a batch: one transaction that decides, keeps what was decided, and moves the offsets.

A message that PostgreSQL or a rule can't take for good is found by halving the batch, each half loaded and decided
again; it is parked, alone. A passing error never parks: the batch waits and is tried again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
import structlog

from schemas.base import Fault
from workers.pipeline.messages import Handler, Incoming, Unreadable, Verdict, outgoing, pack
from workers.pipeline.parking import Parked, park, parked_copy, record_parked
from workers.pipeline.ports import Clock, Outgoing, Partition, by_partition
from workers.store.database import Database, columns, is_passing
from workers.store.queries import sql

log = structlog.get_logger()
_LONGEST_WAIT_S = 5.0
_INTERNAL_LIMIT = 20
INTERNAL_ERROR = "internal_error"


class FencedError(Exception):
    """Another process has decided records of this batch: it is theirs, and what was loaded here is void."""


class Recorded(msgspec.Struct, frozen=True):
    """A batch that is in PostgreSQL: what to send, what to do, and the offsets to tell Kafka."""

    messages: list[Outgoing]
    effects: list[Any]
    offsets: dict[Partition, int]
    labels: list[tuple[str, str, str]]
    """Topic, message type and label of each message, for counting."""
    parked: list[Parked]


class Recorder:
    """Records batches of one consumer group."""

    def __init__(self, group: str, handler: Handler, database: Database, clock: Clock) -> None:
        self._group = group
        self._handler = handler
        self._database = database
        self._clock = clock
        self._committed: dict[Partition, int] = {}
        self._internal = 0

    def note_committed(self, offsets: Mapping[Partition, int]) -> None:
        """Kafka has these offsets: what was kept up to them may go, with the next batch."""
        self._committed.update(offsets)

    async def prune(self) -> None:
        """Let go of what Kafka has, while nothing else is to be done."""
        if self._committed:
            await self._database.execute("prune_emissions", self._group, *self._prunable())

    async def record(self, batch: Sequence[Incoming | Unreadable], expected: dict[Partition, int]) -> list[Recorded]:
        """Record the batch, in halves where a message in it can't be recorded. Moves `expected` along.

        Raises FencedError, and errors that mean that this program and its database don't fit.
        """
        end = await self._attempt(batch, expected, refused=None)
        if isinstance(end, Recorded):
            self._internal = 0
            return [end]
        if len(batch) > 1:
            log.warning("batch.halved", group=self._group, size=len(batch), error=type(end).__name__)
            middle = len(batch) // 2
            first = await self.record(batch[:middle], expected)
            return first + await self.record(batch[middle:], expected)
        fault = _fault_of(end)
        self._note_internal(fault, end)
        parked = await self._attempt(batch, expected, refused=fault)
        if isinstance(parked, Recorded):
            return [parked]
        raise parked

    def _note_internal(self, fault: Fault, error: Exception) -> None:
        """One message that a rule can't take is parked; when it is every message, the fault is this program's."""
        self._internal = self._internal + 1 if fault.reason == INTERNAL_ERROR else 0
        if self._internal >= _INTERNAL_LIMIT:
            raise error

    async def _attempt(
        self,
        batch: Sequence[Incoming | Unreadable],
        expected: dict[Partition, int],
        refused: Fault | None,
    ) -> Recorded | Exception:
        """Record the batch however long that takes, or give the error that tells of a message in it."""
        wait_s = 0.1
        while True:
            try:
                recorded = await self._transact(batch, expected, refused)
            except FencedError:
                raise
            except Exception as error:
                if not is_passing(error):
                    if _is_about_a_message(error):
                        return error
                    raise
                log.warning("batch.record_delayed", group=self._group, error=type(error).__name__)
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                expected.update(recorded.offsets)
                return recorded

    async def _transact(
        self,
        batch: Sequence[Incoming | Unreadable],
        expected: Mapping[Partition, int],
        refused: Fault | None,
    ) -> Recorded:
        offsets = by_partition(message.record for message in batch)
        async with self._database.transaction() as connection:
            now = await self._advance(connection, offsets, expected)
            readable = [] if refused else [message for message in batch if isinstance(message, Incoming)]
            verdicts = await self._handler.record(connection, readable, now) if readable else ()
            recorded, parked, caused = _gather(batch, iter(verdicts), refused, offsets, now)
            if parked:
                await record_parked(connection, self._group, parked, now)
            await self._keep(connection, caused, offsets)
        return recorded

    async def _advance(
        self, connection: Any, offsets: Mapping[Partition, int], expected: Mapping[Partition, int]
    ) -> datetime:
        rows = [(place.topic, place.partition, expected[place], offset) for place, offset in offsets.items()]
        moved = await connection.fetch(sql("advance_offsets"), self._group, *columns(rows, 4))
        if len(moved) != len(rows):
            raise FencedError
        now: datetime = moved[0][0]
        return now

    async def _keep(
        self, connection: Any, caused: Mapping[Partition, list[Outgoing]], offsets: Mapping[Partition, int]
    ) -> None:
        kept = [
            (self._group, place.topic, place.partition, offsets[place], pack(messages))
            for place, messages in caused.items()
        ]
        if kept:
            await connection.copy_records_to_table("emissions", records=kept)
        if self._committed:
            await connection.execute(sql("prune_emissions"), self._group, *self._prunable())

    def _prunable(self) -> list[list[Any]]:
        """What may go, once: should it not go now, what is committed next takes it along."""
        committed, self._committed = self._committed, {}
        return list(columns([(place.topic, place.partition, offset) for place, offset in committed.items()], 3))


def _gather(
    batch: Sequence[Incoming | Unreadable],
    verdicts: Any,
    refused: Fault | None,
    offsets: dict[Partition, int],
    now: datetime,
) -> tuple[Recorded, list[Parked], dict[Partition, list[Outgoing]]]:
    all_parked: list[Parked] = []
    recorded = Recorded([], [], offsets, [], all_parked)
    caused: dict[Partition, list[Outgoing]] = {}
    for message in batch:
        verdict, stage = _verdict_on(message, verdicts, refused)
        trace = message.envelope.traceparent if message.envelope else None
        messages = [outgoing(emission, trace) for emission in verdict.emissions]
        if verdict.fault is not None:
            parked = park(message, verdict.fault, stage)
            all_parked.append(parked)
            messages.append(parked_copy(parked, now))
        if messages:
            caused.setdefault(message.record.source, []).extend(messages)
            recorded.messages.extend(messages)
        if verdict.effect is not None:
            recorded.effects.append(verdict.effect)
        kind = message.envelope.type if isinstance(message, Incoming) else "unreadable"
        recorded.labels.append((message.record.source.topic, kind, verdict.label))
    return recorded, all_parked, caused


def _verdict_on(message: Incoming | Unreadable, verdicts: Any, refused: Fault | None) -> tuple[Verdict, str]:
    if isinstance(message, Unreadable):
        return Verdict("parked", fault=message.fault), "decode"
    if refused is not None:
        return Verdict("parked", fault=refused), "record"
    return next(verdicts), "decide"


def _is_about_a_message(error: Exception) -> bool:
    """A fault in data or in a rule; anything else (a missing table, a wrong password) is about the whole program."""
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError)
    return True


def _fault_of(error: Exception) -> Fault:
    if isinstance(error, asyncpg.PostgresError):
        constraint = getattr(error, "constraint_name", None)
        return Fault("cannot_be_recorded", constraint or "value", type(error).__name__)
    return Fault(INTERNAL_ERROR, "value", type(error).__name__)
