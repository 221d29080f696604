"""The sellers' table beside SQL: real processes, killed and frozen meanwhile. Longer: `make chaos-sellers`."""

import asyncio
import os
import sys

import msgspec
import pytest

from workers.chaos.run import Report

SHORT = ("--outcomes", "8000", "--sellers", "200", "--within-s", "60", "--json")


async def proved(*options: str) -> Report:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers", "chaos", "sellers", *SHORT, *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, told = await child.communicate()
    assert child.returncode == 0, f"{output.decode()[-6000:]}\n{told.decode()[-6000:]}"
    return msgspec.json.decode(output, type=Report)


def repairs(report: Report) -> dict[str, int]:
    """What the worker's own comparison had to mend: nothing that a crash may leave behind."""
    words = ("statistics.differed", "statistics.outcomes_lost")
    return {event: count for event, count in report.log_events.items() if any(word in event for word in words)}


pytestmark = [pytest.mark.long, pytest.mark.skipif("ANNUL_CHAOS" not in os.environ, reason="by `make chaos-short`")]


@pytest.mark.timeout(180)
async def test_after_kills_zombies_and_shuffled_duplicates_every_seller_is_as_sql_says() -> None:
    """And again once its changelog is lost, without any new outcome: while nobody runs, then under those who do."""
    report = await proved("--kills", "5", "--lasting-s", "14")
    assert report.ok
    assert report.acts["kill"] == 5
    assert report.acts["freeze"] >= 2
    assert report.rebalances >= 3
    assert (report.outcomes, report.wrong_on_the_way) == (8000, 0)
    assert report.sent > 10_000
    assert [(proof.sellers, proof.differing) for proof in report.proofs] == [(200, 0)] * 3
    assert not repairs(report)
