"""An adapter calls its provider for many orders at once, and never for more than it can."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from kit.broker import Broker
from kit.clock import VirtualClock, settle
from kit.desk import Desk, incoming
from kit.process import Process
from kit.provider import NOT_FOUND, SUCCEEDED, PlayedProvider, adapter_of, pauses_of
from msgspec.structs import replace

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.refunds import RefundCommand, RefundLookUp, RefundResult
from schemas.topics import REFUNDS_COMMANDS, REFUNDS_RESULTS
from workers.adapter import Adapter, Call
from workers.consumers import group_of
from workers.pipeline.emit import Emitter
from workers.pipeline.ports import Outgoing
from workers.pipeline.run import Limits
from workers.providers.port import Answer
from workers.store.database import Database
from workers.telemetry import Metrics

COMMANDS = REFUNDS_COMMANDS["card"].name
RESULTS = REFUNDS_RESULTS.name
GROUP = group_of("card")
LIMITS = Limits(batch_records=100, poll_s=0.05, drain_s=0.8)
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


async def put_commands(broker: Broker, database: Database, count: int) -> list[str]:
    """Orders cancelled, and the commands that follow lying on their topic."""
    desk = Desk(database)
    orders = [f"ord_{number:02}" for number in range(count)]
    for order in orders:
        for command in await desk.cancel(order):
            put_command(broker, command)
    return orders


def put_command(broker: Broker, command: RefundCommand) -> None:
    headers = headers_of("refund.issue", f"cmd_{command.order_id}", START)
    broker.put(COMMANDS, encode(command), key=command.order_id.encode(), headers=headers)


def results(broker: Broker) -> list[tuple[str, str]]:
    return [(str(record.key, "utf-8"), _outcome(record.value)) for record in broker.records(RESULTS)]  # type: ignore[arg-type]  # they are keyed


def _outcome(value: bytes | None) -> str:
    decoder = REFUNDS_RESULTS.decoders()["refund.result"]
    said: RefundResult = decoder.decode(value or b"")
    return said.outcome


async def test_no_more_is_claimed_than_can_be_called_and_the_rest_stays_for_others(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    """What is claimed and not called waits for its lease to run out, and for a look-up after that."""
    await put_commands(broker, database, 20)
    provider = PlayedProvider()
    async with Process(broker, database_url) as process:
        process.pipeline(adapter_of(process, provider), limits=LIMITS)
        await provider.until_asked(5)
        await process.client.turns(0)
        assert await observer.fetchval("SELECT count(*) FROM refund_attempts") == 5
        for answered in range(1, 16):
            provider.answer(provider.waiting[0])
            await provider.until_asked(5 + answered)
            assert await observer.fetchval("SELECT count(*) FROM refund_attempts") <= 5 + answered
        provider.answer_all()
        await broker.until(lambda: len(broker.records(RESULTS)) == 20)
    assert provider.most == 5
    assert set(provider.calls().values()) == {1}


async def test_a_slow_call_holds_up_neither_other_orders_nor_the_offsets(
    broker: Broker, database_url: str, database: Database
) -> None:
    slow, *orders = await put_commands(broker, database, 20)
    provider = PlayedProvider()
    async with Process(broker, database_url) as process:
        process.pipeline(adapter_of(process, provider), limits=LIMITS)
        while len(broker.records(RESULTS)) < 19:
            for order in provider.waiting:
                if order != slow:
                    provider.answer(order)
            await broker.next_change()
        await broker.until_read(GROUP, COMMANDS)
        assert provider.waiting == [slow]
        provider.answer(slow)
        await broker.until(lambda: len(broker.records(RESULTS)) == 20)
    assert sorted(results(broker)) == sorted((order, "succeeded") for order in [slow, *orders])


class Sent:
    """A producer that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send_all(self, records: Sequence[Outgoing]) -> None:
        self.messages += records


def by_hand(provider: PlayedProvider, sent: Sent, clock: VirtualClock, database: Database) -> Adapter:
    """An adapter without a pipeline."""
    return Adapter(
        provider,
        Emitter(sent, clock),
        clock,
        Metrics(),
        pauses_of(provider, database, clock),
        process="one",
        concurrency=5,
        deadline_s=10,
        lease_s=30,
    )


