"""The workers' own record code on a real database, fed from memory: one partition a topic, no Kafka and no waiting."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import asyncpg

from schemas.base import Message, encode
from schemas.envelope import headers_of
from schemas.refunds import RefundCommand, RefundIssue
from schemas.topics import CATALOGUE, ORDERS_EVENTS, REFUNDS_RESULTS
from workers.cancellations import Cancellations
from workers.claims import claim, issues, refused, result_of
from workers.consumers import CONSUMERS, group_of
from workers.domain.emission import emission
from workers.domain.policy import Policy
from workers.handler import DatabaseHandler
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.messages import Handler, Incoming, Verdict, read
from workers.pipeline.ports import Outgoing, Partition, Record
from workers.pipeline.record import Recorder
from workers.providers.port import Answer
from workers.refunds import Refunds
from workers.store.database import Database
from workers.store.queries import sql
from workers.telemetry import Metrics
from workers.timers import Timers
from workers.wallet import Wallet

TOPIC_ID = "4a5e2d7c-0000-0000-0000-000000000001"
LEASE = timedelta(seconds=30)

Script = Callable[[RefundCommand], Answer | Awaitable[Answer | None] | None]
"""What a provider answers to a command; None: it never does."""


class Scripted(DatabaseHandler):
    """A provider's adapter with the real claim and a scripted provider, whose answers are there at once."""

    def __init__(self, name: str, script: Script) -> None:
        self.name = name
        self.topics = CONSUMERS[name]
        self._script = script

    async def record(self, connection: Any, batch: Sequence[Incoming], now: datetime) -> Sequence[Verdict]:
        """Claim and answer."""
        claims = iter(await claim(connection, issues(batch), f"{self.name}-1", LEASE))
        verdicts = []
        for message in batch:
            command = message.data
            if isinstance(command, RefundIssue) and (answer := next(claims)).word != "claimed":
                verdicts.append(refused(command, answer, now))
                continue
            answer_now = self._script(command)
            said = await answer_now if isinstance(answer_now, Awaitable) else answer_now
            told = said and result_of(
                command,
                said.outcome,
                now,
                provider_refund_id=said.provider_refund_id,
                code=said.code,
                message=said.detail,
                retry_after_s=said.retry_after_s,
            )
            verdicts.append(Verdict("applied", (told,) if told else ()))
        return verdicts


