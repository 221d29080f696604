"""A person pauses the worker `sellers`: nothing is folded or committed until they let it go on."""

import asyncio

import pytest
from kit.sellers_ground import SellersGround


class Pause:
    """A person's word, and how often it was asked for."""

    def __init__(self) -> None:
        self.paused = True
        self.asked = 0

    @property
    def held(self) -> bool:
        self.asked += 1
        return self.paused

    async def watch(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("stops", [False, True])
async def test_what_comes_while_it_is_paused_is_folded_afterwards(arena: SellersGround, stops: bool) -> None:
    running = await arena.start()
    await arena.tell(arena.outcome("sel_a"))
    await arena.right()
    await arena.until_committed(1)
    running.worker._hold = pause = Pause()
    await arena.tell(arena.outcome("sel_a"), arena.outcome("sel_b"))
    await arena.until(lambda: pause.asked > 8, "it waits for the end of the pause")
    assert arena.rows["sel_a"].seq == 1
    assert "sel_b" not in arena.rows
    assert await arena.committed() == 1
    if stops:
        await arena.stop(running)
        assert await arena.committed() == 1, "what was not folded is read again"
        await arena.start("two")
    else:
        pause.paused = False
    await arena.right()
    await arena.until_committed(3)
