"""A payment provider that a test plays: each call waits until it is answered."""

import asyncio
from collections import Counter
from collections.abc import Callable

from kit.process import Process
from schemas.refunds import RefundCommand, RefundIssue, RefundLookUp
from workers.adapter import Adapter
from workers.pipeline.clock import SystemClock
from workers.providers.port import Answer

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
        self._answer = answer
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._changed = asyncio.Event()

    async def issue(self, command: RefundIssue) -> Answer:
        return await self._ask(command)

    async def look_up(self, command: RefundLookUp) -> Answer:
        return await self._ask(command)

    async def close(self) -> None:
        self.closed = True

    async def until_asked(self, count: int) -> None:
        """Wait until it was asked so many times."""
        async with asyncio.timeout(20):
            while len(self.asked) < count:
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
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        try:
            if self._answer is not None:
                return self._answer(command)
            self._waiting[command.order_id] = waiting = asyncio.get_running_loop().create_future()
            answer: Answer = await waiting
            return answer
        finally:
            self.running -= 1


def adapter_of(process: Process, provider: PlayedProvider, concurrency: int = 5) -> Adapter:
    """The adapter of a played provider, in a process."""
    return Adapter(
        provider,
        process.emitter,
        SystemClock(),
        process.metrics,
        process="one",
        concurrency=concurrency,
        deadline_s=10,
        lease_s=30,
    )
