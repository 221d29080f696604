import asyncio, pytest
from kit.sellers_ground import SellersGround

@pytest.mark.parametrize("n", range(6))
async def test_restart(arena: SellersGround, n: int) -> None:
    running = await arena.start()
    await arena.tell(arena.outcome("sel_a"))
    await arena.right()
    await arena.until_committed(1)
    await arena.stop(running)
    await arena.tell(arena.outcome("sel_a"), arena.outcome("sel_b"))
    two = await arena.start("two")
    await arena.right()
    try:
        async with asyncio.timeout(15):
            await arena.until_committed(3)
    except TimeoutError:
        found = await arena.world.admin.list_consumer_group_offsets(f"{arena.world.prefix}annul.sellers")
        print("STALL", found, {n_: (s.done, len(s.rows)) for n_, s in two.worker._held.shards.items()})
        c = two.worker._engine._app.consumer
        print("DONE", c.done, c._committed_offset, c.flow_active, c.away)
        th = c._thread; cons = th._ensure_consumer()
        print("POS", {tp: cons._subscription.subscription.assignment.state_value(tp).position if cons._subscription.subscription.assignment.state_value(tp).has_valid_position else None for tp in cons.assignment()}, cons.paused() if hasattr(cons,'paused') else None)
        raise
