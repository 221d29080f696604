"""Rows that change without an outcome: days go by, and the other sellers' average moves."""

from functools import partial

from kit.sellers_ground import SellersGround


def _told_up_to(arena: SellersGround, seller_id: str, seq: int) -> bool:
    return any(row.seq == seq for row in arena.told_of(seller_id))


async def test_a_row_is_told_again_when_a_day_takes_something_out_of_a_window(arena: SellersGround) -> None:
    await arena.start()
    await arena.tell(*arena.some("sel_a", 1, 2), *arena.some("sel_b", 0, 1, ago=200), arena.outcome("sel_c"))
    await arena.right()
    for days, empty in ((30, {"30d"}), (60, {"30d", "60d"}), (90, {"30d", "60d", "90d"})):
        arena.move(days=days - (0 if days == 30 else days - 30))
        await arena.right()
        row = arena.rows["sel_a"]
        assert {name for name, span in row.windows.items() if not span.completed} == empty
        assert row.as_of.date() == arena.clock.now().date()
        assert (row.seq, row.lifetime.completed) == (3, 2)
    # To one whose orders are older nothing happened but to the others: first there are some, then none any more.
    assert [one.others_average for one in arena.told_of("sel_b")][-2:] == [round(1 / 6, 6), None]


async def test_a_day_that_changes_nothing_tells_nothing(arena: SellersGround) -> None:
    await arena.start()
    await arena.tell(*arena.some("sel_a", 1, 2), *arena.some("sel_b", 0, 1))
    await arena.right()
    told = len(arena.told)
    arena.move(days=1)
    await arena.tell(arena.outcome("sel_b", ago=0))
    arena.move(days=1)
    await arena.right()
    assert {one.seller_id for one in arena.told[told:] if not isinstance(one, str)} == {"sel_b"}


async def test_two_workers_share_the_average(arena: SellersGround) -> None:
    one, other = await arena.start("one"), await arena.start("two")
    await arena.until(lambda: len(one.holds) == len(other.holds) == 1, "each has a partition")
    sellers = [arena.seller_in(partition, n) for partition in (0, 1) for n in range(4)]
    await arena.tell(*(line for n, seller_id in enumerate(sellers) for line in arena.some(seller_id, n, 8 - n)))
    await arena.right()
    assert len({row.others_average for row in arena.rows.values()}) == len(sellers)

    # One gets much better: everybody's average but theirs moves, those of the other process too.
    told = len(arena.told)
    await arena.tell(*arena.some(sellers[-1], 0, 100))
    await arena.right()
    assert {row.seller_id for row in arena.told[told:] if not isinstance(row, str)} == set(sellers)


async def test_averages_are_right_from_the_first_row_on(arena: SellersGround) -> None:
    """However many rows of a seller follow on each other, the seller's own rate is never in their average."""
    await arena.start()
    await arena.tell(*arena.some("sel_b", 1, 1), *arena.some("sel_c", 1, 1))
    await arena.right()
    for n in range(12):
        seq = n + 1
        await arena.tell(arena.outcome("sel_a", "completed" if n % 3 else "cancelled_before_acceptance"))
        await arena.until(partial(_told_up_to, arena, "sel_a", seq), "a row")
    assert {row.others_average for row in arena.told_of("sel_a")} == {0.5}
