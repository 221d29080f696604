"""Whether the invariants of SPEC §8 hold: in one snapshot of the database, and on request against topics and books."""

from datetime import timedelta
from typing import Any, Final

import msgspec

from workers.domain.refund_types import TRANSITIONS
from workers.insight.books import check_books
from workers.insight.reading import connected
from workers.insight.statistics_checks import check_statistics
from workers.insight.statistics_topic import decided_so_far
from workers.insight.topic_checks import check_cancellations
from workers.insight.violations import MOST_VIOLATIONS, Violation
from workers.settings import Settings
from workers.store.action_audit import check_audit
from workers.store.queries import names, sql

_SQL_CHECKS: Final = "verify_i"
AUDIT: Final = "the audit chain of manual actions verifies"
_SLACK: Final = timedelta(seconds=60)
"""How late a due row's message may be decided before somebody should look."""


Found = dict[tuple[str, str], list[Violation]]
"""Violations by invariant and by what the check holds to."""


class Check(msgspec.Struct, frozen=True):
    """One check that was made, and how much it found; `found` is at most the limit of a check."""

    invariant: str
    holds_to: str
    found: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of all checks. `violations` holds at most a thousand a check."""

    ok: bool
    counts: dict[str, Any]
    violations: list[Violation]
    checks: list[Check]


async def verify(settings: Settings, *, topics: bool = False, books: bool = False) -> Report:
    """Check what the tables say; with `topics` also Kafka, with `books` the simulated providers.

    Raises OSError, TimeoutError, asyncpg.PostgresError, KafkaError or SettingsError where something can't be asked.
    """
    async with connected(settings) as connection:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = await check_tables(connection, settings)
            counts = await _count(connection)
            if topics:
                found["I4", "read from the topic"] = await check_cancellations(connection, settings)
                decided = await decided_so_far(connection, settings)
        if topics:
            # Outside of the snapshot: what the topic says by now may be younger than it.
            found["I7", "statistics on the topic"] = await check_statistics(connection, settings, decided)
        if books:
            found["BOOK", "the providers agree"], counts["books"] = await check_books(connection, settings)
    return _report(counts, found)


async def check_tables(connection: Any, settings: Settings) -> Found:
    """What the tables alone tell, as the connection's transaction sees them."""
    # Each check asks about everything there is: to go to an index row by row is never the way, and without fresh
    # statistics the planner would not know (29 s instead of 0.3 s for I4, right after 20,000 orders came in).
    await connection.execute("SET LOCAL enable_nestloop = off")
    found: Found = {}
    for name in names(_SQL_CHECKS):
        rows = await connection.fetch(sql(name), MOST_VIOLATIONS, *_arguments(name, settings))
        invariant = invariant_of(name)
        found[invariant, _title_of(name)] = [Violation(invariant, row["subject"], row["detail"]) for row in rows]
    await connection.execute("SET LOCAL enable_nestloop TO DEFAULT")
    audit = await check_audit(connection, MOST_VIOLATIONS)
    found["I10", AUDIT] = [Violation("I10", subject, detail) for subject, detail in audit]
    return found


def invariant_of(query: str) -> str:
    """The invariant that a query asks after: I7 of verify_i7_seq_gapless."""
    return query.split("_", 2)[1].upper()


def _arguments(name: str, settings: Settings) -> tuple[Any, ...]:
    if name == "verify_i8_transitions":
        steps = [(before, after) for before, successors in TRANSITIONS.items() for after in successors]
        return [before for before, _ in steps], [after for _, after in steps]
    if name == "verify_i9_something_moves_it":
        return (settings.policy().refunds.audit_after[-1],)
    if name == "verify_i9_uncertain_in_time":
        next_look = timedelta(seconds=settings.refund_look_up_max_s)
        return (settings.refund_give_up_after + next_look + _SLACK,)
    return ()


async def _count(connection: Any) -> dict[str, Any]:
    row = dict(await connection.fetchrow(sql("count_everything")))
    return {**row, "refunds": msgspec.json.decode(row["refunds"])}


def _title_of(query: str) -> str:
    return query.split("_", 2)[2].replace("_", " ")


def _report(counts: dict[str, Any], found: Found) -> Report:
    by_invariant = sorted(found, key=lambda check: (len(check[0]), check[0]))  # I10 after I9
    return Report(
        ok=not any(found.values()),
        counts=counts,
        violations=[violation for check in by_invariant for violation in found[check]],
        checks=[Check(*check, len(found[check])) for check in by_invariant],
    )
