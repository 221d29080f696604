"""A row changes while it fires: what was replaced or withdrawn is not taken for done."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from kit.broker import Broker
from kit.builders import cancelled, placed
from kit.database import set_clock
from kit.desk import Desk
from kit.hooks import Hold
from kit.notes import header
from kit.process import Process
from kit.schedule import CHATS, NOON, later, schedule, sent, states, timers_of

from schemas.chats import ChatCommand
from schemas.topics import CATALOGUE, CHATS_COMMANDS
from workers.cancellations import Cancellations
from workers.domain.emission import Later
from workers.domain.policy import Policy
from workers.store.database import Database

SECOND = timedelta(seconds=1)


@pytest.fixture
def broker() -> Broker:
    return Broker([topic.name for topic in CATALOGUE], partitions=1)


@pytest.fixture
async def noon(observer: Any) -> None:
    await set_clock(observer, NOON)


@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize("again", [later("chat", NOON + SECOND), later("chat", NOON, 2)])
async def test_a_row_replaced_and_fired_by_another_worker_is_marked_by_that_one_alone(
    broker: Broker, database: Database, database_url: str, observer: Any, again: Later
) -> None:
    """Marked by the first, which sent the old row, the new one would be lost with the second."""
    await schedule(database, later("chat"))
    holds = Hold(), Hold()
    async with Process(broker, database_url) as first, Process(broker, database_url) as second:
        first.client.at["sent"], second.client.at["send"] = holds
        early = asyncio.create_task(timers_of(first).fire())
        await holds[0].reached.wait()
        await schedule(database, again)
        await set_clock(observer, again.due_at)
        late = asyncio.create_task(timers_of(second).fire())
        await holds[1].reached.wait()
        holds[0].let_go()
        await early
        assert await states(observer) == {"chat": "firing"}
        holds[1].let_go()
        await late
    assert await states(observer) == {"chat": "fired"}


@pytest.mark.usefixtures("noon")
async def test_a_row_withdrawn_while_it_fires_stays_withdrawn(
    broker: Broker, database: Database, database_url: str, observer: Any
) -> None:
    await schedule(database, later("chat"))
    hold = Hold()
    async with Process(broker, database_url) as process:
        process.client.at["send"] = hold
        timers = timers_of(process)
        firing = asyncio.create_task(timers.fire())
        await hold.reached.wait()
        await schedule(database, withdrawn=["chat"])
        hold.let_go()
        await firing
        await set_clock(observer, NOON + timedelta(days=1))
        assert await timers.fire() == 0
    assert await states(observer) == {"chat": "withdrawn"}


@pytest.mark.usefixtures("noon")
async def test_a_row_withdrawn_before_it_is_due_is_never_sent(
    broker: Broker, database: Database, database_url: str, observer: Any
) -> None:
    await schedule(database, later("chat"))
    await schedule(database, withdrawn=["chat", "never there"])
    async with Process(broker, database_url) as process:
        assert await timers_of(process).fire() == 0
    assert sent(broker) == []


@pytest.mark.usefixtures("noon")
async def test_what_has_fired_is_not_withdrawn_any_more(
    broker: Broker, database: Database, database_url: str, observer: Any
) -> None:
    await schedule(database, later("chat"))
    async with Process(broker, database_url) as process:
        await timers_of(process).fire()
    await schedule(database, withdrawn=["chat"])
    assert await states(observer) == {"chat": "fired"}


@pytest.mark.usefixtures("noon")
async def test_a_new_order_while_the_close_fires_withdraws_it_with_a_higher_revision(
    broker: Broker, database: Database, database_url: str, observer: Any
) -> None:
    """The close is on its way: the reader of both keeps what has the higher revision."""
    desk = Desk(database)
    handler = Cancellations(Policy())
    await desk.decide(handler, cancelled(cancelled_at=NOON - timedelta(days=7)))
    await desk.decide(handler, placed("ord_2", placed_at=NOON - timedelta(days=8)))  # too early to matter
    hold = Hold()
    async with Process(broker, database_url) as process:
        process.client.at["send"] = hold
        timers = timers_of(process)
        firing = asyncio.create_task(timers.fire())
        await hold.reached.wait()
        (verdict,) = await desk.decide(handler, placed("ord_3", placed_at=NOON))
        hold.let_go()
        await firing
    (withdrawn,) = [one for one in verdict.emissions if one.type == "chat.close_withdrawn"]
    assert isinstance(withdrawn.data, ChatCommand)
    decoder = CHATS_COMMANDS.decoders()["chat.close"]
    closes = [
        decoder.decode(record.value or b"")
        for record in broker.records(CHATS)
        if header(record, "ce_type") == "chat.close"
    ]
    assert [close.revision < withdrawn.data.revision for close in closes] == [True]
    assert "fired" not in (await states(observer)).values()
