"""A person pauses a worker: it takes nothing, ends what it took, and goes on where it stopped."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from kit.broker import Broker
from kit.builders import tender
from kit.database import Gateway, cut_others
from kit.desk import Desk
from kit.hooks import Hold as HeldThere
from kit.notes import GROUP, IN, OUT, Notes, make_table, noted, put
from kit.process import Process

from schemas.topics import REFUNDS_DUE
from workers.actions import holds
from workers.actions.holds import HoldError, hold_consumer
from workers.actions.rules import ActionError
from workers.pipeline.clock import SystemClock
from workers.pipeline.holding import PersonsHold
from workers.pipeline.watchdog import Watchdog
from workers.store.action_audit import check_audit
from workers.store.database import Database

ORDERS = [f"ord_{number}" for number in range(10)]
LATER = [f"later_{number}" for number in range(10)]


@pytest.fixture(autouse=True)
async def table(observer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "PAUSABLE", (*holds.PAUSABLE, "notes"))
    await make_table(observer)


@pytest.fixture
def broker() -> Broker:
    return Broker([IN, OUT, REFUNDS_DUE.name], partitions=4)


class Told(PersonsHold):
    """Says what it has read."""

    def __init__(self, worker: str, process: Process) -> None:
        super().__init__(worker, process.database, process.clock)
        self._looked = asyncio.Event()

    def _know(self, *, paused: bool) -> None:
        super()._know(paused=paused)
        self._looked.set()

    async def until(self, *, held: bool) -> None:
        """Its process knows."""
        async with asyncio.timeout(20):
            while self.held is not held:
                await self.look()

    async def look(self) -> None:
        """It has read once more."""
        self._looked.clear()
        await self._looked.wait()


def notes_on(process: Process, notes: Notes | None = None, watchdog: Watchdog | None = None) -> Told:
    """The pipeline at work, and what it knows of its pause."""
    hold = Told("notes", process)
    process.pipeline(notes or Notes(), hold=hold, watchdog=watchdog)
    return hold


async def pause(observer: Any, worker: str = "notes", *, paused: bool = True) -> None:
    await hold_consumer(observer, worker, "Ada", "a bad release", paused=paused)


async def test_a_paused_worker_takes_nothing_and_goes_on_where_it_stopped(
    broker: Broker, database_url: str, observer: Any
) -> None:
    async with Process(broker, database_url) as process:
        hold = notes_on(process)
        put(broker, *ORDERS)
        await broker.until_read(GROUP, IN)
        await pause(observer)
        await hold.until(held=True)
        await process.client.turns()
        put(broker, *LATER)
        await process.client.turns(10)
        assert sorted(await noted(observer)) == sorted(ORDERS), "nothing was taken"
        assert not broker.is_read(GROUP, IN)
        await pause(observer, paused=False)
        await broker.until_read(GROUP, IN)
        assert sorted(await noted(observer)) == sorted(ORDERS + LATER)


async def test_what_was_taken_when_the_pause_came_is_ended(broker: Broker, database_url: str, observer: Any) -> None:
    async with Process(broker, database_url) as process:
        in_the_transaction = HeldThere()

        async def before(_: Any) -> None:
            await in_the_transaction()

        hold = notes_on(process, Notes(before))
        put(broker, *ORDERS)
        await in_the_transaction.reached.wait()
        await pause(observer)
        await hold.until(held=True)
        in_the_transaction.let_go()
        await broker.until_read(GROUP, IN)
        assert sorted(await noted(observer)) == sorted(ORDERS)


async def test_a_worker_that_starts_while_it_is_paused_stays_paused(
    broker: Broker, database_url: str, observer: Any
) -> None:
    await pause(observer)
    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        notes_on(process)
        await process.client.turns(30)
        assert await noted(observer) == []
        assert process.workers[0].ready.is_set(), "it is well, only paused"
        await pause(observer, paused=False)
        await broker.until_read(GROUP, IN)


async def test_a_pause_is_no_reason_to_renew_a_consumer_or_to_end_its_process(
    broker: Broker, database_url: str, observer: Any
) -> None:
    await pause(observer)
    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        hasty = Watchdog(SystemClock(), limit_s=0.4, look_every_s=0.1, renew_after_s=0.2)
        notes_on(process, watchdog=hasty)
        await process.client.turns(60)
        (member,) = process.client.members
        assert member.renewals == 0
        assert not process._tasks[0].done()
        await pause(observer, paused=False)
        await broker.until_read(GROUP, IN)


async def test_while_the_database_keeps_silent_the_last_word_holds(
    broker: Broker, database_url: str, observer: Any
) -> None:
    async with Gateway(database_url) as gateway, Process(broker, gateway.url) as process:
        hold = notes_on(process)
        await hold.until(held=False)
        await pause(observer)
        await hold.until(held=True)
        await process.client.turns()
        gateway.hang()
        await gateway.silenced.wait()
        put(broker, *ORDERS)
        await pause(observer, paused=False)
        assert hold.held, "nobody told it"
        assert await noted(observer) == []
        gateway.go_on()
        await broker.until_read(GROUP, IN)


async def test_connections_that_are_cut_change_nothing_about_a_pause(
    broker: Broker, database_url: str, observer: Any
) -> None:
    await pause(observer)
    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        hold = notes_on(process)
        for _ in range(3):
            await hold.look()
            await cut_others(observer)
            await process.client.turns()
        assert await noted(observer) == []
        assert not process._tasks[0].done()
        await pause(observer, paused=False)
        await broker.until_read(GROUP, IN)


async def test_paused_timers_send_nothing_that_is_due(
    broker: Broker, database_url: str, database: Database, observer: Any
) -> None:
    await pause(observer, "timers")
    await Desk(database).cancel("ord_1", tender(provider="card"))
    await observer.execute("UPDATE scheduled_messages SET due_at = annul_now() - interval '1 s'")
    due = "SELECT count(*) FROM scheduled_messages WHERE state <> 'waiting'"
    broker.create("chats.commands.v1", 1)
    async with Process(broker, database_url) as process:
        hold = Told("timers", process)
        process.timers(hold=hold)
        await process.workers[0].ready.wait()
        await hold.look()
        await hold.look()
        assert await observer.fetchval(due) == 0
        await pause(observer, "timers", paused=False)
        await broker.until(lambda: bool(broker.records(REFUNDS_DUE.name)))
    assert await observer.fetchval(due) > 0


async def test_every_pause_and_its_end_is_in_the_audit_chain(observer: Any) -> None:
    await pause(observer, "cancellations")
    await pause(observer, "cancellations", paused=False)
    rows = await observer.fetch("SELECT actor, what, subject, detail FROM audit_entries ORDER BY seq")
    assert [tuple(row) for row in rows] == [
        ("Ada", "consumer.paused", "cancellations", '{"reason":"a bad release"}'),
        ("Ada", "consumer.resumed", "cancellations", '{"reason":"a bad release"}'),
    ]
    async with observer.transaction():
        assert await check_audit(observer, 10) == []


async def test_what_stands_so_already_is_refused_and_leaves_no_trace(observer: Any) -> None:
    with pytest.raises(HoldError, match="not paused"):
        await pause(observer, "refunds", paused=False)
    await pause(observer, "refunds")
    with pytest.raises(HoldError, match="paused already"):
        await pause(observer, "refunds")
    with pytest.raises(HoldError, match="no such consumer"):
        await pause(observer, "nobody")
    with pytest.raises(ActionError, match="mandatory"):
        await hold_consumer(observer, "card", "Ada", "  ", paused=True)
    assert await observer.fetchval("SELECT count(*) FROM audit_entries") == 1
    assert await observer.fetchval("SELECT count(*) FROM consumer_pauses") == 1


async def test_a_pause_of_two_at_once_is_one_pause(database: Database, observer: Any) -> None:
    async def one(name: str) -> bool:
        async with database.transaction() as connection:
            try:
                await hold_consumer(connection, "card", name, "both saw it", paused=True)
            except HoldError:
                return False
            return True

    assert sorted(await asyncio.gather(*(one(name) for name in ("Ada", "Bob")))) == [False, True]
    assert await observer.fetchval("SELECT count(*) FROM audit_entries") == 1
    since = await observer.fetchval("SELECT annul_now() - since FROM consumer_pauses")
    assert since < timedelta(minutes=1)
