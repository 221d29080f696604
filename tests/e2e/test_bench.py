"""The benchmarks in a short form, as a person would run them: they report, and have checked that all was done."""

import asyncio
import json
import sys
from typing import Any

import pytest


async def bench(*options: str) -> tuple[int, str]:
    """Its exit code and all that it printed."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers", "bench", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await child.communicate()
    assert child.returncode is not None
    return child.returncode, output.decode() or errors.decode()


async def reported(*options: str) -> Any:
    """The report for machines."""
    code, told = await bench(*options, "--json")
    assert code == 0, told[-6000:]
    return json.loads(told)


@pytest.mark.timeout(240)
async def test_sellers_are_measured_beside_the_others_and_their_table_is_restored() -> None:
    report = await reported(
        *("sellers", "--messages", "3000", "--rounds", "1", "--no-install", "--restore", "--restored", "500")
    )
    assert report["messages"] == 3000
    assert report["sellers"] > 1000
    assert len(report["rounds"]) == 1
    # quixstreams is measured where somebody has installed it before, and otherwise told to be missing.
    assert {"ours", "faust", "bare"} | ({"quixstreams"} - report["left_out"].keys()) == report["medians"].keys()
    assert report["ratios"].keys() == report["medians"].keys() - {"ours"}
    for one in report["rounds"]:
        assert one["rates"].keys() == report["medians"].keys()
        assert all(rate["per_s"] > 0 and rate["cpu_us"] > 0 for rate in one["rates"].values())
        assert one["rows"] >= report["sellers"]
    assert report["restored"]["sellers"] == 500
    assert report["restored"]["seconds"] > 0


async def test_options_before_a_benchmarks_name_are_refused() -> None:
    code, told = await bench("--rounds", "2", "sellers")
    assert code == 2
    assert "go after its name" in told


@pytest.mark.timeout(240)
async def test_cancellations_are_measured_where_nothing_else_is_named() -> None:
    report = await reported("--messages", "1000", "--rounds", "1")
    assert report["messages"] == 1000
    (one,) = report["rounds"]
    assert one["annul_per_s"] > 0
    assert one["bare_per_s"] > 0
    assert report["ratio"] > 0
