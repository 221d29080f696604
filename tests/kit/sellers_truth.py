"""What every seller's row should say: by brute force, from the outcomes that PostgreSQL has."""

from typing import Any

from kit.outcomes import counts_of, windows_of
from schemas.sellers import Replaced, SellerOutcome, SellerStatistics
from workers.domain.averages import wilson_lower
from workers.domain.statistics import MOVED, WINDOWS

Facts = dict[str, Any]


async def truth_of(observer: Any, today: int) -> dict[str, Facts]:
    """By brute force: what each seller's row should say."""
    outcomes: dict[str, list[SellerOutcome]] = {}
    for row in await observer.fetch("SELECT * FROM seller_outcomes ORDER BY seller_id, seq"):
        outcomes.setdefault(row["seller_id"], []).append(_outcome_of(row))
    facts: dict[str, Facts] = {}
    rates: dict[str, float] = {}
    for seller_id, found in outcomes.items():
        windows = windows_of(found, today)
        _, before, completed, after = windows[60]
        if closed := before + completed + after:
            rates[seller_id] = (before + after) / closed
        facts[seller_id] = {
            "seq": len(found),
            "lifetime": counts_of(found),
            "windows": {name: windows[length] for name, length in WINDOWS.items()},
            "judged": (before + after, closed),
        }
    for seller_id, fact in facts.items():
        others = [rate for one, rate in rates.items() if one != seller_id]
        average = fact["others_average"] = sum(others) / len(others) if others else None
        cancelled, closed = fact.pop("judged")
        fact["above_average"] = bool(
            average is not None and closed and wilson_lower(cancelled, closed) > round(average, 6)
        )
    return facts


def _outcome_of(row: Any) -> SellerOutcome:
    replaced = None
    if row["replaces_outcome"] is not None:
        replaced = Replaced(outcome=row["replaces_outcome"], occurred_at=row["replaces_occurred_at"])
    return SellerOutcome(
        seller_id=row["seller_id"],
        order_id=row["order_id"],
        seq=row["seq"],
        outcome=row["outcome"],
        occurred_at=row["occurred_at"],
        replaces=replaced,
    )


def _counts(span: Any) -> list[int]:
    return [
        span.accepted,
        span.cancelled_before_acceptance,
        span.completed,
        span.cancelled_after_acceptance,
    ]


def facts_of(row: SellerStatistics | None) -> Facts | None:
    """What a row says."""
    if row is None:
        return None
    return {
        "seq": row.seq,
        "lifetime": _counts(row.lifetime),
        "windows": {name: _counts(span) for name, span in row.windows.items()},
        "others_average": row.others_average,
        "above_average": row.above_average,
    }


def is_same(row: SellerStatistics | None, wanted: Facts | None) -> bool:
    """The average may be off by what it may move before a row is told again."""
    facts = facts_of(row)
    if facts is None or wanted is None:
        return facts is wanted
    have, should = facts.pop("others_average"), wanted["others_average"]
    near = have is should if have is None or should is None else abs(have - should) <= MOVED + 1e-6
    return near and facts == {name: value for name, value in wanted.items() if name != "others_average"}
