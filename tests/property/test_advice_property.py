"""Any 200 days of a seller: once a crossing, never twice in 30 days, never while below, and at last where it lasts."""

from datetime import timedelta
from itertools import pairwise
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from kit.advising import judged
from kit.builders import NOW

from workers.domain.advice import Standing, decide_standing

DAYS: Final = 200
PAUSE: Final = 30
DAY: Final = timedelta(days=1)
Walk = list[bool | None]
"""Each day's verdict; None where the others' average isn't known."""


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    """Above and below in turn, for a day or for months."""
    days: Walk = []
    above = draw(st.booleans())
    while len(days) < DAYS:
        days += [above] * draw(st.integers(1, 45))
        above = not above
    for unknown in draw(st.lists(st.integers(0, DAYS - 1), max_size=20)):
        days[unknown] = None
    return days[:DAYS]


def advices(walk: Walk, calls: list[int]) -> list[int]:
    """The days on which the seller is advised, where each day's row is told `calls` times."""
    standing: Standing | None = None
    days = []
    for day, above in enumerate(walk):
        average = None if above is None else 0.124
        for call in range(calls[day]):
            now = NOW + day * DAY + timedelta(hours=call)
            standing, advise = decide_standing(standing, judged(above=bool(above), others_average=average), now)
            if advise:
                days.append(day)
    return days


def crossings(walk: Walk) -> list[list[int]]:
    """The days of each crossing on which the seller is known to be above."""
    found: list[list[int]] = []
    above = False
    for day, verdict in enumerate(walk):
        if verdict is None:
            continue
        if verdict and not above:
            found.append([])
        if verdict:
            found[-1].append(day)
        above = verdict
    return found


@given(walks())
def test_advice_comes_once_a_crossing_and_at_most_every_30_days_and_at_last(walk: Walk) -> None:
    told = advices(walk, [1] * DAYS)
    assert all(walk[day] for day in told), "never while below, or while nobody knows"
    assert all(later - earlier >= PAUSE for earlier, later in pairwise(told))
    for days in crossings(walk):
        own = [day for day in told if day in days]
        assert len(own) <= 1
        before = [day for day in told if day < days[0]]
        could = [day for day in days if not before or day - before[-1] >= PAUSE]
        assert own == could[:1], "on the first day on which it may be"


@given(walks(), st.lists(st.integers(1, 4), min_size=DAYS, max_size=DAYS))
def test_repeating_changes_nothing(walk: Walk, calls: list[int]) -> None:
    once, often = advices(walk, [1] * DAYS), advices(walk, calls)
    assert once == often
