"""A provider that is down or refuses us is paused for everyone and probed by one."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

from kit.broker import Broker
from kit.database import set_clock
from kit.desk import Desk
from kit.pausing import (
    DOWN,
    LIMITS,
    NOON,
    REFUSED,
    RESULTS,
    STATE,
    pause,
    put,
    put_commands,
    running,
    until_paused,
)
from kit.provider import SUCCEEDED, PlayedProvider
from structlog.testing import capture_logs

from schemas.refunds import RefundLookUp
from schemas.topics import REFUNDS_COMMANDS
from workers.consumers import group_of
from workers.domain.pause import OUTAGE
from workers.pipeline.clock import SystemClock
from workers.pipeline.watchdog import Watchdog
from workers.providers.port import Answer
from workers.store.database import Database


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
