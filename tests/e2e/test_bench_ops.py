"""`annul bench ops` in a short form: every page of the dashboard is asked, and what it read is told."""

import asyncio
import json
import os
import sys
from typing import Any

import pytest


async def reported(*options: str) -> Any:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers", "bench", "ops", *options, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await child.communicate()
    assert child.returncode == 0, errors.decode()[-4000:]
    return json.loads(output)


@pytest.mark.long
@pytest.mark.skipif("ANNUL_BENCH_OPS" not in os.environ, reason="two minutes; by `make bench-ops`")
@pytest.mark.timeout(300)
async def test_every_page_is_measured_over_a_filled_database() -> None:
    small = ("--orders", "3000", "--parked", "200", "--sellers", "50", "--requests", "1")
    report = await reported(*small, "--pairs", "1", "--messages", "5000")
    assert report["sizes"] == {"orders": 3000, "parked": 200, "sellers": 50}
    pages = {page["path"]: page for page in report["pages"]}
    assert {"/", "/consumers", "/refunds", "/parked", "/sellers", "/chats", "/audit"} <= pages.keys()
    assert any(path.startswith("/orders/ord_") for path in pages)
    assert any("after=" in path for path in pages), "the second page of a long list is asked for too"
    for page in pages.values():
        assert 0 < page["median_ms"] <= page["p95_ms"]
    assert report["left_out"] == {}
    (pair,) = report["pairs"]
    assert min(pair["alone_per_s"], pair["watched_per_s"]) > 0
    assert pair["pages"] > 0, "people looked while it worked"
