"""Worker `timers`: sends scheduled messages when they are due. The one mechanism for "later"."""

import asyncio
from datetime import timedelta

import structlog

from workers.pipeline.emit import Emitter
from workers.pipeline.holding import Hold, NoHold
from workers.pipeline.messages import unpack_one
from workers.pipeline.ports import Clock
from workers.store.database import Database, columns, is_passing
from workers.telemetry import Metrics

log = structlog.get_logger()
_BATCH = 200
_LONGEST_SLEEP_S = 0.25
_SWEEP_AFTER = timedelta(seconds=30)
"""A row that fires this long was claimed by a process that died before it marked it."""
_DRAIN_S = 7.0
_GIVE_UP_S = 1.0


class Timers:
    """Claims due rows, commits, sends, marks: a crash in between sends again, under the same id."""

    name = "timers"

    def __init__(
        self,
        database: Database,
        emitter: Emitter,
        clock: Clock,
        metrics: Metrics,
        *,
        drain_s: float = _DRAIN_S,
        hold: Hold | None = None,
    ) -> None:
        self._database = database
        self._emitter = emitter
        self._clock = clock
        self._metrics = metrics
        self._drain_s = drain_s
        self._hold = hold or NoHold()
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`; what fires then has a while to be sent and marked, else somebody sends it again."""
        work = asyncio.create_task(self._work())
        holding = asyncio.create_task(self._hold.watch())
        give_up = asyncio.create_task(self._give_up_late())
        try:
            await asyncio.wait((work, holding, give_up), return_when=asyncio.FIRST_COMPLETED)
            for task in (work, holding):
                if task.done():
                    task.result()
        finally:
            self.stop()
            for task in (work, holding, give_up):
                task.cancel()
            _, hung = await asyncio.wait((work, holding), timeout=_GIVE_UP_S)
            if hung:
                self._database.abandon()

    async def _give_up_late(self) -> None:
        await self._stopping.wait()
        await self._clock.sleep(self._drain_s)

    async def _work(self) -> None:
        wait_s = 0.2
        while not self._stopping.is_set():
            try:
                # A person's pause lets nothing more be claimed; who is paused is ready all the same.
                fired = 0 if self._hold.held else await self.fire()
                self.ready.set()
                if fired < _BATCH:
                    await self._clock.sleep(_LONGEST_SLEEP_S if self._hold.held else await self._idle_s())
                wait_s = 0.2
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("timers.delayed", error=type(error).__name__)
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, 5.0)

    async def fire(self) -> int:
        """Send what is due now; how many."""
        rows = await self._database.fetch("claim_due", _BATCH, _SWEEP_AFTER)
        if not rows:
            return 0
        rows.sort(key=lambda row: (row["due_at"], row["revision"]))
        await self._emitter.emit([unpack_one(row["message"]) for row in rows])
        marks = [(row["schedule_id"], row["revision"], row["due_at"]) for row in rows]
        await self._database.execute("mark_fired", *columns(marks, 3))
        now = self._clock.now()
        self._metrics.fired([max((now - row["due_at"]).total_seconds(), 0.0) for row in rows])
        return len(rows)

    async def _idle_s(self) -> float:
        rows = await self._database.fetch("next_due")
        until = rows[0][0]
        if until is None:
            return _LONGEST_SLEEP_S
        return min(max(float(until), 0.0), _LONGEST_SLEEP_S)
