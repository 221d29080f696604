"""One run: read each provider's list, compare, ask about what is suspected and about a sample, tell, report."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from workers.pipeline.ports import Clock
from workers.providers.port import ListedRefund, ListFailed, Provider
from workers.reconcile import reading
from workers.reconcile.asking import Asker, look_ups_of
from workers.reconcile.compare import Comparison, Known
from workers.reconcile.telling import MOST_DIFFERENCES, difference_of, tell, untold, words_of
from workers.reconcile.types import NOT_CONFIGURED, Ask, Finding, ProviderReport, Report
from workers.store.database import Database
from workers.store.queries import sql

_MOST_LISTED: Final = 250_000
_MOST_REDIRECTED: Final = 5_000
_MOST_SUSPECTED: Final = 1_000
_MOST_WOKEN: Final = 10_000
_LIST_WITHIN_S: Final = 1_800.0
_REDIRECTED_FOR: Final = timedelta(days=60)
_SAMPLED_FOR: Final = timedelta(days=60)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is to look at."""

    period_from: datetime
    period_to: datetime
    lag: timedelta
    """What is younger isn't compared: a provider's list lags, and news of it may be on its way."""
    sample: int
    """Succeeded refunds that each provider is asked about once more."""
    uncertain_after: timedelta
    """An uncertain refund that waits for longer is asked about now; likewise a pending one."""
    pending_after: timedelta
    skew: timedelta = timedelta(minutes=10)
    """So far a provider's clock may be from ours at the edges of a period."""
    dry_run: bool = False
    by: Literal["person", "timer"] = "person"


class _Found(msgspec.Struct, kw_only=True):
    """What came of one provider."""

    provider: str
    listed: int = 0
    ours: int = 0
    looked_up: int = 0
    failed: str | None = None
    findings: list[Finding] = msgspec.field(default_factory=list)


async def reconcile(database: Database, clock: Clock, providers: Mapping[str, Provider | None], plan: Plan) -> Report:
    """Compare and report; tells and records unless it is a dry run. None stands for a provider without credentials.

    Raises what PostgreSQL raises. What a provider does is in the report.
    """
    started_at: datetime = (await database.fetch("read_clock"))[0][0]
    found = []
    for name, provider in providers.items():
        if provider is None:
            found.append(_Found(provider=name, failed=NOT_CONFIGURED))
        else:
            found.append(await _Run(database, clock, provider, plan, started_at).run())
    return await _conclude(database, plan, started_at, found)


