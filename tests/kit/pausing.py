"""An adapter whose provider fails, and its pause as other processes see it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from kit.broker import Broker
from kit.builders import tender
from kit.clock import settle
from kit.desk import Desk
from kit.process import Process
from kit.provider import PlayedProvider, adapter_of
from schemas.base import encode
from schemas.envelope import headers_of
from schemas.refunds import RefundIssue, RefundLookUp
from schemas.topics import REFUNDS_COMMANDS, REFUNDS_RESULTS
from workers import pauses
from workers.pipeline.run import Limits
from workers.pipeline.watchdog import Watchdog
from workers.providers.port import Answer
from workers.store.database import Database

RESULTS = REFUNDS_RESULTS.name
LIMITS = Limits(batch_records=100, poll_s=0.05, drain_s=2.0)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DOWN = Answer(outcome="retryable", code="connection_refused")
REFUSED = Answer(outcome="retryable", code="http_401", detail="request_id=req_1", retry_after_s=60)
STATE = "SELECT resumed_at IS NULL AS paused, code, detail, probes FROM provider_pauses WHERE provider = $1"


async def put_commands(broker: Broker, database: Database, first: int, count: int, provider: Any = "card") -> None:
    """Orders cancelled, and the commands that follow lying on their topic."""
    desk = Desk(database)
    for number in range(first, first + count):
        for command in await desk.cancel(f"ord_{provider}_{number:02}", tender(provider=provider)):
            put(broker, command)


def put(broker: Broker, command: RefundIssue | RefundLookUp) -> None:
    kind = "refund.issue" if isinstance(command, RefundIssue) else "refund.look_up"
    headers = headers_of(kind, f"cmd_{command.order_id}", NOON)
    topic = REFUNDS_COMMANDS[command.provider].name
    broker.put(topic, encode(command), key=command.order_id.encode(), headers=headers)


async def until_paused(observer: Any, paused: bool = True, provider: str = "card") -> None:
    """Wait until a provider's row says so."""
    async with asyncio.timeout(20):
        while (row := await observer.fetchrow(STATE, provider)) is None or row["paused"] is not paused:
            pass


async def until_open(watched: pauses.Pauses) -> None:
    """Wait until a process knows that its provider is not paused."""
    async with asyncio.timeout(20):
        while watched.paused:
            await settle()


async def pause(observer: Any, provider: str = "card", code: str = "http_503", probe_in_s: float = 600) -> None:
    """As another process paused it."""
    await observer.execute(
        """INSERT INTO provider_pauses (provider, paused_at, code, probe_at)
           VALUES ($1, annul_now(), $2, annul_now() + make_interval(secs => $3))""",
        provider,
        code,
        probe_in_s,
    )


@asynccontextmanager
async def running(
    broker: Broker, url: str, provider: PlayedProvider, *, probe_every_s: float = 0.2, watchdog: Watchdog | None = None
) -> AsyncIterator[Process]:
    """A process with an adapter, until the block ends."""
    async with Process(broker, url) as process:
        adapter = adapter_of(process, provider, probe_every_s=probe_every_s)
        process.pipeline(adapter, limits=LIMITS, watchdog=watchdog)
        yield process
