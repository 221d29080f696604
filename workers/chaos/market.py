"""The outcomes of a market's orders, made from a seed: numbered without a gap per seller, as cancellations number them.

Few sellers have most of the orders. Times lie in the last 120 days, some on a border of a UTC day; some outcomes are
heard days late, and about one in twenty corrects an earlier one.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from schemas.sellers import OutcomeKind, Replaced, SellerOutcome

DAYS: Final = 120
_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)
_SKEW: Final = 0.8
"""The n-th seller has n to the minus this of the first one's orders."""


_Counted = tuple[OutcomeKind, datetime, Replaced | None]
"""An outcome, its time, and what it takes back."""


class _Fact(NamedTuple):
    """One outcome before it is numbered."""

    heard_at: datetime
    order: int
    place: int
    """Among the outcomes of its order: they are heard in this order."""
    outcome: OutcomeKind
    occurred_at: datetime
    replaces: Replaced | None


def make_outcomes(count: int, sellers: int, rng: random.Random, now: datetime) -> list[SellerOutcome]:
    """`count` outcomes of at least one order of each seller, in the order in which they are decided."""
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    names = [f"sel_{number:05d}" for number in range(sellers)]
    weights = [(number + 1) ** -_SKEW for number in range(sellers)]
    manners = [rng.betavariate(1.2, 7) if rng.random() < 0.95 else rng.uniform(0.4, 0.9) for _ in range(sellers)]
    facts: list[_Fact] = []
    whose: list[int] = []
    while len(facts) < count:
        order = len(whose)
        seller = order if order < sellers else rng.choices(range(sellers), weights)[0]
        whose.append(seller)
        facts += _life(order, manners[seller], rng, today, now)
    # What is cut off is the last of the last order's: nothing is left that replaces it.
    facts = sorted(facts[:count], key=lambda fact: (fact.heard_at, fact.order, fact.place))
    seqs = [0] * sellers
    outcomes = []
    for fact in facts:
        seller = whose[fact.order]
        seqs[seller] += 1
        outcomes.append(
            SellerOutcome(
                seller_id=names[seller],
                order_id=f"ord_{fact.order:07d}",
                seq=seqs[seller],
                outcome=fact.outcome,
                occurred_at=fact.occurred_at,
                replaces=fact.replaces,
            )
        )
    return outcomes


def _life(order: int, cancels: float, rng: random.Random, today: datetime, now: datetime) -> Iterator[_Fact]:
    """The outcomes of one order, of a seller who cancels this share of them."""
    first = _moment(rng, today, now)
    then = _later(rng, first, now)
    heard = first
    for place, (outcome, occurred_at, replaces) in enumerate(_ending(first, then, cancels, rng)):
        late = timedelta(days=rng.uniform(0, 20)) if rng.random() < 0.1 else timedelta(seconds=rng.uniform(0, 5))
        heard = min(max(heard, occurred_at) + late, now)
        yield _Fact(heard, order, place, outcome, occurred_at, replaces)


def _ending(first: datetime, then: datetime, cancels: float, rng: random.Random) -> list[_Counted]:
    accepted: _Counted = ("accepted", first, None)
    chance = rng.random()
    if rng.random() < cancels:
        if chance < 0.35:
            return [("cancelled_before_acceptance", then, None)]
        if chance < 0.55:  # the acceptance was heard late: the cancellation moves to the other rate
            before = Replaced(outcome="cancelled_before_acceptance", occurred_at=then)
            return [
                ("cancelled_before_acceptance", then, None),
                accepted,
                ("cancelled_after_acceptance", then, before),
            ]
        if chance < 0.65:  # the acceptance turned out to be later than the cancellation
            return [accepted, ("cancelled_before_acceptance", first, Replaced(outcome="accepted", occurred_at=first))]
        return [accepted, ("cancelled_after_acceptance", then, None)]
    if chance < 0.08:  # still at work
        return [accepted]
    if chance < 0.15:  # at first the acceptance was known only from what followed it
        implied = Replaced(outcome="accepted", occurred_at=then)
        return [("accepted", then, None), ("completed", then, None), ("accepted", first, implied)]
    return [accepted, ("completed", then, None)]


def _moment(rng: random.Random, today: datetime, now: datetime) -> datetime:
    day = today - rng.randrange(DAYS) * _DAY
    if rng.random() < 0.1:
        return day if rng.random() < 0.5 else min(day + _DAY - _TICK, now)
    return day + rng.random() * (min(day + _DAY, now) - day)


def _later(rng: random.Random, first: datetime, now: datetime) -> datetime:
    then = first + timedelta(days=rng.expovariate(0.3))
    if rng.random() < 0.1:
        then = datetime(then.year, then.month, then.day, tzinfo=UTC) + _DAY
    return min(then, now)
