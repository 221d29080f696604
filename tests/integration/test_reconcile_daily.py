"""The daily run: from where the last one ended, by one process, ended at once, counted."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from kit.database import set_clock
from kit.hooks import Hold
from kit.process import HeldDatabase
from kit.reconcile_runs import found, run
from kit.reconciling import (
    LAG,
    NOW,
    TellingProvider,
    fact,
    insert_refund,
    listed,
    told,
)
from structlog.testing import capture_logs

from workers.pipeline.clock import SystemClock
from workers.reconcile.worker import Reconciler, Timing
from workers.store.database import Database
from workers.telemetry import Metrics

TIMING = Timing(
    every=timedelta(days=1),
    lag=LAG,
    overlap=timedelta(hours=31),
    sample=10,
    uncertain_after=timedelta(minutes=5),
    pending_after=timedelta(hours=1),
)


@pytest.fixture(autouse=True)
async def _at_noon(observer: Any) -> None:
    await set_clock(observer, NOW)


def reconciler(database: Database, *providers: TellingProvider, metrics: Metrics | None = None) -> Reconciler:
    return Reconciler(database, {one.name: one for one in providers}, SystemClock(), metrics or Metrics(), TIMING)


async def test_it_runs_once_a_day_from_before_where_it_ended(database: Database, observer: Any) -> None:
    provider = TellingProvider("card")
    worker = reconciler(database, provider)
    assert await worker.run_if_due() is not None
    await set_clock(observer, NOW + timedelta(hours=23))
    assert await worker.run_if_due() is None
    later = NOW + timedelta(hours=24)
    await set_clock(observer, later)
    assert await reconciler(database, provider).run_if_due() is not None
    assert provider.periods == [(NOW - timedelta(days=2), NOW), (NOW - TIMING.overlap, later)]


async def test_after_a_failure_it_comes_back_sooner_and_to_where_it_was(database: Database, observer: Any) -> None:
    provider = TellingProvider("card", listed())
    worker = reconciler(database, provider)
    await worker.run_if_due()
    provider.breaks_after = 0
    for hours in (24, 25):
        await set_clock(observer, NOW + timedelta(hours=hours))
        report = await worker.run_if_due()
        assert report is not None
        assert report.period_from == NOW - TIMING.overlap
        assert not report.ok


async def test_a_person_s_run_is_not_taken_for_the_timer_s(database: Database, observer: Any) -> None:
    provider = TellingProvider("card")
    await run(database, provider)
    assert await reconciler(database, provider).run_if_due() is not None


async def test_of_two_processes_one_runs(database: Database, database_url: str, observer: Any) -> None:
    one, other = TellingProvider("card"), TellingProvider("card")
    one.hold = asyncio.Event()
    second = Database(database_url)
    try:
        running = asyncio.create_task(reconciler(database, one).run_if_due())
        await one.reached.wait()
        assert await reconciler(second, other).run_if_due() is None
        one.hold.set()
        assert await running is not None
        assert await reconciler(second, other).run_if_due() is None
    finally:
        await second.close()
    assert other.periods == []


async def test_a_run_that_another_process_finished_meanwhile_is_not_made_again(
    database: Database, database_url: str, observer: Any
) -> None:
    one, other = TellingProvider("card"), TellingProvider("card")
    late = HeldDatabase(database_url)
    late.before_transaction = hold = Hold()
    try:
        running = asyncio.create_task(reconciler(late, other).run_if_due())
        await hold.reached.wait()
        assert await reconciler(database, one).run_if_due() is not None
        hold.let_go()
        assert await running is None
    finally:
        await late.close()
    assert other.periods == []


async def test_it_stops_at_once_and_what_was_cut_short_has_done_nothing(database: Database, observer: Any) -> None:
    await insert_refund(observer, "rfd_1", fact())
    provider = TellingProvider("card", listed(amount_minor=1))
    provider.hold = asyncio.Event()
    worker = reconciler(database, provider)
    running = asyncio.create_task(worker.run())
    await provider.reached.wait()
    assert worker.ready.is_set()
    worker.stop()
    async with asyncio.timeout(5):
        await running
    assert provider.closed
    assert await told(observer) == []
    assert await observer.fetchval("SELECT count(*) FROM reconciliations") == 0
    provider.hold.set()
    report = await reconciler(database, provider).run_if_due()
    assert report is not None
    assert found(report) == [("amount_differs", "rfd_1", "re_1", "review")]


async def test_what_it_finds_is_counted_and_strangers_are_an_alarm(database: Database, observer: Any) -> None:
    metrics = Metrics()
    provider = TellingProvider("card", listed("re_x", refund_id=None, reference="pi_x"))
    with capture_logs() as logs:
        await reconciler(database, provider, metrics=metrics).run_if_due()
    alarms = [one for one in logs if one["log_level"] == "error"]
    assert [(one["event"], one["provider_refund_id"]) for one in alarms] == [("reconcile.unknown_refund", "re_x")]
    value = metrics.registry.get_sample_value
    assert value("annul_reconcile_differences_total", {"provider": "card", "kind": "unknown_refund"}) == 1
    assert value("annul_reconcile_finished_timestamp_seconds") == NOW.timestamp()
