"""One Annul with all sorts of orders and a dashboard with people, and one browser, for all tests here."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from kit.browser import PASSWORD, PEOPLE, chromium

from workers.demo import showcase
from workers.demo.captures import register
from workers.demo.run import DEFAULTS, SIMULATION
from workers.demo.running import RunningAnnul
from workers.demo.traffic import Traffic
from workers.ops.security.users import line_of
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka import KafkaProducer
from workers.store.database import Database

POISON = 500
_SETTLED_S = 120.0
_SETTINGS = {
    **DEFAULTS,
    "ANNUL_CHAT_OPEN_FOR": "P7D",
    "ANNUL_APPROVAL_ABOVE": "0",
    "ANNUL_OPS_SESSION_IDLE": "PT2H",
}


@pytest.fixture(scope="session")
async def annul(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningAnnul]:
    """Everything runs, and what was sent is done: refunds in every state, parked messages, sellers with numbers."""
    users = tmp_path_factory.mktemp("ops") / "users"
    users.write_text("".join(f"{line_of(name, role, PASSWORD)}\n" for name, role in PEOPLE.items()))
    users.chmod(0o600)
    settings = {**_SETTINGS, "ANNUL_OPS_USERS_FILE": str(users)}
    async with RunningAnnul("test", settings, simulation={**SIMULATION, "fault-rate": "0"}) as running:
        await _send(running)
        await _until_done(running)
        database = Database(running.stack.dsn)
        try:
            await showcase.open_dispute(running.stack.folder.state.provider_urls["stripe"], database)
        finally:
            await database.close()
        yield running


async def _send(annul: RunningAnnul) -> None:
    now = datetime.now(UTC)
    traffic = Traffic(300, random.Random(7), now, 1.0)
    planned = sorted([*traffic.plan(), *showcase.plan(now)], key=lambda record: record.at)
    await register(annul.stack.folder.state.provider_urls["stripe"], [*traffic.captures, *showcase.captures()])
    emitter = Emitter(KafkaProducer(annul.settings().kafka()), SystemClock())
    try:
        await emitter.emit([one.record for one in planned])
    finally:
        await emitter.close()
    producer = AIOKafkaProducer(bootstrap_servers=annul.stack.bootstrap)
    await producer.start()
    try:
        for number in range(POISON):
            await producer.send("orders.events.v1", b"{not json", key=f"ord_bad_{number}".encode(), headers=_HEADERS)
        await producer.flush()
    finally:
        await producer.stop()


_HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"bad"),
    ("ce_source", b"tests"),
    ("ce_type", b"order.placed"),
    ("ce_time", b"2026-11-23T09:15:00Z"),
    ("content-type", b"application/json"),
]


async def _until_done(annul: RunningAnnul) -> None:
    """Nothing moves any more but what waits for a person; some refunds do."""
    connection = await asyncpg.connect(annul.stack.dsn)
    try:
        async with asyncio.timeout(_SETTLED_S):
            while True:
                done = await connection.fetchval(
                    """SELECT bool_and(state NOT IN ('requested', 'retrying', 'uncertain', 'declined'))
                              AND bool_or(state = 'needs_review')
                              AND (SELECT count(*) >= $1 FROM parked_messages WHERE reason = 'malformed_json')
                         FROM refunds""",
                    POISON,
                )
                if done:
                    return
                await asyncio.sleep(0.5)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def url(annul: RunningAnnul) -> str:
    """Of the dashboard."""
    return f"http://127.0.0.1:{annul.environment['ANNUL_OPS_PORT']}"


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Any]:
    async with chromium() as running:
        yield running


@pytest.fixture
async def database(annul: RunningAnnul) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(annul.stack.dsn)
    yield connection
    await connection.close()
