"""Random histories of orders on the real decide and record code and a real PostgreSQL (SPEC §8: I1-I5, I8-I10).

Cancellations, duplicates, results, webhooks, look-ups, crashes and stalls between any two steps, stale copies that come
late, disputes, payouts, people's actions: whatever happens, a client gets what is due, once.

`ANNUL_HISTORIES=20000` runs more of them, `ANNUL_HISTORY_SEED=7` this one again, with all that happened in it.
"""

import os
from typing import Final

import pytest
from kit.database import Copies
from kit.history_run import Report, lanes, run_histories, run_lanes

HISTORIES: Final = int(os.environ.get("ANNUL_HISTORIES", "500"))
FIRST_SEED: Final = int(os.environ.get("ANNUL_HISTORIES_FROM", "0"))
SEED: Final = os.environ.get("ANNUL_HISTORY_SEED")
# Histories in which these never happen prove little of them.
_HAPPENS: Final = (
    "action applied",
    "asked mark_settled",
    "bounces",
    "claim key_forgotten",
    "claim stale",
    "copies",
    "crashes",
    "disputes",
    "ends needs_review",
    "ends redirected",
    "ends settled_elsewhere",
    "ends succeeded",
    "refund.bounced",
    "refund.failed",
    "refund.pending",
    "payouts refused",
)


@pytest.mark.timeout(0)
async def test_whatever_happens_a_client_gets_what_is_due_once(copies: Copies) -> None:
    if SEED is not None:
        report = await run_histories(await copies.take(), [int(SEED)])
    else:
        urls = [await copies.take() for _ in range(lanes())]
        report = await run_lanes(urls, range(FIRST_SEED, FIRST_SEED + HISTORIES))
    assert not report.failures, f"after {report.histories} histories\n{report.failures[0].text}"
    if SEED is None:
        told(report)


def told(report: Report) -> None:
    """What happened in them, and that it was not too little."""
    print(f"\n{report.histories} histories:", ", ".join(f"{what} {n}" for what, n in sorted(report.tally.items())))
    assert report.histories == HISTORIES
    if HISTORIES >= 500:
        assert [what for what in _HAPPENS if not report.tally[what]] == []


async def test_the_same_seed_is_the_same_history(copies: Copies) -> None:
    """Alone or beside others, before or after them: else a failure could not be looked at again."""
    url = await copies.take()
    alone = await run_histories(url, [11])
    first = await run_histories(url, [10, 11])
    again = await run_histories(url, [10, 11])
    assert first.logs == again.logs
    assert alone.logs[11] == first.logs[11]
