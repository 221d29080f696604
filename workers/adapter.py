"""Workers `paypal` and `card`: a command in, a claim, one call to the provider, a result out. They decide nothing.

Offsets move once the claim is recorded. A process that dies between claim and result leaves a lease that runs out;
the refund's due row then asks the provider what became of it. While the provider is paused nothing is taken: commands
and look-ups wait in Kafka, unclaimed, and calls in flight end as they would.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import structlog

from schemas.refunds import RefundIssue, RefundLookUp
from workers.claims import claim, issues, refused, result_of
from workers.consumers import CONSUMERS
from workers.pauses import Pauses
from workers.pipeline.emit import Emitter
from workers.pipeline.messages import Incoming, Verdict, outgoing
from workers.pipeline.ports import Clock
from workers.providers.port import Answer, Provider
from workers.telemetry import Metrics
from workers.tracing.port import Traces, trace_id_of, traced_call

log = structlog.get_logger()


class Call(msgspec.Struct, frozen=True):
    """A provider call to be made, and by when it must have ended (monotonic seconds)."""

    command: RefundIssue | RefundLookUp
    end_by: float
    traceparent: str | None


class Adapter:
    """Calls one provider for many orders at once, up to a bound; a slow call holds up only its own order."""

    reads_ahead = False

    def __init__(
        self,
        provider: Provider,
        emitter: Emitter,
        clock: Clock,
        metrics: Metrics,
        pauses: Pauses,
        *,
        process: str,
        concurrency: int,
        deadline_s: float,
        lease_s: float,
        key_kept: timedelta | None = None,
        traces: Traces | None = None,
    ) -> None:
        """`key_kept`: how long after a key's first claim a call with it may still begin; None: for ever."""
        assert deadline_s < lease_s, "a call must end within its lease"
        self.name = provider.name
        self.topics = CONSUMERS[provider.name]
        self._provider = provider
        self._emitter = emitter
        self._clock = clock
        self._metrics = metrics
        self._pauses = pauses
        self._process = process
        self._concurrency = concurrency
        self._deadline_s = deadline_s
        self._lease_s = lease_s
        self._key_kept = key_kept
        self._traces = traces
        self._calls: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()

    async def room(self) -> int:
        """No more is claimed than can be called at once, so that each call starts well within its lease.

        Nothing while the provider is paused. Raises where it can never be known again whether it is.
        """
        self._pauses.watch()
        while (free := self._concurrency - len(self._calls)) <= 0:
            self._freed.clear()
            await self._freed.wait()
        return 0 if self._pauses.paused else free

    async def record(self, connection: Any, batch: Sequence[Incoming], now: datetime) -> Sequence[Verdict]:
        """Claim; the calls are the verdicts' effects."""
        end_by = self._clock.monotonic() + self._lease_s
        lease = timedelta(seconds=self._lease_s)
        answers = iter(await claim(connection, issues(batch), self._process, lease, key_kept=self._key_kept))
        verdicts = []
        for message in batch:
            command = message.data
            if isinstance(command, RefundIssue) and (answer := next(answers)).word != "claimed":
                verdicts.append(refused(command, answer, now))
                continue
            verdicts.append(Verdict("applied", effect=Call(command, end_by, message.envelope.traceparent)))
        return verdicts

    def perform(self, effects: Iterable[Call]) -> None:
        """Start the calls."""
        for call in effects:
            task = asyncio.create_task(self._perform(call))
            self._calls.add(task)
            task.add_done_callback(partial(self._end, call))

    async def drain(self, within_s: float) -> None:
        """Let calls end; what doesn't is given up, and looked up once its lease has run out."""
        await self._pauses.stop()
        if self._calls:
            _, pending = await asyncio.wait(self._calls, timeout=within_s)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        await self._provider.close()

    async def _perform(self, call: Call) -> None:
        command = call.command
        started = self._clock.monotonic()
        late = started + self._deadline_s > call.end_by
        with traced_call(self._traces, command, call.traceparent) as traced:
            # Never called, and so nothing uncertain about it: the attempt is spent, the next one may go.
            answer = Answer(outcome="retryable", code="lease_expired") if late else await self._ask(command)
            traced.answered(answer)
        if not late:
            self._pauses.note(answer, started)
        self._metrics.provider_call(self.name, answer.outcome, self._clock.monotonic() - started)
        told = result_of(
            command,
            answer.outcome,
            self._clock.now(),
            provider_refund_id=answer.provider_refund_id,
            code=answer.code,
            message=answer.detail,
            retry_after_s=answer.retry_after_s,
        )
        await self._emitter.emit([outgoing(told, traced.traceparent)])

    async def _ask(self, command: RefundIssue | RefundLookUp) -> Answer:
        if isinstance(command, RefundIssue):
            return await self._provider.issue(command)
        return await self._provider.look_up(command)

    def _end(self, call: Call, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._freed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # A bug in an adapter loses this one result; the lease runs out and the refund is looked up.
            told = {"provider": self.name, "error": type(error).__name__, "trace_id": trace_id_of(call.traceparent)}
            log.error("provider.call_failed", **told)
