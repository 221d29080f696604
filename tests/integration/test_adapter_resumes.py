"""What waited for a paused provider goes on once it is back, whatever else fails meanwhile."""

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from kit.broker import Broker
from kit.builders import tender
from kit.database import Gateway, cut_others, set_clock
from kit.desk import Desk
from kit.pausing import (
    NOON,
    REFUSED,
    RESULTS,
    pause,
    put_commands,
    running,
    until_open,
    until_paused,
)
from kit.provider import SUCCEEDED, PlayedProvider, pauses_of
from typer.testing import CliRunner

from workers import cli, pauses
from workers.pipeline.clock import SystemClock
from workers.store.database import Database


@pytest.fixture
async def waiting(database: Database, observer: Any) -> dict[str, datetime]:
    """Refunds in many states at noon, each with its due row, and when that is due."""
    await set_clock(observer, NOON)
    desk = Desk(database)
    cases: dict[str, tuple[Any, str, int, int, int]] = {
        # order: provider, state, attempt, in its state for so many minutes, due in so many seconds
        "retrying": ("card", "retrying", 2, 1, 240),
        "retrying_often": ("card", "retrying", 9, 1, 240),
        "uncertain": ("card", "uncertain", 1, 1, 240),
        "uncertain_long": ("card", "uncertain", 1, 600, 240),
        "soon": ("card", "retrying", 1, 1, 0),
        "pending": ("card", "pending", 1, 1, 240),
        "of_another": ("paypal", "retrying", 1, 1, 240),
    }
    due = {}
    for order, (provider, state, attempt, minutes, due_s) in cases.items():
        (command,) = await desk.cancel(order, tender(provider=provider))
        due[order] = NOON + timedelta(seconds=due_s)
        await observer.execute(
            """UPDATE refunds SET state = $2, attempt = $3, state_since = $4, revision = revision + 1
                WHERE refund_id = $1""",
            command.refund_id,
            state,
            attempt,
            NOON - timedelta(minutes=minutes),
        )
        await observer.execute(
            """UPDATE scheduled_messages SET due_at = $2, revision = revision + 1
                WHERE schedule_id = 'refund:' || $1""",
            command.refund_id,
            due[order],
        )
    return due


async def dues(observer: Any) -> dict[str, datetime]:
    """When each order's refund is looked at again."""
    rows = await observer.fetch(
        """SELECT r.order_id, s.due_at FROM refunds AS r
             JOIN scheduled_messages AS s ON s.schedule_id = 'refund:' || r.refund_id"""
    )
    return dict(map(tuple, rows))


async def test_a_resume_wakes_what_waited_for_that_provider_and_nothing_else(
    broker: Broker, database_url: str, observer: Any, waiting: dict[str, datetime]
) -> None:
    await pause(observer, probe_in_s=0)
    provider = PlayedProvider()
    provider.probe_answer = SUCCEEDED
    async with running(broker, database_url, provider):
        await until_paused(observer, paused=False)
    after = await dues(observer)
    woken = {order for order in waiting if after[order] != waiting[order]}
    assert woken == {"retrying", "uncertain"}
    assert all(NOON <= after[order] <= NOON + timedelta(seconds=5) for order in woken)


async def test_many_that_waited_go_on_over_a_few_seconds(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    await set_clock(observer, NOON)
    await put_commands(broker, database, 0, 50)
    await observer.execute("UPDATE refunds SET state = 'retrying', revision = revision + 1")
    await observer.execute(
        "UPDATE scheduled_messages SET due_at = $1, revision = revision + 1", NOON + timedelta(minutes=4)
    )
    await pause(observer, probe_in_s=0)
    provider = PlayedProvider(answer=lambda _: SUCCEEDED)
    provider.probe_answer = SUCCEEDED
    async with running(broker, database_url, provider):
        await until_paused(observer, paused=False)
    seconds = [(due - NOON).total_seconds() for due in (await dues(observer)).values()]
    assert max(seconds) < 5
    assert len(set(seconds)) == 50
    assert sum(second < 1 for second in seconds) == 10


async def test_a_database_that_keeps_silent_costs_no_result_and_the_pause_is_recorded_once_it_is_back(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    await put_commands(broker, database, 0, 1)
    provider = PlayedProvider()
    async with Gateway(database_url) as gateway, running(broker, gateway.url, provider, probe_every_s=600):
        await provider.until_asked(1)
        gateway.hang()
        await gateway.silenced.wait()
        provider.answer_all(REFUSED)
        await broker.until(lambda: len(broker.records(RESULTS)) == 1)
        gateway.go_on()
        await until_paused(observer)


async def test_connections_that_are_cut_end_neither_the_pause_nor_the_process(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    await pause(observer, probe_in_s=1)
    await put_commands(broker, database, 0, 3)
    provider = PlayedProvider(answer=lambda _: SUCCEEDED)
    async with running(broker, database_url, provider) as process:
        for probe in range(1, 4):
            await provider.until_probed(probe)
            await cut_others(observer)
        assert provider.asked == []
        provider.probe_answer = SUCCEEDED
        await broker.until(lambda: len(broker.records(RESULTS)) == 3)
        assert not process._tasks[0].done()


async def test_calls_that_began_before_the_last_pause_ended_begin_no_new_one(database: Database, observer: Any) -> None:
    """A replica that was slow to hear of the end has old failures still coming in."""
    provider = PlayedProvider()
    clock = SystemClock()
    watched = pauses_of(provider, database, clock)
    watched.watch()
    try:
        await until_open(watched)
        began_s = clock.monotonic() - 5
        await pause(observer)
        await observer.execute("UPDATE provider_pauses SET resumed_at = annul_now()")
        watched.note(REFUSED, began_s)
        assert watched.paused, "until it has looked"
        await until_open(watched)
        watched.note(REFUSED, clock.monotonic())
        await until_paused(observer)
    finally:
        await watched.stop()


@pytest.fixture
def loud_again() -> Iterator[None]:
    """A command quiets the log for its process, and writes to a terminal that is gone with it."""
    level = logging.getLogger().level
    yield
    structlog.reset_defaults()
    logging.getLogger().setLevel(level)


@pytest.mark.usefixtures("loud_again")
async def test_what_people_are_shown(database_url: str, observer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNUL_DATABASE_URL", database_url)

    def said(*words: str) -> str:
        done = CliRunner().invoke(cli.app, ["providers", "list", *words])
        assert done.exit_code == 0, done.output
        return done.output

    assert "No provider was ever paused" in await asyncio.to_thread(said)
    await pause(observer, code="http_401")
    (one,) = await pauses.read(observer)
    assert (one.provider, one.paused, one.code) == ("card", True, "http_401")
    (shown,) = json.loads(await asyncio.to_thread(said, "--json"))["providers"]
    assert (shown["provider"], shown["paused"], shown["code"], shown["resumed_at"]) == ("card", True, "http_401", None)
    assert "http_401" in await asyncio.to_thread(said)
