"""SQL of the proof's own, and the workers' fold: two ways to count, and no seller whom they count differently."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.base import encode
from schemas.sellers import SellerOutcome
from workers.chaos.compare import compare_rows, compare_table
from workers.chaos.market import make_outcomes
from workers.chaos.traffic import Traffic, plan_steps
from workers.chaos.truth import read_truth
from workers.domain.averages import Others, Share
from workers.domain.statistics import Totals, row_of
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.ports import Outgoing


class Nobody:
    """Takes what is sent, and remembers how much."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def send_all(self, records: Any) -> None:
        self.taken += records


async def record(observer: Any, outcomes: list[SellerOutcome]) -> Traffic:
    traffic = Traffic(plan_steps(outcomes, 7, random.Random(1)), observer, Emitter(Nobody(), SystemClock()))
    await traffic.send(0.1)
    return traffic


async def test_sql_and_the_fold_agree_on_every_seller_and_window(observer: Any) -> None:
    now = datetime.now(UTC)
    outcomes = make_outcomes(6_000, 120, random.Random(5), now)
    traffic = await record(observer, outcomes)
    assert traffic.decided == 6_000
    assert traffic.sent > 8_000
    folded: dict[str, Totals] = {}
    for outcome in outcomes:
        assert folded.setdefault(outcome.seller_id, Totals()).fold(outcome) == "applied"
    for day in (now, now + timedelta(days=17)):
        share = Share()
        for totals in folded.values():
            share.add(*totals.judged(day.toordinal()))
        others = Others([share.parts()])
        for seller_id, totals in folded.items():
            totals.told = row_of(seller_id, totals, day, None)[1]
        rows = {one: encode(row_of(one, totals, day, others)[0]) for one, totals in folded.items()}
        table = {one: msgspec.msgpack.encode(totals) for one, totals in folded.items()}
        truths = await read_truth(observer, day.date())
        assert len(truths) == 120
        assert [*compare_rows(rows, truths)] == []
        assert [*compare_table(table, truths, day.date())] == []


async def test_an_outcome_that_was_not_counted_shows(observer: Any) -> None:
    now = datetime.now(UTC)
    outcomes = make_outcomes(900, 20, random.Random(6), now)
    await record(observer, outcomes)
    left_out = next(one for one in reversed(outcomes) if one.outcome == "completed" and one.replaces is None)
    truths = await read_truth(observer, now.date())
    await observer.execute(
        "DELETE FROM seller_outcomes WHERE seller_id = $1 AND seq = $2", left_out.seller_id, left_out.seq
    )
    less = await read_truth(observer, now.date())
    differing = {one for one in truths if truths[one].spans != less[one].spans}
    assert differing == {left_out.seller_id}
