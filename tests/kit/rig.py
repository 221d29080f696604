"""One adapter's worker, whichever it is, on a database: commands in, results out, decided as they come."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal

from kit.builders import tender
from kit.database import set_clock
from kit.desk import Desk, commands_of, reasons_of, results_of
from kit.provider import pauses_of
from kit.provider_kit import Bench, bench
from schemas.base import Message
from schemas.envelope import Envelope
from schemas.refunds import RefundCommand, RefundDue, RefundIssue, RefundResult
from schemas.topics import PROVIDERS_WEBHOOKS, REFUNDS_RESULTS
from workers.adapter import Adapter
from workers.domain.policy import RefundPolicy
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.messages import Incoming, Verdict
from workers.pipeline.ports import Outgoing, Partition, Record
from workers.providers.simulated import reference_for
from workers.refunds import Refunds
from workers.store.database import Database
from workers.store.queries import sql
from workers.telemetry import Metrics
from workers.wallet import Wallet
from workers.webhooks.translator import Translator

AdapterKind = Literal["wallet", "paypal", "card"]
ADAPTERS: tuple[AdapterKind, ...] = ("wallet", "paypal", "card")
LEASE = timedelta(seconds=30)
BEGIN = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
_ROUND = timedelta(minutes=12)
_SETTLED = ("succeeded", "declined", "bounced", "redirected", "needs_review")


class _Sent:
    """A producer that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send_all(self, records: Sequence[Outgoing]) -> None:
        self.messages += records


class Rig:
    """Commands go to `take`, what comes of them to `decide`; time passes when told."""

    def __init__(self, kind: AdapterKind, database: Database, observer: Any, at: Bench | None) -> None:
        self.kind = kind
        self.at = at
        self.desk = Desk(database)
        self.refunds = Refunds(RefundPolicy(), random.Random(1))
        self.translator = Translator(Metrics())
        self._observer = observer
        self._sent = _Sent()
        self._now = BEGIN
        self.followed: list[RefundCommand] = []
        """The commands that came of the last message that was decided in `to_the_end`."""
        self._numbers = count(1)
        self.worker: Adapter | Wallet = Wallet("one", LEASE) if at is None else self._adapter(at, database)

    def _adapter(self, at: Bench, database: Database) -> Adapter:
        clock, metrics = SystemClock(), Metrics()
        pauses = pauses_of(at.adapter, database, clock, metrics)
        emitter = Emitter(self._sent, clock)
        given = {"process": "one", "concurrency": 20, "deadline_s": 10, "lease_s": LEASE.total_seconds()}
        return Adapter(at.adapter, emitter, clock, metrics, pauses, **given)  # type: ignore[arg-type]

    async def cancel(self, fault: str | None = None, name: str = "1") -> RefundIssue:
        """An order that was paid so is cancelled; the command. Its first call meets the fault."""
        if self.kind == "wallet":
            reference = "wal_cli_1"
        else:
            prefix = "pi_" if self.kind == "card" else ""
            reference = reference_for(fault, name, 1, prefix) if fault else f"{prefix}A{name}"
        (command,) = await self.desk.cancel(f"ord_{name}", tender(provider=self.kind, reference=reference))
        return command

    async def take(self, *commands: RefundCommand) -> list[RefundResult]:
        """Commands that the worker takes in one batch; what it says, at once or once its calls ended."""
        return await self.performed(await self.desk.decide(self.worker, *commands))

    async def performed(self, verdicts: Sequence[Verdict]) -> list[RefundResult]:
        """What follows from what was recorded."""
        self._sent.messages.clear()
        self.worker.perform([verdict.effect for verdict in verdicts if verdict.effect is not None])
        if isinstance(self.worker, Adapter):
            await asyncio.gather(*self.worker._calls)
        decoder = REFUNDS_RESULTS.decoders()["refund.result"]
        return results_of(verdicts) + [decoder.decode(message.value or b"") for message in self._sent.messages]

    async def crash_in(self, *commands: RefundCommand) -> None:
        """The worker dies before its transaction ends."""
        async with self.desk.transaction() as connection:
            inner = connection.transaction()
            await inner.start()
            await self.desk.decide_in(connection, self.worker, *commands)
            await inner.rollback()

    async def decide(self, *messages: Message) -> list[RefundCommand]:
        """Whoever decides refunds takes one after the other; the commands that follow for this adapter."""
        commands: list[RefundCommand] = []
        for message in messages:
            verdicts = await self.desk.decide(self.refunds, message)
            assert reasons_of(verdicts) == [None], reasons_of(verdicts)
            commands += [one for one in commands_of(verdicts) if one.provider == self.kind]
        return commands

    async def heard(self, body: bytes) -> list[RefundResult]:
        """An event of the provider, as it was delivered, translated."""
        sender = b"stripe" if self.kind == "card" else b"paypal"
        number = next(self._numbers)
        record = Record(Partition("providers.webhooks.v1", 0), number, None, body, (("annul_provider", sender),))
        event = PROVIDERS_WEBHOOKS.decoders()["provider.webhook"].decode(body)
        envelope = Envelope(f"whk_{number}", "/x", "provider.webhook", None, None)
        async with self.desk.transaction() as connection:
            now = await connection.fetchval(sql("read_clock"))
            return results_of(await self.translator.record(connection, [Incoming(record, envelope, event)], now))

    async def wait(self, time: timedelta = _ROUND) -> None:
        """Time passes for whoever asks the database."""
        self._now += time
        await set_clock(self._observer, self._now)

    async def due(self, command: RefundCommand) -> list[RefundCommand]:
        """The refund waited long enough; the commands that follow."""
        revision = await self._observer.fetchval("SELECT revision FROM refunds WHERE refund_id = $1", command.refund_id)
        return await self.decide(RefundDue(refund_id=command.refund_id, order_id=command.order_id, revision=revision))

    async def to_the_end(self, command: RefundIssue, results: Sequence[RefundResult]) -> str:
        """Decide, wait, look up, send again, until the refund is settled or for a person; its state."""
        for _ in range(12):
            self.followed = commands = await self.decide(*results)
            if (state := await self.state(command)) in _SETTLED:
                return state
            if not commands:
                await self.wait()
                commands = await self.due(command)
            results = await self.take(*commands)
        raise AssertionError(f"still {state}")

    async def state(self, command: RefundCommand) -> str:
        """Where the refund stands."""
        found: str = await self._observer.fetchval("SELECT state FROM refunds WHERE refund_id = $1", command.refund_id)
        return found

    async def paid(self) -> list[str]:
        """Our ids of the refunds by which money moved, in the provider's own book, each as often as it moved."""
        if self.at is not None:
            return sorted(str(entry.refund_id) for entry in self.at.book.effective())
        rows = await self._observer.fetch(
            "SELECT refund_id FROM ledger_transfers WHERE credit_account LIKE 'wallet:%' ORDER BY refund_id"
        )
        return [row["refund_id"] for row in rows]


@asynccontextmanager
async def rig(kind: AdapterKind, database: Database, observer: Any, **settings: Any) -> AsyncIterator[Rig]:
    """An adapter, and its provider where it has one."""
    async with AsyncExitStack() as stack:
        at = None if kind == "wallet" else await stack.enter_async_context(bench(kind, **settings))
        made = Rig(kind, database, observer, at)
        await made.wait(timedelta(0))
        yield made