class _Run:
    """One provider's part."""

    def __init__(self, database: Database, clock: Clock, provider: Provider, plan: Plan, started_at: datetime) -> None:
        self._database = database
        self._clock = clock
        self._provider = provider
        self._plan = plan
        self._started_at = started_at
        self._found = _Found(provider=provider.name)

    async def run(self) -> _Found:
        """What was found, or why not."""
        suspected = await self._compare()
        asker = Asker(self._provider, self._clock)
        # One question of each kind, and one finding: a suspicion may be of a refund that is sampled too.
        asks = {(ask.ours.refund_id, ask.provider_refund_id): ask for ask in (*await self._samples(), *suspected)}
        findings = [*self._found.findings, *await asker.ask(list(asks.values()))]
        unique = {(one.kind, one.refund_id, one.provider_refund_id): one for one in findings}
        self._found.findings = list(unique.values())
        self._found.looked_up = asker.answered
        self._found.failed = self._found.failed or asker.failed
        return self._found

    async def _compare(self) -> list[Ask]:
        """The list against ours. Of a list that can't be read to its end nothing is concluded."""
        cutoff = min(self._started_at, self._plan.period_to) - self._plan.lag
        comparison = Comparison(cutoff)
        try:
            await self._clock.wait_for(self._take_list(comparison), _LIST_WITHIN_S)
        except ListFailed as error:
            return self._fail(f"list_failed: {error}"[:200])
        except TimeoutError:
            return self._fail("list_timed_out")
        self._found.listed = comparison.listed
        since, until = self._plan.period_from + self._plan.skew, cutoff - self._plan.skew
        async for rows in reading.read_expected(self._database, self._provider.name, since, until):
            comparison.expect(rows)
        self._found.ours = comparison.expected
        self._found.findings += comparison.findings
        asks = comparison.asks()
        if comparison.lacks_all:
            self._fail("list_has_none_of_ours")
        # Too many to ask about: what the list says goes to a person as it is.
        self._found.findings += [ask.suspected for ask in asks[_MOST_SUSPECTED:] if ask.suspected is not None]
        return asks[:_MOST_SUSPECTED]

    async def _take_list(self, comparison: Comparison) -> None:
        chunk: list[ListedRefund] = []
        async for listed in self._provider.list_refunds(self._plan.period_from, self._plan.period_to):
            chunk.append(listed)
            if len(chunk) >= reading.CHUNK:
                await self._take(comparison, chunk)
                chunk = []
            if comparison.listed + len(chunk) > _MOST_LISTED:
                raise ListFailed(f"more than {_MOST_LISTED} refunds; take a shorter period")
        await self._take(comparison, chunk)

    async def _take(self, comparison: Comparison, chunk: list[ListedRefund]) -> None:
        rows = await reading.read_named(self._database, self._provider.name, chunk)
        comparison.take(chunk, Known(rows))

    async def _samples(self) -> list[Ask]:
        """Succeeded ones, others each day, and the original of every redirected one: does it stay dead?"""
        name, now = self._provider.name, self._started_at
        seed = now.toordinal()
        sampled = await self._database.fetch("reconcile_sample", name, now - _SAMPLED_FOR, seed, self._plan.sample)
        redirected = await self._database.fetch("reconcile_redirected", name, now - _REDIRECTED_FOR, _MOST_REDIRECTED)
        ids = [row["refund_id"] for row in (*sampled, *redirected)]
        known = await reading.read_refunds(self._database, name, ids)
        return [ask for refund_id in ids if refund_id in known for ask in look_ups_of(known[refund_id])]

    def _fail(self, reason: str) -> list[Ask]:
        self._found.failed = reason
        return []


async def _conclude(database: Database, plan: Plan, started_at: datetime, found: list[_Found]) -> Report:
    """Tell, wake and record in one transaction: a run that is cut short has done nothing."""
    pairs = [(one.provider, finding) for one in found for finding in one.findings]
    kept = [(provider, finding, words_of(finding, started_at)) for provider, finding in pairs[:MOST_DIFFERENCES]]
    words = [word for *_, some in kept for word in some]
    async with database.transaction() as connection:
        fresh = await (untold if plan.dry_run else tell)(connection, words)
        providers = [
            ProviderReport(
                provider=one.provider,
                listed=one.listed,
                ours=one.ours,
                looked_up=one.looked_up,
                woken=0 if one.failed == NOT_CONFIGURED else await _wake(connection, one.provider, plan, started_at),
                failed=one.failed,
            )
            for one in found
        ]
        differences = [
            difference_of(finding, provider, some, fresh, dry=plan.dry_run) for provider, finding, some in kept
        ]
        finished_at = await connection.fetchval(sql("read_clock"))
        report = Report(
            run_id=f"rec_{secrets.token_hex(12)}",
            by=plan.by,
            dry_run=plan.dry_run,
            started_at=started_at,
            finished_at=finished_at,
            period_from=plan.period_from,
            period_to=plan.period_to,
            providers=tuple(providers),
            differences=tuple(differences),
            left_out=len(pairs) - len(kept),
            ok=not pairs and all(one.failed in (None, NOT_CONFIGURED) for one in found),
        )
        if not plan.dry_run:
            await _record(connection, report)
    return report


async def _wake(connection: Any, provider: str, plan: Plan, now: datetime) -> int:
    before = (now - plan.uncertain_after, now - plan.pending_after)
    if plan.dry_run:
        count: int = await connection.fetchval(sql("reconcile_count_overdue"), provider, *before)
        return min(count, _MOST_WOKEN)
    return len(await connection.fetch(sql("reconcile_wake"), provider, *before, _MOST_WOKEN))


async def _record(connection: Any, report: Report) -> None:
    await connection.execute(
        sql("record_reconciliation"),
        report.run_id,
        report.started_at,
        report.finished_at,
        report.period_from,
        report.period_to,
        len(report.differences) + report.left_out,
        msgspec.json.encode(report).decode(),
    )
