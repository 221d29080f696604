"""Several workers share the table: they come, go and stand still while outcomes stream, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.kafka import World
from kit.sellers_ground import SellersGround

from schemas.topics import SELLERS_STATISTICS


@asynccontextmanager
async def _streaming(arena: SellersGround, sellers: list[str]) -> AsyncIterator[None]:
    """Outcomes come all the while, of one seller after the other."""
    over = asyncio.Event()

    async def stream() -> None:
        number = 0
        while not over.is_set():
            kinds = ("completed", "accepted", "cancelled_after_acceptance")
            await arena.tell(*(arena.outcome(one, kinds[(number + n) % 3]) for n, one in enumerate(sellers)))
            number += 1

    task = asyncio.create_task(stream())
    try:
        yield
    finally:
        over.set()
        await task


async def test_partitions_are_handed_over_under_traffic(arena: SellersGround) -> None:
    one = await arena.start("one")
    sellers = [arena.seller_in(n % 2, n) for n in range(10)]
    async with _streaming(arena, sellers):
        await arena.until(lambda: len(arena.rows) == len(sellers), "rows of all")
        other = await arena.start("two")
        await arena.until(lambda: len(one.holds) == len(other.holds) == 1, "each has a partition")
        told = len(arena.told)
        await arena.until(lambda: len(arena.told) > told + 2 * len(sellers), "rows go on")
        await arena.stop(one)
        await arena.until(lambda: len(other.holds) == 2, "the other has both")
        told = len(arena.told)
        await arena.until(lambda: len(arena.told) > told + 2 * len(sellers), "rows go on")
    await arena.right()
    assert await arena.parked() == []
    assert other.counted("annul_alarms_total") == 0


async def test_a_worker_that_stood_still_is_no_owner_until_it_joined_again(arena: SellersGround) -> None:
    running = await arena.start()
    sellers = [arena.seller_in(n % 2, n) for n in range(10)]
    async with _streaming(arena, sellers):
        await arena.until(lambda: len(arena.rows) == len(sellers), "rows of all")
        for _ in range(5):  # each time it joins is another chance to lose something
            running.clock.skip(4.0)  # the session is 6 s long: others may have its partitions by now
            woke = running.clock.monotonic()
            await arena.until(lambda: running.taken_at > woke, "it joined again")  # noqa: B023 - called at once
            assert [at for at in running.emitter.at if woke <= at < running.taken_at] == []
            told = len(arena.told)
            await arena.until(lambda: len(arena.told) > told + len(sellers), "rows go on")  # noqa: B023 - called at once
    await arena.right()


async def test_offsets_move_last(arena: SellersGround, world: World) -> None:
    """What isn't told, or not in the changelog, is read again by whoever comes next."""
    running = await arena.start()
    await arena.tell(*arena.some("sel_a", 1, 1))
    await arena.right()
    rows, log = running.emitter.hold(SELLERS_STATISTICS.name), running.emitter.hold(arena.changelog)
    await arena.tell(*arena.some("sel_a", 1, 1))
    await arena.until(lambda: SELLERS_STATISTICS.name in running.emitter.waiting, "it is about to tell")
    assert await arena.committed() == 2
    rows.set()
    await arena.until(lambda: arena.changelog in running.emitter.waiting, "the table is about to be kept")
    await arena.right()
    assert await arena.committed() == 2
    kept = await world.records(arena.changelog, 1)
    log.set()
    await world.records(arena.changelog, len(kept) + 1)
    await arena.until_committed(4)
