"""Who is above the others' average is advised once, and nobody is judged by less than all that is known."""

from kit.kafka import World
from kit.sellers_ground import SellersGround

from schemas.topics import SELLERS_STATISTICS

STANDINGS = "SELECT * FROM seller_standings"
ADVICE = "SELECT * FROM scheduled_messages"


async def test_who_crosses_is_advised_once(arena: SellersGround) -> None:
    await arena.start()
    await arena.tell(*(line for n in range(4) for line in arena.some(arena.seller_in(n % 2, n), 1, 9)))
    await arena.right()
    await arena.tell(*arena.some("sel_high", 8, 2))
    (standing,) = await arena.until_rows(STANDINGS, 1)
    assert (standing["seller_id"], standing["above"], standing["advised"]) == ("sel_high", True, True)
    await arena.tell(*arena.some("sel_high", 1, 0))
    await arena.right()
    assert arena.rows["sel_high"].above_average
    (advice,) = await arena.observer.fetch(ADVICE)
    assert advice["schedule_id"].startswith("seller.advice:sel_high:")

    # They get better: below again, which is no reason to write to them; and back above is, but not within 30 days.
    await arena.tell(*arena.some("sel_high", 0, 400))
    await arena.until_rows(STANDINGS + " WHERE NOT above", 1)
    await arena.tell(*arena.some("sel_high", 300, 0))
    await arena.until_rows(STANDINGS + " WHERE above AND NOT advised", 1)
    assert len(await arena.observer.fetch(ADVICE)) == 1
    # Once they are over, without anything that changes the row.
    await arena.observer.execute("UPDATE seller_standings SET advised_at = advised_at - interval '30 days'")
    await arena.until_rows(STANDINGS + " WHERE above AND advised", 1)
    assert len(await arena.observer.fetch(ADVICE)) == 2


async def test_nobody_is_judged_by_less_than_all(arena: SellersGround, world: World) -> None:
    """The table is made from nothing: who is read first is above those who are there so far."""
    middling = arena.seller_in(0)
    good = [arena.seller_in(0, n + 1) for n in range(10)]
    bad = [arena.seller_in(1, n) for n in range(10)]
    await arena.record(*arena.some(middling, 30, 70))
    await arena.record(*(line for one in good for line in arena.some(one, 0, 20)))
    await arena.record(*(line for one in bad for line in arena.some(one, 16, 4)))
    await arena.start()
    await arena.right()
    await arena.until_rows(STANDINGS + " WHERE above", 10)
    told = await world.records(SELLERS_STATISTICS.name, 21)
    assert any(one.key == middling.encode() for one in told)
    assert not arena.rows[middling].above_average
    subjects = {row["subject"] for row in await arena.observer.fetch(ADVICE)}
    assert subjects == {f"seller:{one}" for one in bad}


async def test_nobody_is_judged_while_the_table_is_behind(arena: SellersGround) -> None:
    """Outcomes come, and of the other sellers little is known yet."""
    middling, good, bad = "sel_middling", "sel_good", [f"sel_bad_{n}" for n in range(5)]
    await arena.record(*arena.some(middling, 30, 70), *arena.some(good, 0, 20))
    await arena.record(*(line for one in bad for line in arena.some(one, 16, 4)))
    running = await arena.start(hold="read_sellers_after")
    await arena.tell(arena.outcome(good), arena.outcome(middling))
    await arena.until(lambda: (row := arena.rows.get(middling)) is not None and row.above_average, "a row too early")
    running.database.go_on.set()
    await arena.right()
    await arena.until_rows(STANDINGS + " WHERE above", len(bad))
    subjects = {row["subject"] for row in await arena.observer.fetch(ADVICE)}
    assert subjects == {f"seller:{one}" for one in bad}


async def test_a_crossing_that_no_row_told_of_is_closed(arena: SellersGround) -> None:
    """Left behind by a process that ended in between."""
    await arena.tell(*arena.some("sel_a", 0, 20), *arena.some("sel_b", 0, 20))
    await arena.observer.execute(
        "INSERT INTO seller_standings VALUES ('sel_a', true, now() - interval '1 day', true, now() - interval '1 day')"
    )
    await arena.start()
    await arena.until_rows(STANDINGS + " WHERE NOT above", 1)
    assert await arena.observer.fetch(ADVICE) == []