class Feed:
    """Takes messages in and works until nothing is left to do; `sent` is all that was ever sent anywhere."""

    def __init__(self, url: str, script: Script, *, prefix: str = "", policy: Policy | None = None) -> None:
        self.database = Database(url)
        self.sent: list[Outgoing] = []
        self._prefix = prefix
        rules = policy or Policy()
        handlers: list[Handler] = [
            Cancellations(rules),
            Refunds(rules.refunds, random.Random(1)),
            Wallet("wallet-1", LEASE),
            Scripted("card", script),
            Scripted("paypal", script),
        ]
        self._handlers = {handler.name: handler for handler in handlers}
        clock = SystemClock()
        self._recorders = {
            handler.name: Recorder(group_of(handler.name, prefix), handler, self.database, clock)
            for handler in handlers
        }
        self._places = {name: self._partitions(handler) for name, handler in self._handlers.items()}
        self._logs: dict[str, list[Record]] = {prefix + topic.name: [] for topic in CATALOGUE}
        self._decoders = {prefix + topic.name: topic.decoders() for topic in CATALOGUE}
        self._timers = Timers(self.database, Emitter(self, clock), clock, Metrics())

    def _partitions(self, handler: Handler) -> dict[Partition, int]:
        return {Partition(self._prefix + topic.name, 0): 0 for topic in handler.topics}

    async def __aenter__(self) -> Self:
        for name, places in self._places.items():
            for place in places:
                await self.database.execute("add_offset", group_of(name, self._prefix), *place, TOPIC_ID, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.database.close()

    async def take(self, *events: tuple[str, Message]) -> None:
        """Order events, as (type, data), and all that follows from them."""
        for number, (type_, data) in enumerate(events):
            message_id = f"evt_{len(self._logs[self._prefix + ORDERS_EVENTS.name])}_{number}"
            await self.put(ORDERS_EVENTS.name, encode(data), headers=headers_of(type_, message_id, _time_of(data)))
        await self.work()

    async def tell(self, command: RefundCommand, outcome: str, **said: Any) -> None:
        """A provider's word that comes by itself, as a webhook."""
        data = result_of(command, outcome, command.issued_at, **said).data  # type: ignore[arg-type]  # a Literal
        changed = {**{name: getattr(data, name) for name in data.__struct_fields__}, "via": "webhook"}
        told = emission(
            REFUNDS_RESULTS, command.order_id, "refund.result", type(data)(**changed), command.issued_at, repr(said)
        )
        await self.put(told.topic, encode(told.data), headers=headers_of(told.type, told.id, told.time))
        await self.work()

    async def put(
        self, topic: str, value: bytes | None, *, key: bytes | None = None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> Record:
        """Add a record; nothing is done about it yet."""
        log = self._logs[self._prefix + topic]
        record = Record(Partition(self._prefix + topic, 0), len(log), key, value, tuple(headers))
        log.append(record)
        return record

    def records(self, topic: str) -> list[Record]:
        """All that a topic holds."""
        return self._logs[self._prefix + topic]

    async def work(self) -> None:
        """Let every worker read what it has not yet read, until all have."""
        while any([await self._work(name) for name in self._recorders]):
            pass

    async def _work(self, name: str) -> bool:
        places = self._places[name]
        records = [record for place, offset in places.items() for record in self._logs[place.topic][offset:]]
        if not records:
            return False
        batch = [read(record, self._decoders[record.source.topic]) for record in records]
        for recorded in await self._recorders[name].record(batch, places):
            await self.send_all(recorded.messages)
        return True

    async def fire(self) -> int:
        """Let the worker `timers` send what is due, and everyone work on it; how many it sent."""
        fired = await self._timers.fire()
        await self.work()
        return fired

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        """As a producer."""
        for record in records:
            self.sent.append(record)
            await self.put(record.topic, record.value, key=record.key, headers=record.headers)

    async def start(self) -> None:
        """As a producer."""

    async def stop(self) -> None:
        """As a producer."""

    def commands(self, order_id: str) -> list[RefundCommand]:
        """Every command that was sent for an order."""
        found = []
        for topic in CATALOGUE:
            if topic.name.startswith("refunds.commands."):
                messages = [read(record, topic.decoders()) for record in self.records(topic.name)]
                found += [one.data for one in messages if isinstance(one, Incoming) and one.data.order_id == order_id]
        return found

    def ids(self, type_: str) -> list[str]:
        """The `ce_id` of every message of a type that was sent."""
        headers = [dict(message.headers) for message in self.sent]
        return [one["ce_id"].decode() for one in headers if one.get("ce_type") == type_.encode()]


def _time_of(data: Message) -> datetime:
    for name in ("cancelled_at", "placed_at", "occurred_at"):
        found = getattr(data, name, None)
        if isinstance(found, datetime):
            return found
    raise AssertionError(data)


@asynccontextmanager
async def broken(url: str, *statements: str) -> AsyncIterator[Any]:
    """A connection that sees the data as no worker may leave it: no trigger stood in the way. Then all is as before."""
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement)
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


async def break_rows(url: str, *statements: str) -> None:
    """The same for good, in a database of one's own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def rows_of(url: str, query: str, *arguments: Any) -> list[Any]:
    """Rows, by a query's name or its own text."""
    connection = await asyncpg.connect(url)
    try:
        found: list[Any] = await connection.fetch(query if " " in query else sql(query), *arguments)
        return found
    finally:
        await connection.close()
