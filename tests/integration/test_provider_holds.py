"""A person pauses a provider: no probe ends that, a person does."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from kit.broker import Broker
from kit.builders import tender
from kit.desk import Desk
from kit.process import Process
from kit.provider import SUCCEEDED, PlayedProvider, adapter_of, pauses_of

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.topics import REFUNDS_COMMANDS, REFUNDS_RESULTS
from workers import pauses
from workers.actions.holds import HoldError, hold_provider
from workers.pipeline.clock import SystemClock
from workers.providers.port import Answer
from workers.store.database import Database

RESULTS = REFUNDS_RESULTS.name
DOWN = Answer(outcome="retryable", code="connection_refused")


async def put_command(broker: Broker, database: Database, order_id: str) -> None:
    (command,) = await Desk(database).cancel(order_id, tender(provider="card"))
    headers = headers_of("refund.issue", f"cmd_{order_id}", command.issued_at)
    broker.put(REFUNDS_COMMANDS["card"].name, encode(command), key=order_id.encode(), headers=headers)


async def hold(observer: Any, *, paused: bool = True) -> int:
    return await hold_provider(observer, "card", "Ada", "they asked us to", paused=paused)


async def test_a_person_pauses_a_provider_and_only_a_person_lets_it_go_on(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    await hold(observer)
    await put_command(broker, database, "ord_1")
    provider = PlayedProvider(answer=lambda _: SUCCEEDED)
    provider.probe_answer = SUCCEEDED
    async with Process(broker, database_url) as process:
        adapter = adapter_of(process, provider)
        process.pipeline(adapter)
        await process.client.turns(40)
        assert adapter._pauses.paused
        assert (provider.asked, provider.probed) == ([], 0)
        await hold(observer, paused=False)
        await broker.until(lambda: len(broker.records(RESULTS)) == 1)
        assert provider.probed == 0


async def test_failures_and_probes_leave_a_persons_pause_as_it_is(database: Database, observer: Any) -> None:
    """A process that doesn't know of it yet, or whose probe was under way, changes nothing about it."""
    await observer.execute(
        """INSERT INTO provider_pauses (provider, paused_at, code, probe_at)
           VALUES ('card', annul_now() - interval '1 minute', 'timeout', annul_now() - interval '1 s')"""
    )
    ((paused_at, claimed_at),) = await database.fetch("claim_probe", "card", timedelta(seconds=10))
    await hold(observer)
    assert await database.fetch("end_pause", "card", paused_at) == []
    await database.execute("note_probe", "card", paused_at, claimed_at, timedelta(0), "timeout", None)
    assert await database.fetch("begin_pause", "card", "timeout", None, timedelta(0), timedelta(0)) == []
    assert await database.fetch("claim_probe", "card", timedelta(0)) == []
    (one,) = await pauses.read(observer)
    assert (one.paused, one.by_person, one.code, one.detail, one.probes) == (
        True,
        "Ada",
        "by_person",
        "they asked us to",
        0,
    )


async def test_an_outage_after_a_persons_pause_is_probed_again(database: Database, observer: Any) -> None:
    await hold(observer)
    await hold(observer, paused=False)
    await asyncio.sleep(0.01)
    rows = await database.fetch("begin_pause", "card", "timeout", None, timedelta(0), timedelta(0))
    assert len(rows) == 1
    (one,) = await pauses.read(observer)
    assert (one.paused, one.by_person) == (True, None)
    assert len(await database.fetch("claim_probe", "card", timedelta(0))) == 1


async def test_a_person_may_end_a_pause_that_failures_began_and_what_waited_is_woken(
    database: Database, observer: Any
) -> None:
    (command,) = await Desk(database).cancel("ord_1", tender(provider="card"))
    await observer.execute(
        "UPDATE refunds SET state = 'retrying', revision = revision + 1 WHERE refund_id = $1", command.refund_id
    )
    await observer.execute(
        """UPDATE scheduled_messages SET due_at = annul_now() + interval '5 minutes', revision = revision + 1
            WHERE schedule_id LIKE 'refund:%'"""
    )
    provider = PlayedProvider()
    watched = pauses_of(provider, database, SystemClock())
    watched.watch()
    try:
        await database.fetch("begin_pause", "card", "timeout", None, timedelta(minutes=5), timedelta(0))
        assert await hold(observer, paused=False) == 1
    finally:
        await watched.stop()
    left = await observer.fetchval(
        "SELECT due_at - annul_now() FROM scheduled_messages WHERE schedule_id LIKE 'refund:%'"
    )
    assert left < timedelta(seconds=5)
    with pytest.raises(HoldError, match="not paused"):
        await hold(observer, paused=False)
    rows = await observer.fetch("SELECT what, subject FROM audit_entries ORDER BY seq")
    assert [tuple(row) for row in rows] == [("provider.resumed", "card")]
