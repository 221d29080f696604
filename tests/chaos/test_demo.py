"""The demo in a short form, as a person would run it, while things break. Longer: `make chaos`."""

import asyncio
import os
import re
import sys

import pytest

pytestmark = [pytest.mark.long, pytest.mark.skipif("ANNUL_CHAOS" not in os.environ, reason="by `make chaos-short`")]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--kill",), id="every worker is killed in turn"),
        pytest.param(("--outage", "postgres", "--outage-s", "15"), id="PostgreSQL is gone for 15 s"),
        pytest.param(("--outage", "kafka", "--outage-s", "15"), id="Kafka is gone for 15 s"),
    ],
)
async def test_everything_comes_to_its_end_and_every_invariant_holds(options: tuple[str, ...]) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers",
        "demo",
        "--orders",
        "1000",
        "--seed",
        str(len(options) + 11),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await child.communicate()
    told = output.decode()
    assert child.returncode == 0, told[-6000:]
    assert "all hold" in told
    assert re.search(r"Reconciliation: [1-9]\d* listed, [1-9]\d* ours, no differences", told), told[-6000:]
    if "--outage" in options:
        assert "Workers started again: none" in told, told[-6000:]
