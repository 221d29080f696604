"""A real Prometheus scrapes a running stack: rules that hold, targets that answer, panels that show something.

By `make prometheus`; every other run of the tests leaves it out.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kit.prometheus import Programs, Prometheus, prometheus

from workers.demo import showcase
from workers.demo.captures import register
from workers.demo.run import DEFAULTS, SIMULATION
from workers.demo.running import RunningAnnul
from workers.demo.traffic import Traffic
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka import KafkaProducer
from workers.wiring import WORKERS

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif("ANNUL_PROMETHEUS" not in os.environ, reason="by `make prometheus`"),
]
DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
WITHIN_S = 120.0
_LASTING_S = 30.0


@pytest.fixture(scope="module")
def programs() -> Programs:
    return Programs.get()


@pytest.fixture(scope="module")
async def watched(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """Every worker with traffic of all sorts, and a Prometheus beside them."""
    defaults = {**DEFAULTS, "ANNUL_SELLERS_CHECK_EVERY": "PT10S"}
    async with RunningAnnul("test", defaults, simulation=SIMULATION) as annul:
        folder = tmp_path_factory.mktemp("prometheus")
        async with prometheus(programs, folder, annul.health, RULES) as running:
            sending = asyncio.create_task(_traffic(annul))
            yield running
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def _traffic(annul: RunningAnnul) -> None:
    now = datetime.now(UTC)
    traffic = Traffic(600, random.Random(1), now, _LASTING_S)
    planned = sorted([*traffic.plan(), *showcase.plan(now)], key=lambda record: record.at)
    await register(annul.stack.folder.state.provider_urls["stripe"], [*traffic.captures, *showcase.captures()])
    emitter = Emitter(KafkaProducer(annul.settings().kafka()), SystemClock())
    began = time.monotonic()
    try:
        while planned:
            passed = (time.monotonic() - began) / _LASTING_S
            due = sum(one.at <= passed for one in planned)
            await emitter.emit([one.record for one in planned[:due]])
            del planned[:due]
            await asyncio.sleep(0.1)
    finally:
        await emitter.close()


def test_promtool_passes_the_rules_their_tests_and_the_example(programs: Programs) -> None:
    folder = DEPLOY / "prometheus"
    for command in (
        ("check", "rules", str(RULES)),
        ("test", "rules", str(folder / "rules_test.yml")),
        ("check", "config", str(folder / "prometheus.yml")),
    ):
        content, said = programs.check(*command)
        assert content, said


async def test_every_process_is_scraped_and_every_rule_evaluated(watched: Prometheus) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            targets = (await watched.ask("targets"))["activeTargets"]
            rules = [rule for group in (await watched.ask("rules"))["groups"] for rule in group["rules"]]
            health = {one["health"] for one in [*targets, *rules]}
            if len(targets) == len(WORKERS) and health <= {"up", "ok"}:
                break
            await asyncio.sleep(0.5)
    assert len(rules) > 20
    assert not [rule["lastError"] for rule in rules if rule.get("lastError")]


async def test_every_panel_shows_something(watched: Prometheus) -> None:
    silent = {
        (file.stem, panel["title"], target["expr"])
        for file in (DEPLOY / "grafana").glob("*.json")
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
    }
    assert len(silent) > 40
    until = time.monotonic() + WITHIN_S
    while silent and time.monotonic() < until:
        for one in list(silent):
            if await watched.values(one[2].replace("$__rate_interval", "1m")):
                silent.discard(one)
        await asyncio.sleep(1)
    assert not silent, sorted(silent)
