"""Outcomes on their way: into PostgreSQL, then onto the topic, some twice or thrice, late and out of order."""

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from schemas.sellers import SellerOutcome
from workers.domain.seller import told
from workers.pipeline.emit import Emitter
from workers.pipeline.messages import outgoing

STEPS_A_S: Final = 5
_COLUMNS: Final = (
    "seller_id",
    "seq",
    "order_id",
    "outcome",
    "occurred_at",
    "replaces_outcome",
    "replaces_occurred_at",
)
_NUMBERED: Final = """
INSERT INTO sellers (seller_id, seq) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (seller_id) DO UPDATE SET seq = excluded.seq
"""


class Step(NamedTuple):
    """What is decided at one moment, and what is sent once that is recorded."""

    decided: Sequence[SellerOutcome]
    sent: Sequence[SellerOutcome]


def plan_steps(outcomes: Sequence[SellerOutcome], count: int, rng: random.Random) -> list[Step]:
    """Each outcome is sent one to three times, not before it is recorded; every other step is shuffled."""
    size = -(-len(outcomes) // count)
    decided = [outcomes[place : place + size] for place in range(0, len(outcomes), size)]
    last = len(decided) - 1
    sent: list[list[SellerOutcome]] = [[] for _ in decided]
    for place, some in enumerate(decided):
        for outcome in some:
            late = rng.randint(1, 5) if rng.random() < 0.06 else 0
            sent[min(place + late, last)].append(outcome)
            for _ in range(rng.choices((0, 1, 2), (55, 30, 15))[0]):
                again = rng.randrange(last + 1) if rng.random() < 0.05 else rng.randint(0, 8)
                sent[min(place + again, last)].append(outcome)
    for some in sent:
        if rng.random() < 0.5:
            rng.shuffle(some)
    return [Step(*pair) for pair in zip(decided, sent, strict=True)]


class Traffic:
    """Sends the steps over some time; tells how far it is."""

    def __init__(self, steps: Sequence[Step], connection: Any, emitter: Emitter) -> None:
        self._steps = steps
        self._connection = connection
        self._emitter = emitter
        self.decided = 0
        self.sent = 0

    async def send(self, lasting_s: float) -> None:
        """All of it; where PostgreSQL or Kafka are slow it lasts longer."""
        began = time.monotonic()
        for place, step in enumerate(self._steps):
            await asyncio.sleep(began + lasting_s * place / len(self._steps) - time.monotonic())
            await self._record(step.decided)
            now = datetime.now(UTC)
            await self._emitter.emit([outgoing(told(outcome, now), None) for outcome in step.sent])
            self.decided += len(step.decided)
            self.sent += len(step.sent)

    async def _record(self, decided: Sequence[SellerOutcome]) -> None:
        rows = [
            (
                *(one.seller_id, one.seq, one.order_id, one.outcome, one.occurred_at),
                *((one.replaces.outcome, one.replaces.occurred_at) if one.replaces else (None, None)),
            )
            for one in decided
        ]
        seqs = {one.seller_id: one.seq for one in decided}
        async with self._connection.transaction():
            await self._connection.execute(_NUMBERED, list(seqs), list(seqs.values()))
            await self._connection.copy_records_to_table("seller_outcomes", records=rows, columns=_COLUMNS)
