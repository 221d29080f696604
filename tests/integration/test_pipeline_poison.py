"""A message that can't be recorded is found and parked alone; what isn't the message's fault never parks anything."""

from typing import Any

import asyncpg
import pytest
from kit.broker import Broker
from kit.database import cut_others
from kit.notes import (
    BUG,
    GROUP,
    IN,
    NUL,
    ODD,
    OUT,
    TWICE,
    WIDE,
    Notes,
    header,
    make_table,
    noted,
    put,
    told_orders,
)
from kit.process import Process

from schemas.topics import PARKED

SPOILT = PARKED.name
ORDERS = [f"ord_{number:03}" for number in range(100)]


@pytest.fixture(autouse=True)
async def table(observer: Any) -> None:
    await make_table(observer)


@pytest.fixture
def broker() -> Broker:
    return Broker([IN, OUT, SPOILT], partitions=1)


async def parked(observer: Any) -> list[tuple[str, str, str, str]]:
    rows = await observer.fetch("SELECT order_id, stage, reason, detail FROM parked_messages ORDER BY record_offset")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("poison", "reason", "detail", "at"),
    [
        (NUL, "cannot_be_recorded", "CharacterNotInRepertoireError", 0),
        (WIDE, "cannot_be_recorded", "DataError", 42),
        (TWICE, "cannot_be_recorded", "CheckViolationError", 63),
        (BUG, "internal_error", "KeyError", 99),
    ],
)
async def test_one_message_of_a_hundred_is_found_by_halving_and_parked_alone(
    broker: Broker, database_url: str, observer: Any, poison: str, reason: str, detail: str, at: int
) -> None:
    orders = [*ORDERS]
    orders[at] = f"{poison}_1"
    put(broker, *orders)
    async with Process(broker, database_url) as process:
        process.pipeline(notes := Notes())
        await broker.until_read(GROUP, IN)
    good = [order for order in orders if order != f"{poison}_1"]
    assert await parked(observer) == [(f"{poison}_1", "record", reason, detail)]
    assert await noted(observer) == good
    assert told_orders(broker) == good
    assert told_orders(broker, SPOILT) == [f"{poison}_1"]
    # Of a batch of 100 each halving tries two parts, and the message itself is tried once.
    assert len(notes.tried) <= 15


async def test_many_spoilt_messages_are_each_parked_and_the_others_keep_their_order(
    broker: Broker, database_url: str, observer: Any
) -> None:
    orders = [f"{[NUL, WIDE, TWICE, BUG][at % 4]}_{at}" if at % 9 == 0 else order for at, order in enumerate(ORDERS)]
    put(broker, *orders)
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await broker.until_read(GROUP, IN)
    spoilt = orders[::9]
    good = [order for order in orders if order not in spoilt]
    assert [one[0] for one in await parked(observer)] == spoilt
    assert await noted(observer) == good
    assert told_orders(broker) == good


async def test_a_message_parked_by_a_rule_keeps_what_the_rule_tells_of_it(
    broker: Broker, database_url: str, observer: Any
) -> None:
    put(broker, "ord_1", f"{ODD}_1", "ord_2")
    async with Process(broker, database_url) as process:
        process.pipeline(notes := Notes())
        await broker.until_read(GROUP, IN)
    assert await parked(observer) == [(f"{ODD}_1", "decide", "odd", "it is odd")]
    assert told_orders(broker) == ["ord_1", f"{ODD}_1", "ord_2"]
    assert len(notes.tried) == 1


async def test_when_every_message_fails_in_the_handler_the_process_ends_instead_of_parking_them_all(
    broker: Broker, database_url: str, observer: Any
) -> None:
    put(broker, *(f"{BUG}_{number}" for number in range(100)))
    async with Process(broker, database_url) as process:
        with pytest.raises(KeyError):
            await process.pipeline(Notes())
    assert len(await parked(observer)) < 20


