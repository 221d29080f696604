"""A process that is alive but stuck ends; one that waits for PostgreSQL or Kafka doesn't."""

import asyncio
import sys
import textwrap
from collections.abc import Mapping
from typing import Any, Self

import pytest
from kit.broker import Broker
from kit.clock import VirtualClock, settle
from kit.database import Gateway
from kit.notes import GROUP, IN, OUT, Notes, make_table, noted, put
from kit.process import Process

from workers.pipeline.clock import SystemClock
from workers.pipeline.ports import BrokerError, Partition
from workers.pipeline.watchdog import EXIT_STUCK, StuckError, Watchdog

FIRST, SECOND = Partition("orders", 0), Partition("orders", 1)
LIMIT_S = 60.0


class Watched:
    """A pipeline as its watchdog sees it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.offsets = {FIRST: 10, SECOND: 10}
        self.to_read = {FIRST: 10, SECOND: 10}
        self.waiting = False
        self.broker = "answers"
        self.deaf = False
        """The broker answers others, and not this one."""
        self.outside = False
        """Not in the group, or not yet again."""
        self.full = False
        self.renewals = 0
        watchdog = Watchdog(self.clock, limit_s=LIMIT_S, look_every_s=5.0)
        self.task = asyncio.create_task(watchdog.watch(self))

    def positions(self) -> Mapping[Partition, int]:
        return self.offsets

    async def ends(self) -> Mapping[Partition, int]:
        await self._reach()
        if self.deaf:
            await asyncio.Event().wait()
        return self.to_read

    def excused(self) -> bool:
        return self.waiting

    def joined(self) -> bool:
        return not self.outside

    async def answers(self) -> bool:
        try:
            await self._reach()
        except BrokerError:
            return False
        return True

    def renew(self) -> bool:
        if not self.full:
            self.renewals += 1
        return not self.full

    async def _reach(self) -> None:
        if self.broker == "silent":
            await asyncio.Event().wait()
        if self.broker == "down":
            raise BrokerError

    async def passes(self, seconds: float) -> bool:
        """Let time pass; whether the process is still there."""
        await self.clock.advance(seconds)
        await settle()
        return not self.task.done()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_records_that_nobody_takes_end_the_process() -> None:
    async with Watched() as watched:
        watched.to_read[SECOND] = 11
        assert await watched.passes(LIMIT_S)
        assert not await watched.passes(15)
        with pytest.raises(StuckError, match="at offset 10 of orders/1"):
            watched.task.result()


async def test_a_partition_that_was_never_taken_over_ends_the_process_too() -> None:
    async with Watched() as watched:
        del watched.offsets[SECOND]
        assert not await watched.passes(LIMIT_S + 15)


async def test_with_nothing_to_read_there_is_nothing_to_be_stuck_on() -> None:
    async with Watched() as watched:
        assert await watched.passes(LIMIT_S * 10)


async def test_progress_however_slow_is_progress() -> None:
    async with Watched() as watched:
        watched.to_read = {FIRST: 1000, SECOND: 1000}
        for _ in range(20):
            assert await watched.passes(LIMIT_S - 10)
            watched.offsets = {place: offset + 1 for place, offset in watched.offsets.items()}


async def test_waiting_for_postgresql_is_not_being_stuck() -> None:
    async with Watched() as watched:
        watched.to_read[FIRST] = 1000
        assert await watched.passes(LIMIT_S / 2)
        watched.waiting = True
        assert await watched.passes(LIMIT_S * 10)
        watched.waiting = False
        assert await watched.passes(LIMIT_S)
        assert not await watched.passes(15)


@pytest.mark.parametrize("how", ["down", "silent"])
async def test_waiting_for_kafka_is_not_being_stuck(how: str) -> None:
    async with Watched() as watched:
        watched.to_read[FIRST] = 1000
        assert await watched.passes(LIMIT_S / 2)
        watched.broker = how
        assert await watched.passes(LIMIT_S * 10)
        watched.broker = "answers"
        assert await watched.passes(LIMIT_S)
        assert not await watched.passes(20)


async def test_a_stuck_partition_is_not_hidden_by_busy_ones() -> None:
    """A busy process waits for PostgreSQL whenever it is looked at; while it goes on elsewhere that excuses nothing."""
    async with Watched() as watched:
        watched.to_read = {FIRST: 1_000_000, SECOND: 11}
        watched.waiting = True
        alive = True
        for _ in range(40):
            watched.offsets[FIRST] += 100
            alive = alive and await watched.passes(5)
        assert not alive


async def test_the_consumer_is_renewed_in_time_and_the_process_ends_where_that_was_no_help() -> None:
    async with Watched() as watched:
        watched.to_read[SECOND] = 11
        assert await watched.passes(LIMIT_S / 3)
        assert watched.renewals == 0
        assert await watched.passes(15)
        assert watched.renewals == 1
        del watched.offsets[SECOND]  # taken over anew
        assert await watched.passes(10)
        watched.offsets[SECOND] = 10
        assert await watched.passes(15)
        assert watched.renewals == 2
        assert not await watched.passes(LIMIT_S / 2)


async def test_once_a_renewed_consumer_reads_everything_is_forgotten() -> None:
    async with Watched() as watched:
        for _ in range(10):
            watched.to_read[SECOND] += 1
            assert await watched.passes(LIMIT_S / 2)
            watched.offsets[SECOND] += 1
            assert await watched.passes(LIMIT_S)
        assert watched.renewals == 10


@pytest.mark.parametrize("fault", ["deaf", "outside"])
async def test_a_consumer_that_alone_gets_no_answer_or_does_not_get_into_its_group_is_renewed(fault: str) -> None:
    """Though nothing is known to wait: it would not know."""
    async with Watched() as watched:
        setattr(watched, fault, True)
        assert await watched.passes(LIMIT_S / 3 + 20)
        assert watched.renewals == 1
        setattr(watched, fault, False)
        assert await watched.passes(LIMIT_S * 10)
        assert watched.renewals == 1
        setattr(watched, fault, True)
        assert not await watched.passes(LIMIT_S * 2)


@pytest.mark.parametrize("how", ["down", "silent"])
async def test_while_kafka_is_away_no_consumer_is_renewed(how: str) -> None:
    async with Watched() as watched:
        watched.to_read[FIRST] = 1000
        watched.broker = how
        watched.outside = True
        assert await watched.passes(LIMIT_S * 10)
        assert watched.renewals == 0


async def test_a_handler_that_can_take_nothing_has_no_use_for_another_consumer() -> None:
    async with Watched() as watched:
        watched.to_read[FIRST] = 1000
        watched.full = True
        assert await watched.passes(LIMIT_S / 2)
        assert watched.renewals == 0
        assert not await watched.passes(LIMIT_S)


async def test_a_pipeline_whose_consumer_falls_silent_ends_though_its_other_partitions_go_on(
    database_url: str, observer: Any
) -> None:
    broker = Broker([IN, OUT], partitions=3)
    await make_table(observer)
    async with Process(broker, database_url) as process:
        running = process.pipeline(Notes(), watchdog=Watchdog(SystemClock(), limit_s=0.8, look_every_s=0.3))
        await process.client.turns()
        (member,) = process.client.members
        member.mute.add(Partition(IN, 2))  # of the same lane as 0
        member.incurable = True
        put(broker, "ord_stuck", partition=2)
        async with asyncio.timeout(20):
            while not running.done():
                put(broker, "ord_a", partition=0)
                put(broker, "ord_b", partition=1)
                await broker.next_change()
        with pytest.raises(StuckError, match=f"{IN}/2"):
            running.result()


async def test_a_pipeline_whose_database_keeps_silent_lives_on(database_url: str, observer: Any) -> None:
    broker = Broker([IN, OUT], partitions=1)
    await make_table(observer)
    watchdog = Watchdog(SystemClock(), limit_s=0.2, look_every_s=0.05)
    async with Gateway(database_url) as gateway, Process(broker, gateway.url) as process:
        running = process.pipeline(Notes(), watchdog=watchdog)
        await process.client.turns()
        gateway.hang()
        put(broker, "ord_1", "ord_2")
        await gateway.silenced.wait()
        done, _ = await asyncio.wait((running,), timeout=0.8)
        assert not done
        gateway.go_on()
        await broker.until_read(GROUP, IN)
    assert await noted(observer) == ["ord_1", "ord_2"]


async def test_an_event_loop_that_stands_still_ends_the_process() -> None:
    program = """
        import asyncio, time
        from workers.pipeline.watchdog import watch_loop

        async def main():
            watch_loop(asyncio.get_running_loop(), limit_s=0.4)
            await asyncio.sleep(0.6)
            print("alive", flush=True)
            time.sleep(60)

        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(program), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert out.startswith(b"alive")
    assert process.returncode == EXIT_STUCK
