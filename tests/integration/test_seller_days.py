"""SQL counts of a seller's days what the fold counts: each outcome, each day, each window, wherever the session is."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit.builders import outcome

from schemas.sellers import Replaced, SellerOutcome
from workers.domain.statistics import KINDS, WINDOWS, DayCounts, Totals, first_day, totals_of
from workers.store.database import columns
from workers.store.queries import sql

START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = START.toordinal()
EDGES = (timedelta(0), timedelta(hours=9), timedelta(days=1, microseconds=-1))
"""Of a day: its first moment, another one and its last."""
ZONES = ("UTC", "America/Los_Angeles", "Pacific/Kiritimati", "Europe/Paris")


def history(seller_id: str, source: random.Random, most: int) -> list[SellerOutcome]:
    """Outcomes over 220 days; a third of them take back what stands."""
    made: list[SellerOutcome] = []
    standing: list[Replaced] = []
    for seq in range(1, source.randint(1, most) + 1):
        taken = None
        if standing and source.random() < 0.33:
            taken = standing.pop(source.randrange(len(standing)))
        when = START + timedelta(days=source.randrange(220)) + source.choice(EDGES)
        kind = source.choice(KINDS)
        standing.append(Replaced(outcome=kind, occurred_at=when))
        made.append(outcome(seq, kind, seller_id=seller_id, occurred_at=when, replaces=taken))
    return made


async def insert(observer: Any, outcomes: Sequence[SellerOutcome]) -> None:
    rows = [
        (one.seller_id, one.seq, one.order_id, one.outcome, one.occurred_at)
        + ((one.replaces.outcome, one.replaces.occurred_at) if one.replaces else (None, None))
        for one in outcomes
    ]
    await observer.copy_records_to_table("seller_outcomes", records=rows)


async def count(observer: Any, up_to: dict[str, int], today: int) -> dict[str, Totals]:
    rows: dict[str, list[DayCounts]] = {}
    asked = columns(list(up_to.items()), 2)
    for seller_id, *counts in await observer.fetch(sql("read_seller_days"), *asked, first_day(today)):
        rows.setdefault(seller_id, []).append(DayCounts(*counts))
    return {seller_id: totals_of(days, today) for seller_id, days in rows.items()}


def folded(outcomes: Sequence[SellerOutcome], up_to: int) -> Totals:
    totals = Totals()
    for one in outcomes[:up_to]:
        assert totals.fold(one) == "applied"
    return totals


def same(one: Totals, two: Totals, today: int) -> bool:
    windows = all(
        one.window(length, day) == two.window(length, day) for length in WINDOWS.values() for day in (today, today + 5)
    )
    return (one.seq, one.lifetime, windows) == (two.seq, two.lifetime, True) and one.same_counts(two, today)


@pytest.mark.parametrize("zone", ZONES)
async def test_sql_counts_what_the_fold_counts_up_to_every_outcome(observer: Any, zone: str) -> None:
    await observer.execute(f"SET timezone = '{zone}'")
    outcomes = history("sel_1", random.Random(zone), most=60)
    await insert(observer, [*outcomes, *history("sel_10", random.Random(1), most=20)])
    for up_to in range(1, len(outcomes) + 1):
        today = FIRST + 3 * up_to
        counted = (await count(observer, {"sel_1": up_to}, today))["sel_1"]
        assert same(folded(outcomes, up_to), counted, today), up_to


async def test_sql_counts_many_sellers_at_once_each_up_to_its_own_outcome(observer: Any) -> None:
    source = random.Random(2)
    histories = {f"sel_{number}": history(f"sel_{number}", source, most=40) for number in range(60)}
    await insert(observer, [one for outcomes in histories.values() for one in outcomes])
    for today in (FIRST - 10, FIRST, FIRST + 90, FIRST + 150, FIRST + 219, FIRST + 230, FIRST + 400):
        up_to = {seller_id: source.randint(0, len(outcomes) + 3) for seller_id, outcomes in histories.items()}
        counted = await count(observer, up_to, today)
        assert counted.keys() == {seller_id for seller_id, seq in up_to.items() if seq}
        for seller_id, totals in counted.items():
            assert same(folded(histories[seller_id], up_to[seller_id]), totals, today), (seller_id, today)


@pytest.mark.parametrize("zone", ZONES)
async def test_the_last_microsecond_of_a_day_and_the_first_of_the_next_are_two_days(observer: Any, zone: str) -> None:
    await observer.execute(f"SET timezone = '{zone}'")
    last = START + timedelta(days=100, microseconds=-1)
    found = [
        outcome(1, "accepted", occurred_at=last),
        outcome(2, "completed", occurred_at=last + timedelta(microseconds=1)),
        outcome(3, "accepted", occurred_at=last, replaces=Replaced(outcome="accepted", occurred_at=last)),
    ]
    await insert(observer, found)
    counted = (await count(observer, {"sel_1": 9}, FIRST + 100))["sel_1"]
    assert counted.days == {FIRST + 99: [1, 0, 0, 0], FIRST + 100: [0, 0, 1, 0]}
    assert (counted.window(30, FIRST + 99), counted.window(30, FIRST + 129)) == ([1, 0, 0, 0], [0, 0, 1, 0])


async def test_a_seller_of_whom_all_was_taken_back_or_lies_long_ago_is_counted_all_the_same(observer: Any) -> None:
    when = START + timedelta(days=1)
    taken = Replaced(outcome="accepted", occurred_at=when)
    moved = outcome(2, "accepted", occurred_at=when - timedelta(days=1), replaces=taken)
    await insert(observer, [outcome(1, "accepted", occurred_at=when), moved])
    counted = (await count(observer, {"sel_1": 2}, FIRST + 300))["sel_1"]
    assert (counted.seq, counted.lifetime, counted.days) == (2, [1, 0, 0, 0], {})
