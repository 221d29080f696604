"""A seller with all that makes statistics hard to follow, as of a fixed day, and the others beside whom they stand.

Late events, a cancellation that turns out to have come after an acceptance, an acceptance whose day is corrected, days
that have left the windows, the windows' first days to the second, and one outcome of tomorrow.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from msgspec.structs import replace

from kit.database import set_clock
from schemas.sellers import OutcomeKind, Replaced, SellerOutcome
from workers.domain.explained_outcomes import Recorded
from workers.domain.statistics import Totals

TODAY = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
"""Windows begin: 30d on 2026-10-26, 60d on 2026-09-26, 90d on 2026-08-27."""
DISPUTED = "sel_disputed"
PARTITIONS = 2
SHARES = ([(10, 3, 6)], [(7, 1, 4), (20, 2, 2)])
"""By partition: closed orders, sellers with so many, their cancelled ones. The seller of 7 is the disputed one."""
OTHERS = (5, 0.7, 0.14)
"""How many, the sum of their rates, and their average: (0.6 + 0.1) / (3 + 2)."""

_ACCEPTED: OutcomeKind = "accepted"
_BEFORE: OutcomeKind = "cancelled_before_acceptance"
_COMPLETED: OutcomeKind = "completed"
_AFTER: OutcomeKind = "cancelled_after_acceptance"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


_TOLD: list[tuple[str, OutcomeKind, str, OutcomeKind | None, str | None]] = [
    ("ord_a", _ACCEPTED, "2026-07-01T10:00", None, None),
    ("ord_a", _COMPLETED, "2026-07-20T10:00", None, None),
    ("ord_b", _BEFORE, "2026-08-26T23:59:59.999999", None, None),
    ("ord_c", _ACCEPTED, "2026-09-01T10:00", None, None),
    ("ord_c", _COMPLETED, "2026-09-26T00:00", None, None),
    ("ord_d", _ACCEPTED, "2026-10-20T10:00", None, None),
    ("ord_d", _COMPLETED, "2026-10-20T10:00", None, None),
    ("ord_d", _ACCEPTED, "2026-09-25T23:59:59.999999", _ACCEPTED, "2026-10-20T10:00"),
    ("ord_e", _BEFORE, "2026-11-02T08:00", None, None),
    ("ord_e", _ACCEPTED, "2026-10-24T09:00", None, None),
    ("ord_e", _AFTER, "2026-11-02T08:00", _BEFORE, "2026-11-02T08:00"),
    ("ord_f", _ACCEPTED, "2026-10-26T00:00", None, None),
    ("ord_g", _BEFORE, "2026-11-10T10:00", None, None),
    ("ord_h", _BEFORE, "2026-11-24T10:00", None, None),
    ("ord_f", _COMPLETED, "2026-11-20T10:00", None, None),
    ("ord_i", _BEFORE, "2026-11-19T10:00", None, None),
    ("ord_j", _ACCEPTED, "2026-11-25T00:00", None, None),
]

OUTCOMES = [
    SellerOutcome(
        seller_id=DISPUTED,
        order_id=order_id,
        seq=seq,
        outcome=outcome,
        occurred_at=_at(at),
        replaces=Replaced(outcome=was, occurred_at=_at(then)) if was and then else None,
    )
    for seq, (order_id, outcome, at, was, then) in enumerate(_TOLD, 1)
]

COUNTS = {"lifetime": [6, 4, 4, 1], "90d": [4, 3, 3, 1], "60d": [2, 3, 3, 1], "30d": [1, 3, 1, 1]}
"""Counted by hand: accepted, cancelled before acceptance, completed, cancelled after acceptance."""


def recorded(outcomes: Sequence[SellerOutcome] = OUTCOMES) -> list[Recorded]:
    """As SQL gives them, the oldest first."""
    before = [None, *(one.occurred_at for one in outcomes)]
    return [
        Recorded(
            one.seq,
            one.order_id,
            one.outcome,
            one.occurred_at,
            one.replaces.outcome if one.replaces else None,
            one.replaces.occurred_at if one.replaces else None,
            previous,
        )
        for one, previous in zip(outcomes, before, strict=False)
    ]


def folded(outcomes: Iterable[SellerOutcome] = OUTCOMES) -> Totals:
    """As the workers count them, numbered anew."""
    totals = Totals()
    for seq, one in enumerate(outcomes, 1):
        assert totals.fold(replace(one, seq=seq)) == "applied"
    return totals


async def record_disputed(url: str, *, shares: bool = True) -> None:
    """Put the seller, and what the others add to the average, into a database whose clock stands at `TODAY`."""
    connection = await asyncpg.connect(url)
    try:
        await set_clock(connection, TODAY)
        await record_outcomes(connection, OUTCOMES)
        if shares:
            await record_shares(connection, SHARES)
    finally:
        await connection.close()


async def record_outcomes(connection: Any, outcomes: list[SellerOutcome]) -> None:
    """As the cancellations worker leaves them."""
    await connection.execute(
        "INSERT INTO sellers (seller_id, seq) VALUES ($1, $2)", outcomes[0].seller_id, outcomes[-1].seq
    )
    rows = [(outcomes[0].seller_id, *one[:-1]) for one in recorded(outcomes)]
    columns = ("seller_id", *Recorded._fields[:-1])
    await connection.copy_records_to_table("seller_outcomes", records=rows, columns=columns)


async def record_shares(connection: Any, shares: Any) -> None:
    """As the sellers workers leave them, each partition its own."""
    rows = [
        (partition, msgspec.msgpack.encode(parts), sum(part[1] for part in parts), True, "sellers-1", TODAY)
        for partition, parts in enumerate(shares)
    ]
    columns = ("partition", "share", "sellers", "caught_up", "process", "updated_at")
    await connection.copy_records_to_table("seller_shares", records=rows, columns=columns)
