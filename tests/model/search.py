"""Breadth first through all worlds: the first fault found has the shortest story."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from model.moves import moves
from model.plain import plain
from model.properties import fault_of, rests
from model.world import Bounds, World, first_world

Place = TypeVar("Place")


class Found(NamedTuple):
    """What a search came to."""

    worlds: int
    fault: str | None = None
    story: tuple[str, ...] = ()
    """What happened until the fault, step by step."""


def search(bounds: Bounds, limit: int = 5_000_000) -> Found:
    """Every world within the bounds; ends at the first fault. Raises AssertionError beyond `limit` worlds."""

    def onwards(world: World) -> Iterator[tuple[str, World | None]]:
        for name, after in moves(world, bounds):
            yield name, after and plain(after, bounds)

    return explore(
        first_world(bounds),
        onwards,
        fault_of=lambda world: fault_of(world, beyond=bounds.beyond),
        is_good=rests,
        limit=limit,
    )


def explore(
    first: Place,
    moves_of: Callable[[Place], Iterator[tuple[str, Place | None]]],
    *,
    fault_of: Callable[[Place], str | None],
    is_good: Callable[[Place], bool],
    limit: int,
) -> Found:
    """All places that can be reached, each looked at once; then whether a good one can be reached from each."""
    numbers = {first: 0}
    parents: list[tuple[int, str]] = [(0, "")]
    sources: list[list[int]] = [[]]
    good: list[int] = []
    queue = deque([first])
    while queue:
        place = queue.popleft()
        number = numbers[place]
        if (fault := fault_of(place)) is not None:
            return Found(len(numbers), fault, _story(parents, number))
        beyond = False
        for name, after in moves_of(place):
            if after is None:
                beyond = True
                continue
            reached = numbers.setdefault(after, len(parents))
            if reached == len(parents):
                assert reached < limit, "the bounds are too wide"
                parents.append((number, name))
                sources.append([])
                queue.append(after)
            sources[reached].append(number)
        if beyond or is_good(place):
            good.append(number)
    if (stuck := _stuck(sources, good)) is not None:
        return Found(len(numbers), "no good end can be reached", _story(parents, stuck))
    return Found(len(numbers))


def _stuck(sources: list[list[int]], good: list[int]) -> int | None:
    reaches = bytearray(len(sources))
    todo = list(good)
    for number in good:
        reaches[number] = 1
    while todo:
        for number in sources[todo.pop()]:
            if not reaches[number]:
                reaches[number] = 1
                todo.append(number)
    return next((number for number, reached in enumerate(reaches) if not reached), None)


def _story(parents: list[tuple[int, str]], number: int) -> tuple[str, ...]:
    steps = []
    while number:
        number, name = parents[number]
        steps.append(name)
    return tuple(reversed(steps))
