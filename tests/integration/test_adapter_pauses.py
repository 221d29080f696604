"""A provider that is down or refuses us is paused for everyone, probed by one, and what waited goes on."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from kit.broker import Broker
from kit.builders import tender
from kit.clock import settle
from kit.database import Gateway, cut_others, set_clock
from kit.desk import Desk
from kit.process import Process
from kit.provider import SUCCEEDED, PlayedProvider, adapter_of, pauses_of
from structlog.testing import capture_logs
from typer.testing import CliRunner

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.refunds import RefundIssue, RefundLookUp
from schemas.topics import CATALOGUE, REFUNDS_COMMANDS, REFUNDS_RESULTS
from workers import cli, pauses
from workers.consumers import group_of
from workers.domain.pause import OUTAGE
from workers.pipeline.clock import SystemClock
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


@pytest.fixture
def broker() -> Broker:
    return Broker([topic.name for topic in CATALOGUE], partitions=2)


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


async def test_an_outage_pauses_and_what_waits_in_kafka_goes_on_when_a_probe_goes_well(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    await put_commands(broker, database, 0, OUTAGE)
    provider = PlayedProvider(answer=lambda _: DOWN)
    with capture_logs() as logs:
        async with running(broker, database_url, provider) as process:
            await until_paused(observer)
            await put_commands(broker, database, OUTAGE, 10)
            await provider.until_probed(3)
            assert len(provider.asked) == OUTAGE
            assert await observer.fetchval("SELECT count(*) FROM refund_attempts") == OUTAGE
            assert process.counted("annul_provider_paused", provider="card") == 1
            assert (await observer.fetchrow(STATE, "card"))["code"] == "timeout", "what the latest probe came to"
            provider._answer = lambda _: SUCCEEDED
            provider.probe_answer = SUCCEEDED
            await broker.until(lambda: len(broker.records(RESULTS)) == OUTAGE + 10)
            assert process.counted("annul_provider_paused", provider="card") == 0
    assert set(provider.calls().values()) == {1}
    told = [one for one in logs if one["event"].startswith("provider.")]
    assert [(one["event"], one["provider"]) for one in told] == [
        ("provider.paused", "card"),
        ("provider.resumed", "card"),
    ]
    assert told[0]["code"] == "connection_refused"
    assert told[1]["seconds"] > 0


async def test_fewer_failures_and_too_many_requests_pause_nothing(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    await put_commands(broker, database, 0, 20)
    many = Answer(outcome="retryable", code="rate_limit")
    answers = iter([DOWN] * (OUTAGE - 1) + [SUCCEEDED] + [many] * 15)
    provider = PlayedProvider(answer=lambda _: next(answers))
    async with running(broker, database_url, provider):
        await broker.until(lambda: len(broker.records(RESULTS)) == 20)
    assert await observer.fetchrow(STATE, "card") is None


async def test_credentials_that_are_refused_pause_at_once(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    await put_commands(broker, database, 0, 1)
    async with running(broker, database_url, PlayedProvider(answer=lambda _: REFUSED), probe_every_s=600):
        await until_paused(observer)
    row = await observer.fetchrow(STATE, "card")
    assert (row["code"], row["detail"]) == ("http_401", "request_id=req_1")


async def test_other_providers_go_on(broker: Broker, database_url: str, database: Database, observer: Any) -> None:
    await put_commands(broker, database, 0, 1)
    paypal = PlayedProvider("paypal", answer=lambda _: SUCCEEDED)
    async with running(broker, database_url, PlayedProvider(answer=lambda _: REFUSED), probe_every_s=600):
        await until_paused(observer)
        async with running(broker, database_url, paypal) as process:
            await put_commands(broker, database, 1, 5, "paypal")
            await broker.until(lambda: len(broker.records(RESULTS)) == 6)
            assert process.counted("annul_provider_paused", provider="paypal") == 0
    assert len(paypal.asked) == 5


async def test_while_another_process_paused_it_nothing_is_taken_and_nothing_is_thought_stuck(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    """Look-ups wait too; and a stop is followed at once."""
    await pause(observer)
    (command,) = await Desk(database).cancel("ord_look_up")
    fields = {name: getattr(command, name) for name in command.__struct_fields__}
    put(broker, RefundLookUp(**fields, look_up_no=1))
    await put_commands(broker, database, 0, 3)
    provider = PlayedProvider(answer=lambda _: SUCCEEDED)
    watchdog = Watchdog(SystemClock(), limit_s=0.2, look_every_s=0.05)
    async with running(broker, database_url, provider, watchdog=watchdog) as process:
        await process.workers[0].ready.wait()
        task = process._tasks[0]
        assert not (await asyncio.wait((task,), timeout=1.0))[0], "it lives on"
        assert provider.asked == []
        assert broker.committed(group_of("card"), REFUNDS_COMMANDS["card"].name) == [0, 0]
        async with asyncio.timeout(LIMITS.drain_s):
            await process.stop()
    assert provider.asked == []
    assert await observer.fetchval("SELECT count(*) FROM refund_attempts") == 0


async def test_a_pause_that_begins_with_calls_in_flight_lets_them_end(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    await put_commands(broker, database, 0, 5)
    provider = PlayedProvider()
    async with running(broker, database_url, provider, probe_every_s=600):
        await provider.until_asked(5)
        first, *others = provider.waiting
        provider.answer(first, REFUSED)
        await until_paused(observer)
        for order in others:
            provider.answer(order)
        await broker.until(lambda: len(broker.records(RESULTS)) == 5)
    assert (await observer.fetchrow(STATE, "card"))["paused"]


async def test_of_two_replicas_one_probes_and_both_see_the_end(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    await set_clock(observer, NOON)
    await pause(observer, probe_in_s=1)
    one, two = PlayedProvider(answer=lambda _: SUCCEEDED), PlayedProvider(answer=lambda _: SUCCEEDED)
    async with AsyncExitStack() as stack:
        for provider in (one, two):
            process = await stack.enter_async_context(running(broker, database_url, provider))
            await process.workers[0].ready.wait()
        for number in range(1, 4):
            await set_clock(observer, NOON + timedelta(seconds=1 + 20 * number))
            async with asyncio.timeout(20):
                while (await observer.fetchrow(STATE, "card"))["probes"] < number:
                    pass
        assert one.probed + two.probed == 3
        one.probe_answer = two.probe_answer = SUCCEEDED
        await put_commands(broker, database, 0, 6)
        await set_clock(observer, NOON + timedelta(minutes=5))
        await broker.until(lambda: len(broker.records(RESULTS)) == 6)
    assert one.asked
    assert two.asked, "the replica that didn't probe goes on as well"
    assert one.probed + two.probed == 4


async def test_of_many_that_find_a_probe_due_at_once_one_gets_it(database_url: str, observer: Any) -> None:
    await set_clock(observer, NOON)
    await pause(observer, probe_in_s=0)
    database = Database(database_url, max_connections=8)
    claims = [database.fetch("claim_probe", "card", timedelta(seconds=10)) for _ in range(8)]
    assert sum(len(rows) for rows in await asyncio.gather(*claims)) == 1
    await database.close()


async def test_a_replica_that_dies_as_it_probes_leaves_it_to_the_next(
    broker: Broker, database_url: str, observer: Any
) -> None:
    await set_clock(observer, NOON)
    await pause(observer, probe_in_s=0)

    class Silent(PlayedProvider):
        async def probe(self) -> Answer:
            await super().probe()
            return await asyncio.Event().wait()  # type: ignore[return-value]  # it never comes

    dying, next_ = Silent(), PlayedProvider()
    async with running(broker, database_url, dying):
        await dying.until_probed(1)
    next_.probe_answer = SUCCEEDED
    async with running(broker, database_url, next_):
        await set_clock(observer, NOON + timedelta(seconds=11))
        await until_paused(observer, paused=False)


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
