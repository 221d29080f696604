"""A seller's totals against brute force over the list of their outcomes, and when their row is told again."""

from collections.abc import Iterator

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from kit.outcomes import START, counts_of, outcomes, windows_of

from schemas.sellers import SellerOutcome
from workers.domain.averages import Others
from workers.domain.statistics import KINDS, MOVED, WINDOWS, Told, Totals, is_above, is_due, row_of, span_of

FIRST = START.toordinal()
SKEW = 2
"""Days by which the clocks of two processes may differ."""


def packed(totals: Totals) -> Totals:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(totals), type=Totals)


def deliveries(data: st.DataObject, found: list[SellerOutcome]) -> Iterator[tuple[int, SellerOutcome]]:
    """Outcomes in order, with how many are counted then; some come again, some come too early."""
    for counted, one in enumerate(found):
        for _ in range(data.draw(st.integers(0, 2))):
            yield counted, found[data.draw(st.integers(0, len(found) - 1))]
        yield counted, one


@given(st.data())
def test_all_time_and_every_window_are_what_brute_force_counts(data: st.DataObject) -> None:
    found, totals, today = data.draw(outcomes()), Totals(), FIRST + data.draw(st.integers(0, 100))
    for before, one in deliveries(data, found):
        counted = totals.seq
        assert counted >= before
        word = totals.fold(one)
        assert word == ("applied" if one.seq == counted + 1 else "repeat" if one.seq <= counted else "gap")
        today += data.draw(st.sampled_from([0, 0, 0, 1, 1, 5, 40]))
        if data.draw(st.booleans()):
            totals.let_go(today - data.draw(st.integers(0, SKEW)))
        if data.draw(st.booleans()):
            totals = packed(totals)
        behind = found[: totals.seq]
        assert totals.lifetime == counts_of(behind)
        for day in (today - SKEW, today, today + 1):
            assert totals.windows(day) == windows_of(behind, day)
        assert {length: totals.window(length, today) for length in WINDOWS.values()} == totals.windows(today)
    assert totals.seq == len(found)


@given(outcomes(), st.integers(0, 300))
def test_a_row_says_what_brute_force_counts(found: list[SellerOutcome], days: int) -> None:
    totals = Totals()
    for one in found:
        totals.fold(one)
    today = FIRST + days
    as_of = START.fromordinal(today).replace(tzinfo=START.tzinfo)
    row, told = row_of("sel_1", totals, as_of, None)
    expected = windows_of(found, today)
    assert row.lifetime == span_of(counts_of(found))
    assert row.windows == {name: span_of(expected[length]) for name, length in WINDOWS.items()}
    _, before, completed, after = expected[60]
    assert (told.cancelled, told.closed) == (before + after, completed + before + after) == totals.judged(today)


@given(st.data())
def test_two_that_count_the_same_are_the_same_whenever_days_were_let_go(data: st.DataObject) -> None:
    found, today = data.draw(outcomes()), FIRST + data.draw(st.integers(0, 200))
    one, two = Totals(), Totals()
    for at, each in enumerate(found):
        one.fold(each)
        two.fold(each)
        if data.draw(st.booleans()):
            two.let_go(FIRST + at)
    two.let_go(today)
    assert one.same_counts(two, today)
    if found:
        kind = next(kind for kind, count in zip(KINDS, one.lifetime, strict=True) if count)
        two.lifetime[KINDS.index(kind)] -= 1
        assert not one.same_counts(two, today)


@given(st.data())
def test_a_row_is_due_on_exactly_the_days_on_which_a_window_has_another_content(data: st.DataObject) -> None:
    """Days that lay ahead come into windows, others leave; processes may be away for weeks."""
    found, totals = data.draw(outcomes(days=240)), Totals()
    for one in found:
        totals.fold(one)
    told_on = FIRST + data.draw(st.integers(60, 150))
    tell(totals, told_on)
    for today in range(told_on, told_on + 121):
        if data.draw(st.integers(0, 9)) == 0:
            totals.let_go(today)
            totals = packed(totals)
        changed = windows_of(found, told_on) != windows_of(found, today)
        assert is_due(totals, today, None) is changed, today - told_on
        if changed and data.draw(st.booleans()):
            told_on = today
            tell(totals, today)
            assert not is_due(totals, today, None)


def tell(totals: Totals, today: int, others: Others | None = None) -> None:
    """As the worker does."""
    totals.let_go(today)
    as_of = START.fromordinal(today).replace(tzinfo=START.tzinfo)
    _, totals.told = row_of("sel_1", totals, as_of, others)


rates = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)


@given(outcomes(days=20, most=40), st.lists(rates, max_size=12), st.lists(rates, max_size=3), st.integers(0, 10**4))
def test_a_row_is_due_where_the_others_moved_by_more_than_a_thousandth_or_the_verdict_flips(
    found: list[SellerOutcome], others: list[list[int]], changed: list[list[int]], crowd: int
) -> None:
    totals, today = Totals(), FIRST + 30
    for one in found:
        totals.fold(one)
    tell(totals, today)
    mine = totals.judged(today)
    before = everyone(others, crowd, mine)
    tell(totals, today, before)
    assert totals.told is not None
    assert not is_due(totals, today, before)
    after = everyone([*changed, *others[len(changed) :]], crowd, mine)
    assert is_due(totals, today, after) is (must_tell(totals.told, mine, after.average_without(*mine)))
    tell(totals, today, after)
    assert not is_due(totals, today, after)


def everyone(others: list[list[int]], crowd: int, mine: tuple[int, int]) -> Others:
    """All sellers: a crowd of so many with 3 of 10, whom none of the others can move far, and the one in question."""
    parts = [(closed, 1, cancelled) for cancelled, closed in [*others, mine] if closed]
    return Others([parts, [(10, crowd, 3 * crowd)] if crowd else []])


def must_tell(told: Told, mine: tuple[int, int], average: float | None) -> bool:
    """By the words of the contract."""
    if told.average is None or average is None:
        return told.average is not average
    steps = abs(round(told.average * 10**6) - round(average * 10**6))
    return steps > MOVED * 10**6 or is_above(*mine, average) is not told.above
