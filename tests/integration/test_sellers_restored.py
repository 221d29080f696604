"""The table outlives its process, and comes back by itself where it is lost, spoiled or behind."""

from kit.kafka import World
from kit.sellers_ground import SellersGround

from schemas.sellers import SellerStatistics
from workers.domain.statistics import Told, Totals
from workers.sellers.shard import pack

CHECKED = "annul_sellers_checked_total"
ALARMS = "annul_alarms_total"


async def test_the_table_comes_back_from_its_changelog_alone(arena: SellersGround) -> None:
    await arena.start("one")
    outcomes = [*arena.some("sel_a", 1, 3), *arena.some("sel_b", 0, 2, ago=40)]
    await arena.tell(*outcomes)
    await arena.right()
    await arena.stop()
    told = len(arena.told)

    again = await arena.start("two")
    await arena.tell(arena.outcome("sel_a", "accepted"))
    await arena.right()
    assert arena.rows["sel_a"].seq == 5
    assert again.database.asked["read_seller_days"] == 0
    # Nobody else's row is told again: it was right.
    assert {row.seller_id for row in arena.told[told:] if isinstance(row, SellerStatistics)} == {"sel_a"}


async def test_with_its_changelog_deleted_it_is_made_again(arena: SellersGround, world: World) -> None:
    await arena.start()
    await arena.tell(*arena.some("sel_a", 1, 3), *arena.some("sel_b", 0, 2, ago=40), *arena.some("sel_c", 5, 0))
    await arena.right()
    await arena.stop()
    await world.admin.delete_topics([world.prefix + arena.changelog])
    told = len(arena.told)
    arena.rows.clear()  # what was told before doesn't count

    again = await arena.start()
    await arena.right()
    assert len(arena.told) >= told + 3
    assert not any(isinstance(one, str) for one in arena.told)
    await arena.tell(arena.outcome("sel_b"))
    await arena.right()
    assert again.counted(ALARMS) == 0


async def test_a_spoiled_value_is_repaired_and_alarms(arena: SellersGround) -> None:
    await arena.start()
    await arena.tell(*arena.some("sel_a", 1, 3), *arena.some("sel_b", 2, 2), *arena.some("sel_c", 0, 2))
    await arena.right()
    await arena.stop()
    today = arena.clock.now().toordinal()
    wrong = {
        # The right outcome, and wrong counts; a number that was never decided; somebody whom nobody knows.
        "sel_a": Totals(4, [9, 1, 3, 0], {today: [9, 1, 3, 0]}, Told(4, today, 1, 4, 0.9, above=False)),
        "sel_b": Totals(9, [0, 2, 7, 0], {today: [0, 2, 7, 0]}, Told(9, today, 2, 9, 0.5, above=False)),
        "sel_nobody": Totals(1, [0, 0, 1, 0], {today: [0, 0, 1, 0]}, Told(1, today, 0, 1, 0.5, above=False)),
    }
    for seller_id, totals in wrong.items():
        await arena.put(arena.changelog, seller_id, pack(totals))
    arena.rows["sel_nobody"] = arena.rows["sel_c"]

    again = await arena.start(check_every_s=2)
    await arena.until(lambda: arena.rows["sel_a"].lifetime.accepted == 9, "a wrong row is told")
    await arena.until(lambda: again.counted(CHECKED, found="differing") >= 3, "they are found")
    await arena.until(lambda: "sel_nobody" not in arena.rows and "sel_nobody" in arena.told, "it leaves the table")
    arena.rows.pop("sel_b", None)  # its wrong row had a higher number; what comes after it counts
    await arena.tell(arena.outcome("sel_b"))
    await arena.right()
    assert again.counted(ALARMS, event="statistics.differed") == 3
    # It stays so: the next check finds nothing.
    checked = again.counted(CHECKED, found="compared")
    await arena.until(lambda: again.counted(CHECKED, found="compared") >= checked + 3, "another check")
    assert again.counted(ALARMS, event="statistics.differed") == 3


async def test_outcomes_that_never_came_are_found(arena: SellersGround) -> None:
    running = await arena.start(check_every_s=0.3)
    await arena.tell(*arena.some("sel_a", 1, 3))
    await arena.right()
    # On a slow machine what was just told may have been on its way for too long as well.
    alarms = running.counted(ALARMS, event="statistics.outcomes_lost")
    await arena.record(arena.outcome("sel_a"), *arena.some("sel_new", 1, 1))
    await arena.right()
    await arena.until(
        lambda: running.counted(ALARMS, event="statistics.outcomes_lost") >= alarms + 2, "two sellers are told of"
    )
    await arena.tell(arena.outcome("sel_new"))
    await arena.right()
