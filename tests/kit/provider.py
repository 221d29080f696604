"""A payment provider that a test plays: each call waits until it is answered."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from kit.process import Process
from schemas.refunds import RefundCommand, RefundIssue, RefundLookUp
from workers.adapter import Adapter
from workers.pauses import Pauses
from workers.pipeline.ports import Clock
from workers.providers.port import Answer, ListedRefund, Provider
from workers.store.database import Database
from workers.telemetry import Metrics

SUCCEEDED = Answer(outcome="succeeded", provider_refund_id="re_1")
NOT_FOUND = Answer(outcome="not_found")


class PlayedProvider:
    """Fills the provider's port. What it was asked is kept, and how many calls ran at once at most."""

    def __init__(self, name: str = "card", answer: Callable[[RefundCommand], Answer] | None = None) -> None:
        self.name = name
        self.asked: list[RefundCommand] = []
        self.running = 0
        self.most = 0
        self.closed = False
        self.probed = 0
        self.probe_answer = Answer(outcome="uncertain", code="timeout")
        """What a probe comes to: at first that it is still down."""
        self._answer = answer
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._changed = asyncio.Event()

    async def issue(self, command: RefundIssue) -> Answer:
        return await self._ask(command)

    async def look_up(self, command: RefundLookUp) -> Answer:
        return await self._ask(command)

    async def probe(self) -> Answer:
        self.probed += 1
        self._tell()
        return self.probe_answer

    async def list_refunds(self, since: datetime, until: datetime) -> AsyncIterator[ListedRefund]:
        nothing: tuple[ListedRefund, ...] = ()
        for one in nothing:
            yield one

    async def close(self) -> None:
        self.closed = True

    async def until_asked(self, count: int) -> None:
        """Wait until it was asked so many times."""
        async with asyncio.timeout(20):
            while len(self.asked) < count:
                await self._changed.wait()

    async def until_probed(self, count: int) -> None:
        """Wait until it was probed so many times."""
        async with asyncio.timeout(20):
            while self.probed < count:
                await self._changed.wait()

    def answer(self, order_id: str, answer: Answer = SUCCEEDED) -> None:
        """Answer the call of an order that waits."""
        self._waiting.pop(order_id).set_result(answer)

    def answer_all(self, answer: Answer = SUCCEEDED) -> None:
        """Answer all that wait."""
        for order_id in list(self._waiting):
            self.answer(order_id, answer)

    @property
    def waiting(self) -> list[str]:
        """The orders whose calls run."""
        return list(self._waiting)

    def calls(self) -> Counter[tuple[str, int, str]]:
        """How often money was asked to move: by order, attempt and key."""
        return Counter(
            (command.order_id, command.attempt, command.idempotency_key)
            for command in self.asked
            if isinstance(command, RefundIssue)
        )

    async def _ask(self, command: RefundCommand) -> Answer:
        self.asked.append(command)
        self.running += 1
        self.most = max(self.most, self.running)
        self._tell()
        try:
            if self._answer is not None:
                return self._answer(command)
            self._waiting[command.order_id] = waiting = asyncio.get_running_loop().create_future()
            answer: Answer = await waiting
            return answer
        finally:
            self.running -= 1

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def pauses_of(
    provider: Provider,
    database: Database,
    clock: Clock,
    metrics: Metrics | None = None,
    probe_every_s: float = 10,
) -> Pauses:
    """A provider's pauses."""
    return Pauses(provider, database, clock, metrics or Metrics(), probe_every_s=probe_every_s, deadline_s=1)


def adapter_of(process: Process, provider: Provider, concurrency: int = 5, *, probe_every_s: float = 10) -> Adapter:
    """The adapter of a provider, in a process."""
    return Adapter(
        provider,
        process.emitter,
        process.clock,
        process.metrics,
        pauses_of(provider, process.database, process.clock, process.metrics, probe_every_s),
        process="one",
        concurrency=concurrency,
        deadline_s=10,
        lease_s=30,
    )
