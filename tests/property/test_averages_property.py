"""The others' average of every seller against brute force, however sellers come, change, go and are spread."""

from fractions import Fraction
from math import floor

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from workers.domain.averages import Others, Share, wilson_lower

Numbers = tuple[int, int]
NOBODY: Numbers = (0, 0)
_TIE = Fraction(1, 10**6)

numbers = st.one_of(
    st.just(NOBODY),
    st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda pair: (min(pair), max(pair))),
    st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)).map(lambda pair: (min(pair), max(pair))),
)
changes = st.lists(st.tuples(st.integers(0, 25), numbers), max_size=80)
"""Seller by seller: what is counted of them from then on; NOBODY is no closed order."""


def brute_force(sellers: dict[int, Numbers], without: int) -> Fraction | None:
    rates = [Fraction(*one) for seller, one in sellers.items() if seller != without and one[1]]
    return sum(rates, Fraction(0)) / len(rates) if rates else None


def agree(average: float | None, exact: Fraction | None) -> bool:
    """Equal to 6 places; of an exact tie either neighbour will do."""
    if average is None or exact is None:
        return average is None and exact is None
    steps = exact * 10**6
    if abs(steps - floor(steps) - Fraction(1, 2)) < _TIE:
        return round(average * 10**6) in (floor(steps), floor(steps) + 1)
    return average == round(float(exact), 6) and round(average * 10**6) == round(steps)


@given(changes, st.integers(1, 8))
def test_the_average_of_the_others_is_exact_for_every_seller(
    changed: list[tuple[int, Numbers]], partitions: int
) -> None:
    shares = [Share() for _ in range(partitions)]
    sellers: dict[int, Numbers] = {}
    followed = Others([])
    for seller, after in changed:
        before = sellers.get(seller, NOBODY)
        share = shares[seller % partitions]
        share.remove(*before)
        share.add(*after)
        followed.change(before, after)
        sellers[seller] = after
    sent = [msgspec.msgpack.decode(msgspec.msgpack.encode(share.parts())) for share in shares]
    for others in (Others(sent), followed):
        for seller, (cancelled, closed) in sellers.items():
            average = others.average_without(cancelled, closed)
            assert agree(average, brute_force(sellers, seller)), (average, seller)
        assert agree(others.average_without(*NOBODY), brute_force(sellers, -1))


@given(changes, st.integers(1, 8))
def test_a_share_is_that_of_who_is_there_whatever_went_before(
    changed: list[tuple[int, Numbers]], partitions: int
) -> None:
    shares = [Share() for _ in range(partitions)]
    sellers: dict[int, Numbers] = {}
    for seller, after in changed:
        share = shares[seller % partitions]
        share.remove(*sellers.get(seller, NOBODY))
        share.add(*after)
        sellers[seller] = after
    for number, share in enumerate(shares):
        anew = Share()
        for seller, one in sorted(sellers.items()):
            if seller % partitions == number:
                anew.add(*one)
        assert share.parts() == anew.parts() == Share(share.parts()).parts()


@given(st.integers(1, 10**9), st.data())
def test_what_a_rate_is_at_least_lies_between_nothing_and_the_rate(closed: int, data: st.DataObject) -> None:
    cancelled = data.draw(st.integers(0, closed))
    lower = wilson_lower(cancelled, closed)
    assert 0 <= lower <= cancelled / closed
    assert (lower < cancelled / closed) is (cancelled > 0)
    if cancelled < closed:
        assert lower < wilson_lower(cancelled + 1, closed), "more cancelled orders never look better"
