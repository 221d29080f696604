"""deploy/metrics.md held to the code: every metric with its type and labels, and no other; names by convention."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import prometheus_client

from workers.ops.standing import Standing
from workers.telemetry import Metrics

PAGE = Path(__file__).parents[2] / "deploy" / "metrics.md"
Documented = dict[str, tuple[str, tuple[str, ...]]]


def documented() -> Documented:
    found: Documented = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"`annul_\w+`", cells[0]):
            labels = tuple(re.findall(r"`(\w+)`", cells[2]))
            found[cells[0].strip("`")] = (cells[1], labels)
    return found


def in_the_code() -> Documented:
    metrics = Metrics()
    registry: Any = metrics.registry
    found: Documented = {}
    for one in registry._collector_to_names:
        if isinstance(one, prometheus_client.metrics.MetricWrapperBase):
            name = one._name + ("_total" if one._type == "counter" else "")
            found[name] = (str(one._type), tuple(one._labelnames))
    watch: Any = SimpleNamespace(seen=SimpleNamespace(known=False, groups={}))
    standing = Standing(prometheus_client.CollectorRegistry(), watch, watch)
    for family in standing.collect():
        labels: tuple[str, ...] = tuple(family._labelnames)  # type: ignore[attr-defined]
        found[family.name] = (str(family.type), labels)
    return found


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    assert documented() == in_the_code()


def test_names_follow_prometheus_conventions() -> None:
    for name, (kind, labels) in in_the_code().items():
        assert re.fullmatch(r"annul_[a-z_]+", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|count|sum|bucket)$", name), name
        ids = {"order_id", "refund_id", "seller_id", "client_id", "id", "message_id", "currency_amount"}
        assert not ids & set(labels), name
