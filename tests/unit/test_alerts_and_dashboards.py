"""deploy/prometheus and deploy/grafana held to the code, the runbook and each other. promtool and a real Prometheus try
them in tests/prometheus.
"""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from workers.wiring import WORKERS

DEPLOY = Path(__file__).parents[2] / "deploy"
GRAFANA = DEPLOY / "grafana"
GENERATED = runpy.run_path(str(GRAFANA / "generate.py"), run_name="generate")
OF_PROMETHEUS_ITSELF = {"up", "process_resident_memory_bytes"}


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def sections() -> dict[str, str]:
    """The runbook's sections by their anchors."""
    parts = re.split(r"^#+ (.+)$", (DEPLOY / "RUNBOOK.md").read_text(), flags=re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in parts[1::2]]
    return dict(zip(anchors, parts[2::2], strict=True))


def documented() -> set[str]:
    """Every series that there is by deploy/metrics.md."""
    found = set(OF_PROMETHEUS_ITSELF)
    text = (DEPLOY / "metrics.md").read_text()
    for name, kind in re.findall(r"^\| `(annul_\w+)` \| (\w+) ", text, re.MULTILINE):
        found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found


def series_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(annul_\w+|up|process_\w+)\b(?=[{\[), ]|$)", re.sub(r'"[^"]*"', '""', expression)))


@pytest.mark.parametrize("name", rules())
def test_alert_leads_to_a_section_of_the_runbook_that_names_it(name: str) -> None:
    rule = rules()[name]
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert file == "deploy/RUNBOOK.md"
    assert f"`{name}`" in sections()[anchor]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]


def test_runbook_names_no_alert_that_there_is_not() -> None:
    named = set(re.findall(r"`(Annul[A-Z]\w+)`", (DEPLOY / "RUNBOOK.md").read_text()))
    assert named == rules().keys()


def test_each_alert_is_tried_both_firing_and_silent() -> None:
    tests = yaml.safe_load((DEPLOY / "prometheus" / "rules_test.yml").read_text())["tests"]
    tried = [one for test in tests for one in test["alert_rule_test"]]
    assert {one["alertname"] for one in tried if one["exp_alerts"]} >= rules().keys()
    silent = {one["alertname"] for one in tried if not one["exp_alerts"]}
    assert silent >= rules().keys()


def test_alerts_and_panels_ask_for_metrics_that_there_are() -> None:
    asked = [rule["expr"] for rule in rules().values()]
    asked += [target["expr"] for name in dashboards() for panel in read(name)["panels"] for target in panel["targets"]]
    for expression in asked:
        assert series_in(expression), expression
        assert series_in(expression) <= documented(), expression


def dashboards() -> list[str]:
    return sorted(GENERATED["DASHBOARDS"])


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GRAFANA / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("name", dashboards())
def test_dashboard_is_what_the_code_makes(name: str) -> None:
    assert (GRAFANA / f"{name}.json").read_text() == GENERATED["text_of"](name), "run deploy/grafana/generate.py"


@pytest.mark.parametrize("name", dashboards())
def test_panels_lie_beside_each_other(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in read(name)["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_no_dashboard_is_forgotten() -> None:
    assert sorted(path.stem for path in GRAFANA.glob("*.json")) == dashboards()


def test_example_configuration_scrapes_every_worker_and_loads_the_rules() -> None:
    example = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = example["scrape_configs"]
    assert job["job_name"] == "annul"
    (targets,) = job["static_configs"]
    assert [one.partition(":")[0] for one in targets["targets"]] == list(WORKERS)
    assert example["rule_files"] == ["rules.yml"]
