"""What the recorded outcomes come to, in SQL of its own: nothing here is shared with the workers.

An outcome counts unless a later one of its order takes it back. (The workers add and take off; this leaves out.)
"""

from datetime import date, timedelta
from typing import Any, Final

import msgspec

Four = tuple[int, int, int, int]
"""Accepted, cancelled before acceptance, completed, cancelled after acceptance."""
SPANS: Final = ("lifetime", "30d", "60d", "90d")
JUDGED: Final = "60d"
LONGEST: Final = 90

_COUNTED: Final = """
CREATE TEMPORARY TABLE counted ON COMMIT DROP AS
SELECT o.seller_id, o.outcome AS kind, (o.occurred_at AT TIME ZONE 'UTC')::date AS day
  FROM seller_outcomes AS o
 WHERE NOT EXISTS (
       SELECT FROM seller_outcomes AS later
        WHERE later.seller_id = o.seller_id AND later.order_id = o.order_id AND later.seq > o.seq
          AND later.replaces_outcome = o.outcome AND later.replaces_occurred_at = o.occurred_at)
"""
_BY_SPAN: Final = """
SELECT s.seller_id, s.seq, w.name,
       count(*) FILTER (WHERE kind = 'accepted') AS accepted,
       count(*) FILTER (WHERE kind = 'cancelled_before_acceptance') AS before,
       count(*) FILTER (WHERE kind = 'completed') AS completed,
       count(*) FILTER (WHERE kind = 'cancelled_after_acceptance') AS after
  FROM (SELECT seller_id, max(seq) AS seq FROM seller_outcomes GROUP BY seller_id) AS s
 CROSS JOIN (VALUES ('lifetime', NULL), ('30d', 30), ('60d', 60), ('90d', 90)) AS w(name, days)
  LEFT JOIN counted AS c
    ON c.seller_id = s.seller_id AND (w.days IS NULL OR (c.day > $1::date - w.days AND c.day <= $1::date))
 GROUP BY s.seller_id, s.seq, w.name
"""
_BY_DAY: Final = """
SELECT seller_id, day,
       count(*) FILTER (WHERE kind = 'accepted') AS accepted,
       count(*) FILTER (WHERE kind = 'cancelled_before_acceptance') AS before,
       count(*) FILTER (WHERE kind = 'completed') AS completed,
       count(*) FILTER (WHERE kind = 'cancelled_after_acceptance') AS after
  FROM counted WHERE day > $1::date - 90 AND day <= $1::date GROUP BY seller_id, day
"""
# Every seller beside every other one: slow, and hard to get wrong.
_OTHERS: Final = """
WITH rated AS MATERIALIZED (
  SELECT seller_id, (count(*) FILTER (WHERE kind LIKE 'cancelled%'))::float8 / count(*) AS rate
    FROM counted WHERE kind <> 'accepted' AND day > $1::date - 60 AND day <= $1::date GROUP BY seller_id)
SELECT s.seller_id, avg(r.rate) AS average
  FROM (SELECT DISTINCT seller_id FROM seller_outcomes) AS s
  LEFT JOIN rated AS r ON r.seller_id <> s.seller_id
 GROUP BY s.seller_id
"""


class Truth(msgspec.Struct):
    """One seller by SQL, on some day."""

    seq: int
    spans: dict[str, Four]
    days: dict[int, Four]
    """Of the longest window's days those with something to count, by ordinal."""
    others_average: float | None


async def read_truth(connection: Any, today: date) -> dict[str, Truth]:
    """Every seller with an outcome, by id, in one snapshot."""
    found: dict[str, Truth] = {}
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute(_COUNTED)
        await connection.execute("ANALYZE counted")
        averages = dict(await connection.fetch(_OTHERS, today))
        for seller_id, seq, name, *counts in await connection.fetch(_BY_SPAN, today):
            truth = found.setdefault(seller_id, Truth(seq, {}, {}, averages[seller_id]))
            # A seller with nothing in a span still has the one empty row of the outer join, of no kind.
            truth.spans[name] = tuple(counts)
        for seller_id, day, *counts in await connection.fetch(_BY_DAY, today):
            found[seller_id].days[day.toordinal()] = tuple(counts)
    return found


def within(days: dict[int, list[int]], length: int, today: date) -> Four:
    """What counts by day, by ordinal, come to in the last `length` days, today included."""
    wanted = {(today - timedelta(days=back)).toordinal() for back in range(length)}
    sums = [0, 0, 0, 0]
    for day in wanted & days.keys():
        sums = [have + more for have, more in zip(sums, days[day], strict=True)]
    return (sums[0], sums[1], sums[2], sums[3])
