"""`annul demo`: the whole of Annul on real parts, realistic traffic, faults, and the books compared at the end."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from workers.demo import showcase
from workers.demo.captures import register
from workers.demo.chaos import break_things
from workers.demo.reconciling import differences_left
from workers.demo.running import RunningAnnul
from workers.demo.summary import print_summary
from workers.demo.traffic import Planned, Traffic
from workers.demo.watch import UnsettledError, until_settled
from workers.insight.verify import Report, verify
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka import KafkaProducer
from workers.store.database import Database

DEFAULTS = {
    "ANNUL_CHAT_OPEN_FOR": "PT10S",
    "ANNUL_KAFKA_SESSION_TIMEOUT_S": "6",
    "ANNUL_PROVIDER_DEADLINE_S": "1.5",
    "ANNUL_REFUND_LEASE_S": "4",
    "ANNUL_REFUND_RETRY_BASE_S": "0.5",
    "ANNUL_REFUND_RETRY_MAX_S": "4",
    "ANNUL_REFUND_LOOK_UP_BASE_S": "1",
    "ANNUL_REFUND_LOOK_UP_MAX_S": "4",
    "ANNUL_REFUND_PENDING_LOOK_UP_S": "2",
    "ANNUL_REFUND_LONGEST_STALL_S": "2",
    "ANNUL_PROVIDER_PROBE_S": "1",
}
SIMULATION = {"latency-ms": "25", "settle-after-s": "4", "hang-s": "4", "retry-after-s": "1", "fault-rate": "0.03"}


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the person who started the demo asked for."""

    orders: int
    seed: int
    lasting_s: float
    chat_open_for: str | None
    kill: bool
    outage: str | None
    outage_s: float
    keep: bool
    within_s: float


async def run(wishes: Wishes, console: Console) -> bool:
    """Run it; True only if everything came to its end and every invariant holds."""
    began = time.monotonic()
    defaults = {**DEFAULTS, **({"ANNUL_CHAT_OPEN_FOR": wishes.chat_open_for} if wishes.chat_open_for else {})}
    console.print("Starting Kafka, PostgreSQL, the simulated providers and every worker …")
    async with RunningAnnul("demo", defaults, simulation={**SIMULATION, "seed": str(wishes.seed)}) as annul:
        console.print(f"Up after {time.monotonic() - began:.1f} s: Kafka at {annul.stack.bootstrap}, {annul.stack.dsn}")
        settings = annul.settings()
        database = Database(annul.stack.dsn)
        try:
            settled = await _traffic(wishes, annul, database, console)
            simulated = bool(annul.stack.folder.state.provider_urls)
            report = await verify(settings, topics=True, books=simulated)
            compared, agreed = await differences_left(database, settings) if simulated else ("", True)
            await print_summary(console, database)
            _print_processes(console, annul)
            if compared:
                console.print(compared if agreed else f"[red]{escape(compared)}[/red]", soft_wrap=True)
            _print_report(console, report, time.monotonic() - began)
        finally:
            await database.close()
        if wishes.keep:
            console.print("Still running; `annul order ID`, `annul verify`, `annul parked list` work. Ctrl-C ends it.")
            await asyncio.Event().wait()
        return settled and agreed and report.ok


async def _traffic(wishes: Wishes, annul: RunningAnnul, database: Database, console: Console) -> bool:
    settings = annul.settings()
    now = datetime.now(UTC)
    traffic = Traffic(wishes.orders, random.Random(wishes.seed), now, wishes.lasting_s)
    planned = sorted([*traffic.plan(), *showcase.plan(now)], key=lambda record: record.at)
    provider_urls = annul.stack.folder.state.provider_urls
    if provider_urls:
        await register(provider_urls["stripe"], [*traffic.captures, *showcase.captures()])
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        sending = progress.add_task("messages sent", total=len(planned))
        refunds = progress.add_task("refunds settled", total=None)
        chats = progress.add_task("chats closed", total=None)

        def tell(row: Any) -> None:
            progress.update(refunds, total=row["refunds"], completed=row["refunds"] - row["moving"])
            progress.update(chats, total=row["chats_closed"] + row["chats_waiting"], completed=row["chats_closed"])

        async with _breaking(wishes, annul, console):
            await _send(planned, wishes.lasting_s, KafkaProducer(settings.kafka()), progress, sending)
        if provider_urls:
            await showcase.open_dispute(provider_urls["stripe"], database)
        try:
            await until_settled(database, settings, wishes.within_s, tell, chats=True)
        except UnsettledError as error:
            console.print(f"[red]{error}[/red]")
            return False
    return True


@asynccontextmanager
async def _breaking(wishes: Wishes, annul: RunningAnnul, console: Console) -> AsyncIterator[None]:
    """Break things while the block sends, and go on until all that was asked for is broken."""
    breaking = asyncio.create_task(
        break_things(annul, console, kill=wishes.kill, outage=wishes.outage, outage_s=wishes.outage_s)
    )
    try:
        yield
        await breaking
    finally:
        breaking.cancel()
        await asyncio.gather(breaking, return_exceptions=True)


async def _send(
    planned: list[Planned], lasting_s: float, producer: KafkaProducer, progress: Progress, task: TaskID
) -> None:
    emitter = Emitter(producer, SystemClock())
    began = time.monotonic()
    place = 0
    try:
        while place < len(planned):
            passed = (time.monotonic() - began) / lasting_s
            due = place
            while due < len(planned) and planned[due].at <= passed:
                due += 1
            await emitter.emit([one.record for one in planned[place:due]])
            place = due
            progress.update(task, completed=place)
            await asyncio.sleep(0.02)
    finally:
        await emitter.close()


def _print_processes(console: Console, annul: RunningAnnul) -> None:
    restarts = {name: annul.stack.supervisor.restarts(name) for name in annul.health}
    told = ", ".join(f"{name} {count}" for name, count in restarts.items() if count)
    console.print(f"Workers started again: {told or 'none'}.")


def _print_report(console: Console, report: Report, seconds: float) -> None:
    for violation in report.violations[:20]:
        console.print(f"[red]{violation.invariant} {violation.subject}: {violation.detail}[/red]")
    checked = ", ".join(dict.fromkeys(check.invariant for check in report.checks))
    word = "[green]all hold[/green]" if report.ok else f"[red]{len(report.violations)} violations[/red]"
    console.print(f"Invariants ({checked}, topics and providers' books included): {word}. {seconds:.0f} s in all.")
