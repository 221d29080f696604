"""Worker `reconcile`: a run every day or so, by one process, however many there are."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, get_args

import msgspec
import structlog

from workers.pipeline.ports import Clock
from workers.providers.port import Provider
from workers.reconcile.run import Plan, reconcile
from workers.reconcile.types import NOT_CONFIGURED, Kind, Report
from workers.store.database import Database, is_passing
from workers.store.queries import sql
from workers.telemetry import Metrics

log = structlog.get_logger()

_LOCK: Final = 8_431_077_226_905_713
"""PostgreSQL's advisory lock of this one purpose."""
_LOOK_EVERY_S: Final = 30.0
_AGAIN_AFTER: Final = timedelta(hours=1)
"""After a run in which a provider could not be read, unless the next one comes sooner anyway."""
_FIRST_PERIOD: Final = timedelta(days=2)
_MOST_ALARMS: Final = 100
_LONGEST_PERIOD: Final = timedelta(days=30)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """When a run is due, and what it looks at."""

    every: timedelta
    lag: timedelta
    overlap: timedelta
    """A period begins so long before the last one ended: what could still come then is in it."""
    sample: int
    uncertain_after: timedelta
    pending_after: timedelta


class Reconciler:
    """Looks from time to time whether a run is due, and makes it if no other process does."""

    name = "reconcile"

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider | None],
        clock: Clock,
        metrics: Metrics,
        timing: Timing,
    ) -> None:
        self._database = database
        self._providers = providers
        self._clock = clock
        self._metrics = metrics
        metrics.expect_differences(providers, get_args(Kind))
        self._timing = timing
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()

    def stop(self) -> None:
        """End at once: a run that is cut short has told and recorded nothing, and begins anew."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`."""
        work = asyncio.create_task(self._work())
        told = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((work, told), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, told):
                task.cancel()
            await asyncio.gather(work, told, return_exceptions=True)
            for provider in self._providers.values():
                if provider is not None:
                    await provider.close()

    async def _work(self) -> None:
        while True:
            try:
                await self.run_if_due()
                self.ready.set()
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("reconcile.run_delayed", error=type(error).__name__)
            await self._clock.sleep(_LOOK_EVERY_S)

    async def run_if_due(self) -> Report | None:
        """One run, if it is time and no other process is at it. What others recorded meanwhile counts."""
        if not await self._is_due():
            return None
        async with self._database.transaction() as connection:
            mine: bool = await connection.fetchval(sql("lock_reconciliation"), _LOCK)
            if not mine or not await self._is_due():
                return None
            self.ready.set()
            report = await reconcile(self._database, self._clock, self._providers, await self._plan())
        self._tell(report)
        return report

    async def _is_due(self) -> bool:
        rows = await self._database.fetch("read_last_reconciliation")
        if not rows:
            return True
        failed = any(one["failed"] not in (None, NOT_CONFIGURED) for one in _providers_in(rows[0]["report"]))
        wait = min(self._timing.every, _AGAIN_AFTER) if failed else self._timing.every
        finished_at: datetime = rows[0]["finished_at"]
        self._metrics.reconciled(finished_at.timestamp())
        return await self._now() >= finished_at + wait

    async def _plan(self) -> Plan:
        """From before where every provider's list was last read to its end."""
        now = await self._now()
        names = [name for name, provider in self._providers.items() if provider is not None]
        rows = await self._database.fetch("read_last_reconciled", names)
        begun = [row["period_to"] - self._timing.overlap if row["period_to"] else now - _FIRST_PERIOD for row in rows]
        return Plan(
            period_from=max(min(begun, default=now - _FIRST_PERIOD), now - _LONGEST_PERIOD),
            period_to=now,
            lag=self._timing.lag,
            sample=self._timing.sample,
            uncertain_after=self._timing.uncertain_after,
            pending_after=self._timing.pending_after,
            by="timer",
        )

    async def _now(self) -> datetime:
        now: datetime = (await self._database.fetch("read_clock"))[0][0]
        return now

    def _tell(self, report: Report) -> None:
        for one in report.differences:
            self._metrics.difference(one.provider, one.kind)
        # Nobody's to review: money went out for which no order of ours stands.
        strangers = [one for one in report.differences if one.kind == "unknown_refund" and one.order_id is None]
        for one in strangers[:_MOST_ALARMS]:
            log.error("reconcile.unknown_refund", provider=one.provider, provider_refund_id=one.provider_refund_id)
        self._metrics.reconciled(report.finished_at.timestamp())
        for part in report.providers:
            if part.failed not in (None, NOT_CONFIGURED):
                log.error("reconcile.provider_failed", provider=part.provider, reason=part.failed)
        log.info(
            "reconcile.finished",
            run_id=report.run_id,
            differences=len(report.differences) + report.left_out,
            listed=sum(part.listed for part in report.providers),
            looked_up=sum(part.looked_up for part in report.providers),
            woken=sum(part.woken for part in report.providers),
        )


def _providers_in(report: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(report)["providers"]
    return found
