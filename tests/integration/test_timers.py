"""Later is a row: it fires when PostgreSQL's clock says so, whoever dies meanwhile, and not once it is replaced."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit.broker import Broker
from kit.database import cut_others, set_clock
from kit.hooks import Fails, Hold
from kit.notes import header
from kit.process import Process
from kit.schedule import CHATS, NOON, later, schedule, sent, states, timers_of

from schemas.topics import CATALOGUE
from workers.domain.emission import Later
from workers.store.database import Database

SECOND = timedelta(seconds=1)


@pytest.fixture
def broker() -> Broker:
    return Broker([topic.name for topic in CATALOGUE], partitions=1)


@pytest.fixture
async def noon(observer: Any) -> None:
    await set_clock(observer, NOON)


@pytest.mark.usefixtures("noon")
async def test_nothing_fires_a_moment_early(
    broker: Broker, database: Database, database_url: str, observer: Any
) -> None:
    await schedule(database, later("now"), later("soon", NOON + timedelta(microseconds=1)))
    async with Process(broker, database_url) as process:
        timers = timers_of(process)
        assert await timers.fire() == 1
        assert sent(broker) == ["now"]
        await set_clock(observer, NOON + timedelta(microseconds=1))
        assert await timers.fire() == 1
        assert await timers.fire() == 0
    assert sent(broker) == ["now", "soon"]
    assert await states(observer) == {"now": "fired", "soon": "fired"}


async def test_a_due_row_is_sent_within_a_second(broker: Broker, database: Database, database_url: str) -> None:
    due_at = datetime.now(UTC) + timedelta(seconds=0.4)
    async with Process(broker, database_url) as process:
        process.timers()
        await schedule(database, later("soon", due_at))
        await broker.until(lambda: sent(broker) == ["soon"])
        assert timedelta(0) <= datetime.now(UTC) - due_at < SECOND


@pytest.mark.usefixtures("noon")
async def test_after_an_outage_all_that_is_due_is_sent_in_the_order_of_time(
    broker: Broker, database: Database, database_url: str
) -> None:
    names = [f"chat_{number:04}" for number in range(1200)]
    random.Random(1).shuffle(names)
    rows = [later(name, NOON - timedelta(days=1) + at * SECOND) for at, name in enumerate(names)]
    random.Random(2).shuffle(rows)
    await schedule(database, *rows)
    async with Process(broker, database_url) as process:
        timers = timers_of(process)
        while await timers.fire():
            pass
    assert sent(broker) == names


@pytest.mark.usefixtures("noon")
async def test_workers_that_fire_at_once_never_send_the_same_row(
    broker: Broker, database: Database, database_url: str
) -> None:
    names = [f"chat_{number:04}" for number in range(1500)]
    await schedule(database, *(later(name) for name in names))

    async def fire_all(process: Process) -> None:
        while await timers_of(process).fire():
            pass

    async with Process(broker, database_url) as first, Process(broker, database_url) as second:
        await asyncio.gather(*(fire_all(process) for process in (first, second, first, second)))
    assert Counter(sent(broker)) == Counter(names)


@pytest.mark.usefixtures("noon")
async def test_a_row_that_somebody_works_on_holds_up_no_other(
    broker: Broker, database: Database, database_url: str, observer: Any
) -> None:
    await schedule(database, later("busy", NOON - SECOND), later("free"))
    async with Process(broker, database_url) as process:
        async with observer.transaction():
            await observer.execute("SELECT FROM scheduled_messages WHERE schedule_id = 'busy' FOR UPDATE")
            assert await asyncio.wait_for(timers_of(process).fire(), 10) == 1
        assert await timers_of(process).fire() == 1
    assert sent(broker) == ["free", "busy"]


@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize("moment", ["send", "sent"])
async def test_a_crash_before_the_mark_sends_again_under_the_same_id(
    broker: Broker, database: Database, database_url: str, observer: Any, moment: Any
) -> None:
    await schedule(database, later("chat"))
    hold = Hold()
    async with Process(broker, database_url) as dying:
        dying.client.at[moment] = hold
        dying.timers()
        await hold.reached.wait()
    assert await states(observer) == {"chat": "firing"}
    async with Process(broker, database_url) as process:
        timers = timers_of(process)
        await set_clock(observer, NOON + 29 * SECOND)
        assert await timers.fire() == 0  # it may still be about to be marked
        await set_clock(observer, NOON + 31 * SECOND)
        assert await timers.fire() == 1
    records = broker.records(CHATS)
    assert len(records) == (2 if moment == "sent" else 1)
    assert len({(header(record, "ce_id"), record.value) for record in records}) == 1
    assert await states(observer) == {"chat": "fired"}


@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize(
    "again", [later("chat", NOON + SECOND), later("chat", NOON, 2), later("chat", NOON + SECOND, 2)]
)
async def test_a_row_replaced_while_it_fires_is_not_marked_and_fires_again_when_due(
    broker: Broker, database: Database, database_url: str, observer: Any, again: Later
) -> None:
    """A refund's due row is replaced by the very message that it sends: marked as fired it would be its last."""
    await schedule(database, later("chat"))
    hold = Hold()
    async with Process(broker, database_url) as process:
        process.client.at["sent"] = hold
        timers = timers_of(process)
        firing = asyncio.create_task(timers.fire())
        await hold.reached.wait()
        await schedule(database, again)
        hold.let_go()
        await firing
        assert await states(observer) == {"chat": "waiting"}
        await set_clock(observer, again.due_at)
        assert await timers.fire() == 1
    assert await states(observer) == {"chat": "fired"}
    assert len({header(record, "ce_id") for record in broker.records(CHATS)}) == 2


@pytest.mark.usefixtures("noon")
async def test_a_lost_connection_and_a_broker_that_is_down_only_delay(
    broker: Broker, database: Database, database_url: str, observer: Any
) -> None:
    async with Process(broker, database_url) as process:
        process.timers()
        await schedule(database, later("first"))
        await broker.until(lambda: sent(broker) == ["first"])
        process.client.at["send"] = Fails(3)
        await schedule(database, later("second"))
        await broker.until(lambda: process.client.passed["send"] >= 3)  # the second try of "second"
        assert await cut_others(observer) > 0
        await broker.until(lambda: sent(broker) == ["first", "second"])


@pytest.mark.usefixtures("noon")
async def test_a_claim_whose_answer_is_lost_delays_until_it_counts_as_lost(
    broker: Broker, database: Database, database_url: str, observer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row was claimed, and nobody knows: as when the connection ends between the commit and its answer."""
    async with Process(broker, database_url) as process:
        fetch, lost = process.database.fetch, asyncio.Event()

        async def loses_once(name: str, *arguments: Any) -> list[Any]:
            rows = await fetch(name, *arguments)
            if name == "claim_due" and rows and not lost.is_set():
                lost.set()
                raise ConnectionResetError
            return rows

        monkeypatch.setattr(process.database, "fetch", loses_once)
        process.timers()
        await schedule(database, later("chat"))
        await lost.wait()
        assert await states(observer) == {"chat": "firing"}
        assert sent(broker) == []
        await set_clock(observer, NOON + 31 * SECOND)
        await broker.until(lambda: sent(broker) == ["chat"])
