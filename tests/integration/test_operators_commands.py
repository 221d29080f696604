"""The operators' commands as a person calls them: what is printed where, and with which exit code they end."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from kit.command import Annul, console_script
from kit.feed import break_rows
from kit.population import settings_for

from workers.insight.parked import Which, list_parked

JUNK = "orders.events.v1:0:22"


@pytest.fixture
def annul(populated_shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Annul:
    return console_script(monkeypatch, tmp_path, populated_shared)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("verify", 0),
        ("verify --topics", 2),
        ("order ord_refunded", 0),
        ("order ord_none", 1),
        ("order", 2),
        ("sellers show sel_0", 0),
        ("sellers show sel_none", 1),
        ("parked list --since 2h --status any", 0),
        ("parked list --since PT30M", 0),
        ("parked list --since soon", 2),
        ("parked list --since 99999999999w", 2),
        ("parked list --limit 10001", 2),
        (f"parked show {JUNK}", 0),
        (f"parked show {JUNK} --raw --json", 2),
        ("parked show x:0:1", 1),
        ("parked redrive", 2),
        (f"parked redrive {JUNK} --all", 2),
        ("parked redrive --all --limit 10001", 2),
        ("parked redrive --all --dry-run", 0),
        ("parked redrive x:0:1", 1),
        ("parked redrive x:0:1 --dry-run", 1),
        ("parked discard --all", 2),
        ("parked discard --topic nothing.v1 --why none", 0),
    ],
)
async def test_exit_codes(annul: Annul, capsys: pytest.CaptureFixture[str], arguments: str, code: int) -> None:
    assert await annul(*arguments.split()) == code
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert bool(printed.err) == (code != 0)
    assert printed.out or code


async def test_nothing_is_discarded_without_a_reason(annul: Annul, populated_shared: str) -> None:
    for why in (" ", "x" * 501):
        assert await annul("parked", "discard", "--all", "--why", why) == 2
    found = await list_parked(settings_for(populated_shared), Which(), status="parked", since=None, limit=9)
    assert found["total"] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        "verify",
        "order ord_free",
        "sellers show sel_0",
        "parked list",
        f"parked show {JUNK}",
        "parked redrive --all --dry-run",
    ],
)
async def test_json_is_one_line(annul: Annul, capsys: pytest.CaptureFixture[str], arguments: str) -> None:
    assert await annul(*arguments.split(), "--json") == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert isinstance(json.loads(printed), dict)


async def test_a_violation_ends_with_one(
    annul: Annul, populated: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANNUL_DATABASE_URL", populated)
    await break_rows(populated, "DELETE FROM seller_outcomes")
    assert await annul("verify", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert {one["invariant"] for one in told["violations"]} == {"I7"}
    assert set(told["violations"][0]) == {"invariant", "subject", "detail"}
    assert await annul("verify") == 1
    assert "sel_0" in capsys.readouterr().out


async def test_what_cannot_be_asked_is_one_line(
    annul: Annul, populated_shared: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANNUL_DATABASE_URL", f"{populated_shared}_none")
    assert await annul("verify") == 1
    monkeypatch.setenv("ANNUL_DATABASE_URL", "postgresql://annul@127.0.0.1:1/annul")
    assert await annul("order", "ord_1") == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("annul: InvalidCatalogNameError: ")
    assert lines[1].startswith("annul: PostgreSQL can't be reached: [Errno 111]")


async def test_raw_bytes_are_left_alone(populated_shared: str, tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "workers", "parked", "show", JUNK, "--raw"),
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "ANNUL_DATABASE_URL": populated_shared, "ANNUL_LOCAL_DIR": str(tmp_path)},
    )
    output, _ = await child.communicate()
    assert (child.returncode, output) == (0, b"\xffjunk")
