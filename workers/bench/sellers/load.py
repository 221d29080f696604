"""Outcomes to measure with, as the worker `cancellations` sends and records them."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from schemas.sellers import OutcomeKind, Replaced, SellerOutcome
from workers.domain.seller import told
from workers.pipeline.kafka import KafkaProducer
from workers.pipeline.messages import outgoing
from workers.settings import Settings

SELLERS: Final = 2_000
_DAYS: Final = 100
_SEND: Final = 2_000
_MIX: Final[dict[OutcomeKind, int]] = {
    "accepted": 48,
    "cancelled_before_acceptance": 8,
    "completed": 38,
    "cancelled_after_acceptance": 6,
}
# An acceptance is corrected by its own event's time, a cancellation by an acceptance that came late.
_CORRECTED: Final[dict[str, OutcomeKind]] = {
    "accepted": "accepted",
    "cancelled_before_acceptance": "cancelled_after_acceptance",
}
_CORRECTIONS: Final = 0.055  # of those outcomes that can be corrected: about 3 in 100 of all


class Truth(msgspec.Struct):
    """What every fold must come to: how many sellers there are, and the sum of each of their counts."""

    sellers: int
    counts: dict[str, int]


def outcomes(count: int) -> Iterator[SellerOutcome]:
    """`count` outcomes in the order of their times, which end now; the same but for the times each time."""
    chance = random.Random(count)  # noqa: S311 - the same load for everyone, no secret
    now = datetime.now(UTC).replace(microsecond=0)
    last: dict[int, SellerOutcome] = {}
    kinds, weights = list(_MIX), list(_MIX.values())
    for number in range(count):
        seller = chance.randrange(SELLERS)
        before = last.get(seller)
        at = now - timedelta(days=_DAYS) * ((count - number) / count)
        corrected = _CORRECTED.get(before.outcome) if before and chance.random() < _CORRECTIONS else None
        if before and corrected and before.replaces is None:
            replaced = Replaced(outcome=before.outcome, occurred_at=before.occurred_at)
            kind, order_id, at = corrected, before.order_id, before.occurred_at - timedelta(hours=1)
        else:
            replaced, order_id = None, f"ord_{number:08d}"
            (kind,) = chance.choices(kinds, weights)
        last[seller] = SellerOutcome(
            seller_id=f"sel_{seller:05d}",
            order_id=order_id,
            seq=before.seq + 1 if before else 1,
            outcome=kind,
            occurred_at=at,
            replaces=replaced,
        )
        yield last[seller]


async def load(settings: Settings, count: int) -> Truth:
    """Fill the outcomes' topic and the tables of the outcomes and their sellers."""
    producer = KafkaProducer(settings.kafka())
    await producer.start()
    database = await asyncpg.connect(settings.database_url.get_secret_value())
    seqs: dict[str, int] = {}
    counts: Counter[str] = Counter()
    coming = outcomes(count)
    try:
        for start in range(0, count, _SEND):
            some = [next(coming) for _ in range(min(_SEND, count - start))]
            await producer.send_all([outgoing(told(one, one.occurred_at), None) for one in some])
            await database.copy_records_to_table("seller_outcomes", records=[_row(one) for one in some], columns=_ROW)
            for one in some:
                seqs[one.seller_id] = one.seq
                counts[one.outcome] += 1
                if one.replaces is not None:
                    counts[one.replaces.outcome] -= 1
        await database.copy_records_to_table("sellers", records=list(seqs.items()), columns=("seller_id", "seq"))
        await database.execute("ANALYZE seller_outcomes, sellers")
    finally:
        await database.close()
        await producer.stop()
    return Truth(len(seqs), dict(counts))


_ROW: Final = (
    "seller_id",
    "seq",
    "order_id",
    "outcome",
    "occurred_at",
    "replaces_outcome",
    "replaces_occurred_at",
)


def _row(one: SellerOutcome) -> tuple[object, ...]:
    taken = (one.replaces.outcome, one.replaces.occurred_at) if one.replaces else (None, None)
    return (one.seller_id, one.seq, one.order_id, one.outcome, one.occurred_at, *taken)
