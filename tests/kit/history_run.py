"""Many random histories after one another: some at a time in one database, all invariants checked in between."""

import asyncio
import os
import re
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from typing import Any, Final

import asyncpg
import msgspec
import uvloop
from msgspec.structs import replace

from kit.history_checks import check_end
from kit.history_outside import Outside
from kit.history_world import START, World
from workers.domain.policy import Policy
from workers.insight.verify import check_tables
from workers.insight.violations import Violation
from workers.settings import Settings

TOGETHER: Final = 40
"""So many histories share the tables until these are emptied."""
SETTINGS: Final = Settings.read(
    {
        # Far apart, so that days pass in few steps.
        "ANNUL_REFUND_RETRY_BASE_S": "20",
        "ANNUL_REFUND_RETRY_MAX_S": "14400",
        "ANNUL_REFUND_LOOK_UP_MAX_S": "21600",
        "ANNUL_REFUND_PENDING_LOOK_UP_S": "86400",
    }
)
_PART: Final = 2 * TOGETHER
"""So many are given to a process at a time."""
_TABLES: Final = """SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables
 WHERE schemaname = 'public' AND tablename NOT LIKE '%migration%' AND tablename NOT LIKE '%trek%'"""
_OF_REFUND: Final = "SELECT order_id FROM refunds WHERE refund_id = $1"
_SEED: Final = re.compile(r"(?:\b|_)h(\d+)\.")
_LATER: Final = (START + timedelta(days=400)).isoformat()


class Failure(msgspec.Struct, frozen=True):
    """A history in which something did not hold."""

    seed: int
    text: str


class Report(msgspec.Struct):
    """What came of some histories."""

    histories: int = 0
    failures: list[Failure] = []
    tally: Counter[str] = msgspec.field(default_factory=Counter)
    logs: dict[int, list[str]] = {}
    """Of the last histories that shared the tables."""


class _History:
    """One under way."""

    def __init__(self, seed: int, connection: Any) -> None:
        policy = SETTINGS.policy()
        if seed % 5:
            # Most are audited twice instead of four times: their days cost less.
            seldom = replace(policy.refunds, audit_after=(timedelta(days=1), timedelta(days=30)))
            policy = Policy(refunds=seldom, chats=policy.chats)
        self.seed = seed
        self.world = World(seed, connection, policy)
        self.truths = Outside(self.world).truths
        self.failure: Failure | None = None

    async def go(self, steps: int | None) -> None:
        """So many steps, or to the end and what must hold there."""
        if self.failure is not None:
            return
        try:
            await self.world.set_clock(self.world.now)
            await self.world.run(steps)
            if steps is None:
                await check_end(self.world, self.truths)
        except Exception as error:  # noqa: BLE001 - whatever it is, this history shows it
            place = "" if isinstance(error, AssertionError) else "".join(traceback.format_exception(error))
            self.fail(f"{type(error).__name__}: {error}\n{place}")

    def fail(self, text: str) -> None:
        """Keep what does not hold, with all that led to it."""
        if self.failure is None:
            lies = f" ({self.truths.lie})" if self.truths.lie else ""
            told = "\n".join(self.world.log)
            self.failure = Failure(
                self.seed,
                f"history {self.seed}{lies}: {text}\n{told}\n\nhistory {self.seed}{lies}: {text}\n"
                f"again: ANNUL_HISTORY_SEED={self.seed} pytest tests/property/test_histories.py",
            )


async def run_histories(url: str, seeds: Sequence[int], *, stop_at_failure: bool = True) -> Report:
    """Run them in the database at `url`, which is emptied."""
    connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"}, statement_cache_size=500)
    report = Report(failures=[])
    try:
        tables = await connection.fetchval(_TABLES)
        for first in range(0, len(seeds), TOGETHER):
            await _empty(connection, tables)
            report.logs = {}
            for history in await _together(connection, seeds[first : first + TOGETHER]):
                report.logs[history.seed] = history.world.log
                report.histories += 1
                report.tally.update(history.world.tally)
                if history.failure is not None:
                    report.failures.append(history.failure)
            if report.failures and stop_at_failure:
                break
    finally:
        await connection.close()
    return report


async def _together(connection: Any, seeds: Sequence[int]) -> list[_History]:
    """All of them for some steps, then for some more, then to their end; the tables are checked each time."""
    histories = [_History(seed, connection) for seed in seeds]
    for share in (0, 1, None):
        for history in histories:
            # Where it is interrupted is part of the seed as well, so that it is the same alone.
            steps = None if share is None else 3 + (history.seed * 7919 + share * 104_729) % 40
            await history.go(steps)
        at = _LATER if share is None else min(history.world.now for history in histories).isoformat()
        await _verify(connection, at, histories)
    return histories


async def _verify(connection: Any, at: str, histories: Sequence[_History]) -> None:
    by_seed = {str(history.seed): history for history in histories}
    for check, violation in await _violations(connection, at):
        subject = violation.subject
        if subject.startswith("rfd_"):
            subject = await connection.fetchval(_OF_REFUND, subject)
        named = _SEED.search(subject)
        assert named is not None, f"{check} tells of {violation}, which is no history's"
        history = by_seed[named[1]]
        # Each history has its own time, and some checks ask how old something is: what breaks one breaks it then.
        if (check, violation) in await _violations(connection, history.world.now.isoformat()):
            history.fail(f"{check}: {violation.subject}: {violation.detail}")


async def _violations(connection: Any, at: str) -> list[tuple[Any, Violation]]:
    await connection.execute("SELECT set_config('annul.now', $1, false)", at)
    async with connection.transaction():
        found = await check_tables(connection, SETTINGS)
    return [(check, violation) for check, violations in found.items() for violation in violations]


async def _empty(connection: Any, tables: str) -> None:
    await connection.execute("SET session_replication_role = replica")  # past the triggers that keep every row
    await connection.execute(f"TRUNCATE {tables}")
    await connection.execute("SET session_replication_role = origin")


def run_lane(url: str, seeds: Sequence[int]) -> Report:
    """For a process of its own."""
    report = uvloop.run(run_histories(url, seeds))
    report.logs = {}
    return report


async def run_lanes(urls: Sequence[str], seeds: Sequence[int]) -> Report:
    """In as many processes as there are databases."""
    whole = Report(failures=[])
    loop = asyncio.get_running_loop()
    parts = [seeds[first : first + _PART] for first in range(0, len(seeds), _PART)]
    with ProcessPoolExecutor(len(urls), get_context("spawn")) as pool:

        async def lane(url: str) -> None:
            while parts and not whole.failures:
                part = parts.pop(0)
                report = await loop.run_in_executor(pool, run_lane, url, part)
                whole.histories += report.histories
                whole.failures += report.failures
                whole.tally.update(report.tally)

        await asyncio.gather(*map(lane, urls))
    return whole


def lanes() -> int:
    """How many processes."""
    return max(1, min(4, os.cpu_count() or 1))