@pytest.mark.parametrize(("stalled_s", "called"), [(0, True), (20, True), (20.5, False), (3600, False)])
async def test_a_process_that_stalls_between_claim_and_call_does_not_call_when_its_lease_may_end_first(
    database: Database, stalled_s: float, called: bool
) -> None:
    desk, clock, sent = Desk(database), VirtualClock(), Sent()
    provider = PlayedProvider(answer=lambda _: SUCCEEDED)
    adapter = by_hand(provider, sent, clock, database)
    (command,) = await desk.cancel()
    (verdict,) = await desk.decide(adapter, command)
    await clock.advance(stalled_s)
    adapter.perform([verdict.effect])
    await settle()
    assert len(provider.asked) == int(called)
    (told,) = sent.messages
    assert _outcome(told.value) == ("succeeded" if called else "retryable")


async def test_a_bug_in_a_provider_costs_one_result_and_nothing_else(
    broker: Broker, database_url: str, database: Database
) -> None:
    first, *others = await put_commands(broker, database, 10)

    def answer(command: RefundCommand) -> Answer:
        if command.order_id == first:
            raise ZeroDivisionError
        return SUCCEEDED

    async with Process(broker, database_url) as process:
        process.pipeline(adapter_of(process, PlayedProvider(answer=answer), concurrency=2), limits=LIMITS)
        await broker.until(lambda: len(broker.records(RESULTS)) == 9)
    assert sorted(results(broker)) == [(order, "succeeded") for order in others]


async def test_results_wait_out_a_broker_that_is_down(broker: Broker, database_url: str, database: Database) -> None:
    orders = await put_commands(broker, database, 5)
    provider = PlayedProvider()
    async with Process(broker, database_url) as process:
        process.pipeline(adapter_of(process, provider), limits=LIMITS)
        await provider.until_asked(5)
        await broker.until_read(GROUP, COMMANDS)
        broker.down = True
        provider.answer_all()
        await settle()
        assert results(broker) == []
        broker.down = False
        await broker.until(lambda: len(broker.records(RESULTS)) == 5)
    assert sorted(results(broker)) == [(order, "succeeded") for order in orders]


async def test_draining_lets_calls_end_that_can_and_sends_their_results(
    broker: Broker, database_url: str, database: Database
) -> None:
    (order,) = await put_commands(broker, database, 1)
    provider = PlayedProvider()
    async with Process(broker, database_url) as process:
        process.pipeline(adapter_of(process, provider), limits=LIMITS)
        await provider.until_asked(1)
        stopping = asyncio.create_task(process.stop())
        await settle()
        provider.answer(order)
        await stopping
    assert results(broker) == [(order, "succeeded")]
    assert provider.closed


@pytest.mark.parametrize("count", [1, 20])
async def test_draining_gives_up_calls_that_do_not_end_in_time(
    broker: Broker, database_url: str, database: Database, count: int
) -> None:
    """With 20 no place is free, and the loop waits for one as it is told to stop."""
    await put_commands(broker, database, count)
    provider = PlayedProvider()
    async with Process(broker, database_url) as process:
        process.pipeline(adapter_of(process, provider), limits=LIMITS)
        await provider.until_asked(min(count, 5))
        async with asyncio.timeout(LIMITS.drain_s):
            await process.stop()
    assert results(broker) == []
    assert provider.running == 0
    assert provider.closed


async def test_a_look_up_is_called_without_a_claim_and_as_often_as_it_is_asked(database: Database) -> None:
    desk, clock, sent = Desk(database), VirtualClock(), Sent()
    provider = PlayedProvider(answer=lambda _: NOT_FOUND)
    adapter = by_hand(provider, sent, clock, database)
    (issue,) = await desk.cancel()
    fields = {name: getattr(issue, name) for name in issue.__struct_fields__}
    look_up = RefundLookUp(**fields, look_up_no=2)
    for copy in (look_up, look_up, replace(look_up, issued_at=START)):
        async with desk.transaction() as connection:
            (verdict,) = await adapter.record(connection, [incoming(copy)], START)
        assert isinstance(verdict.effect, Call)
        adapter.perform([verdict.effect])
        await settle()
    assert len(provider.asked) == 3
    ids = [dict(message.headers)["ce_id"] for message in sent.messages]
    assert ids[0] == ids[1] != ids[2]
