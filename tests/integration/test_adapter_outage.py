"""A provider that is down, or refuses our key, over real HTTP: it is paused, and every refund goes through once."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from kit.broker import Broker
from kit.builders import tender
from kit.desk import Desk
from kit.process import Process
from kit.provider import adapter_of
from kit.provider_kit import KINDS, Bench, Kind, bench

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.topics import CATALOGUE, REFUNDS_COMMANDS
from workers.domain.pause import OUTAGE
from workers.domain.policy import RefundPolicy
from workers.pipeline.run import Limits
from workers.providers.simulated.fault_table import FAULTS
from workers.refunds import Refunds
from workers.store.database import Database

LIMITS = Limits(batch_records=100, poll_s=0.05, drain_s=2.0)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PATIENT = RefundPolicy(look_up_base_s=600, look_up_max_s=600)
"""What is uncertain comes to its turn in a test only by being woken; a refused key means a minute's wait as well."""


async def put_commands(broker: Broker, database: Database, at: Bench, *names: str) -> None:
    """Orders cancelled, and the commands that follow lying on their topic."""
    desk = Desk(database)
    for name in names:
        for command in await desk.cancel(f"ord_{name}", tender(provider=at.kind, reference=at.reference(name))):
            topic = REFUNDS_COMMANDS[at.kind].name
            headers = headers_of("refund.issue", f"cmd_{name}", NOON)
            broker.put(topic, encode(command), key=command.order_id.encode(), headers=headers)


async def until(observer: Any, question: str, answer: object) -> None:
    """Wait until the database says so."""
    async with asyncio.timeout(30):
        while await observer.fetchval(question) != answer:
            pass


@pytest.mark.parametrize("fault", ["http_401", "http_503", "drop_before"])
@pytest.mark.parametrize("kind", KINDS)
async def test_all_go_through_once_when_it_is_back(
    database_url: str, database: Database, observer: Any, kind: Kind, fault: str
) -> None:
    broker = Broker([topic.name for topic in CATALOGUE], partitions=2)
    async with bench(kind) as at, Process(broker, database_url) as process:
        at.providers.world.begin_outage("stripe" if kind == "card" else "paypal", FAULTS[fault], None)
        await put_commands(broker, database, at, *(f"early{number}" for number in range(OUTAGE)))
        process.pipeline(adapter_of(process, at.adapter, probe_every_s=0.2), limits=LIMITS)
        process.pipeline(Refunds(PATIENT, random.Random(1)), limits=LIMITS)
        process.timers()
        await until(observer, "SELECT probes > 1 FROM provider_pauses WHERE resumed_at IS NULL", True)
        await until(observer, "SELECT count(*) FROM refund_observations", OUTAGE)
        await put_commands(broker, database, at, "late1", "late2")
        assert not at.book.everything()
        at.providers.world.end_outage("stripe" if kind == "card" else "paypal")
        await until(observer, "SELECT count(*) FROM refunds WHERE state = 'succeeded'", OUTAGE + 2)
        assert set(Counter(one.reference for one in at.book.everything()).values()) == {1}
