"""Outcomes become rows: each counts once and on its day, whatever comes twice, late, astray or not at all."""

from kit.kafka import World
from kit.sellers_ground import SellersGround

from schemas.topics import PARKED, SELLERS_OUTCOMES

OUTCOMES = SELLERS_OUTCOMES.name


async def test_outcomes_become_rows_by_the_day_of_the_event(arena: SellersGround) -> None:
    await arena.start()
    accepted = arena.outcome("sel_a", "accepted", ago=29)
    late = arena.outcome("sel_a", "completed", ago=45)
    old = arena.outcome("sel_a", "cancelled_after_acceptance", ago=300)
    await arena.tell(accepted, late, old)
    await arena.right()
    row = arena.rows["sel_a"]
    assert (row.seq, row.lifetime.accepted, row.lifetime.completed) == (3, 1, 1)
    assert (row.lifetime.cancellation_rate, row.windows["60d"].cancellation_rate) == (0.5, 0.0)
    assert row.windows["30d"].completion_rate is None
    assert (row.others_average, row.above_average) == (None, False)

    # It turns out that the acceptance came after a cancellation: it moves from one rate to the other, and its day too.
    await arena.tell(arena.outcome("sel_a", "cancelled_before_acceptance", ago=31, replaces=accepted))
    await arena.right()
    row = arena.rows["sel_a"]
    assert (row.lifetime.accepted, row.lifetime.acceptance_rate) == (0, 0.0)
    assert row.windows["30d"].acceptance_rate is None

    # The same outcomes again change nothing; what comes after them shows that they were read.
    told = len(arena.told_of("sel_a"))
    await arena.send(accepted, late, old)
    await arena.tell(arena.outcome("sel_z"))
    await arena.until(lambda: "sel_z" in arena.rows, "the row of another seller")
    await arena.tell(arena.outcome("sel_a", ago=1))
    await arena.right()
    assert [one.seq for one in arena.told_of("sel_a")[told:]][-1] == 5
    assert arena.rows["sel_a"].lifetime.completed == 2


async def test_what_is_out_of_order_or_missing_is_read_from_the_database_at_once(arena: SellersGround) -> None:
    running = await arena.start()
    sellers = [arena.seller_in(0, n) for n in range(20)]
    await arena.tell(*(arena.outcome(one, "accepted") for one in sellers))
    await arena.right()
    before = running.database.asked["read_seller_days"]
    # Of each seller's next five outcomes the fourth, the second and the fifth come, and in this order.
    decided = [arena.some(one, 2, 3, ago=5 + 2 * n) for n, one in enumerate(sellers)]
    await arena.record(*(one for five in decided for one in five))
    await arena.send(*(five[n] for n in (3, 1, 4) for five in decided))
    await arena.right()
    # Fetched together or not: a question a batch, not one for each seller.
    assert 1 <= running.database.asked["read_seller_days"] - before <= 3
    # From there on it goes without the database.
    asked = running.database.asked["read_seller_days"]
    await arena.tell(*(arena.outcome(one) for one in sellers))
    await arena.right()
    assert running.database.asked["read_seller_days"] == asked
    assert await arena.parked() == []


async def test_an_outcome_that_nobody_decided_is_parked_and_not_counted(arena: SellersGround, world: World) -> None:
    running = await arena.start()
    await arena.tell(arena.outcome("sel_a"))
    await arena.right()
    await arena.send(arena.skipped("sel_a", 3))
    await arena.put(OUTCOMES, "sel_a", b"\xff{")
    await arena.put(OUTCOMES, "sel_a", None)
    await arena.tell(arena.outcome("sel_a", "accepted"))
    await arena.right()
    assert arena.rows["sel_a"].lifetime.completed == 1
    parked = await world.records(PARKED.name, 3)
    reasons = [dict(one.headers)["annul_reason"].decode() for one in parked]
    assert sorted(reasons) == sorted(await arena.parked())
    assert reasons.count("unknown_outcome") == 1
    assert parked[0].key == b"sel_a"
    await arena.until(
        lambda: running.counted("annul_messages_total", topic=OUTCOMES, label="parked") == 3, "all are counted"
    )


async def test_an_outcome_in_a_wrong_partition_counts_once_and_where_it_belongs(arena: SellersGround) -> None:
    running = await arena.start()
    seller_id = arena.seller_in(0)
    outcomes = arena.some(seller_id, 1, 3)
    await arena.record(*outcomes)
    for one in outcomes:
        await arena.misplace(one, 1)
    await arena.right()
    assert arena.rows[seller_id].lifetime.completed == 3
    await arena.until(
        lambda: running.counted("annul_messages_total", topic=OUTCOMES, label="sent_on") == 4, "they are sent on"
    )