@pytest.mark.parametrize("code", ["40001", "40P01", "53300", "57014", "57P01", "08006"])
async def test_an_error_that_passes_parks_nothing_and_the_batch_is_tried_again(
    broker: Broker, database_url: str, observer: Any, code: str
) -> None:
    times = iter(range(2))

    async def before(connection: Any) -> None:
        if next(times, None) is not None:
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'as it may be' USING ERRCODE = '{code}'; END $$")

    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        process.pipeline(notes := Notes(before))
        await broker.until_read(GROUP, IN)
    assert await parked(observer) == []
    assert notes.tried == [ORDERS] * 3
    assert told_orders(broker) == ORDERS


@pytest.mark.parametrize("error", [asyncpg.InternalClientError, asyncpg.InterfaceError, ConnectionResetError])
async def test_what_the_driver_says_of_a_connection_that_ended_parks_nothing(
    broker: Broker, database_url: str, observer: Any, error: type[Exception]
) -> None:
    """Asyncpg has many words for it: that it cannot switch to state 15 is one."""
    times = iter(range(2))

    async def before(_: Any) -> None:
        if next(times, None) is not None:
            raise error("cannot switch to state 15")

    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        process.pipeline(notes := Notes(before))
        await broker.until_read(GROUP, IN)
    assert await parked(observer) == []
    assert notes.tried == [ORDERS] * 3
    assert told_orders(broker) == ORDERS


async def test_a_connection_that_breaks_in_the_middle_parks_nothing(
    broker: Broker, database_url: str, observer: Any
) -> None:
    times = iter(range(2))

    async def before(_: Any) -> None:
        if next(times, None) is not None:
            assert await cut_others(observer) > 0

    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        process.pipeline(notes := Notes(before))
        await broker.until_read(GROUP, IN)
    assert await parked(observer) == []
    assert notes.tried == [ORDERS] * 3
    assert await noted(observer) == ORDERS
    assert told_orders(broker) == ORDERS


async def test_settings_that_reach_no_database_end_the_process_and_park_nothing(
    broker: Broker, database_url: str, observer: Any
) -> None:
    async def before(_: Any) -> None:
        raise asyncpg.ClientConfigurationError("sslmode is what?")

    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        with pytest.raises(asyncpg.ClientConfigurationError):
            await process.pipeline(Notes(before))
    assert await parked(observer) == []


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("DROP TABLE notes", asyncpg.UndefinedTableError),
        ("ALTER TABLE notes DROP COLUMN weight", asyncpg.PostgresSyntaxError),
        (
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '42501'; END $$;
               CREATE TRIGGER refused BEFORE INSERT ON notes EXECUTE FUNCTION refuse()""",
            asyncpg.InsufficientPrivilegeError,
        ),
    ],
)
async def test_a_database_that_does_not_fit_the_program_ends_the_process_and_parks_nothing(
    broker: Broker, database_url: str, observer: Any, statement: str, error: type[Exception]
) -> None:
    await observer.execute(statement)
    put(broker, *ORDERS)
    async with Process(broker, database_url) as process:
        with pytest.raises(error):
            await process.pipeline(Notes())
    assert await parked(observer) == []
    assert await observer.fetchval("SELECT next_offset FROM consumer_offsets") == 0
    assert told_orders(broker) == []


async def test_what_was_parked_while_it_could_not_be_recorded_is_processed_when_it_comes_again(
    broker: Broker, database_url: str, observer: Any
) -> None:
    """Parking doesn't mark a message as seen: redriving it would be a duplicate."""
    (first,) = put(broker, f"{TWICE}_1")
    async with Process(broker, database_url) as process:
        process.pipeline(Notes())
        await broker.until_read(GROUP, IN)
        assert told_orders(broker) == []
        await observer.execute("ALTER TABLE notes DROP CONSTRAINT notes_weight_check")
        again = broker.put(IN, first.value, key=first.key, headers=first.headers)
        await broker.until_read(GROUP, IN)
        assert (again.key, again.value, again.headers) == (first.key, first.value, first.headers)
    assert told_orders(broker) == [f"{TWICE}_1"]
    assert [header(record, "annul_offset") for record in broker.records(SPOILT)] == ["0"]
