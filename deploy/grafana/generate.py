"""Writes Grafana's dashboards from what stands here: `python deploy/grafana/generate.py`. Never edit the JSON by hand.

Three dashboards: consumers, money, sellers. Import them, or lay the files where Grafana's provisioning looks. The data
source is asked for on top of each.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
WIDTH: Final = 24


@dataclass(frozen=True)
class Panel:
    """`queries`: a legend (Grafana's `{{label}}` in it) and PromQL, one a line of the plot."""

    title: str
    says: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12


def _lag(of: str) -> str:
    return f"max by (worker) (max by (worker, topic, partition) ({of}))"


def _rate(counter: str, by: str) -> str:
    return f"sum by ({by}) (rate({counter}[$__rate_interval]))"


def _quantile(share: float, of: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({of}_bucket[$__rate_interval])))"


def _age(of: str, by: str) -> str:
    return f"time() - min by ({by}) ({of})"


CONSUMERS: Final = (
    Panel("Processes up", "Processes that answer", (("up", 'sum(up{job="annul"})'),), kind="stat", width=6),
    Panel(
        "Not ready",
        "Up and waiting for something",
        (("not ready", "sum(1 - annul_process_ready)"),),
        kind="stat",
        width=6,
    ),
    Panel(
        "Parked",
        "Messages that wait for a person",
        (("parked", "sum(annul_parked_open) or vector(0)"),),
        kind="stat",
        width=6,
    ),
    Panel("Timers overdue", "Due and not sent", (("overdue", "max(annul_timers_overdue)"),), kind="stat", width=6),
    Panel(
        "Lag in time",
        "How long the oldest message has waited that is not committed. Grows while nobody reads.",
        (("{{worker}}", _lag("annul_consumer_lag_seconds")),),
        unit="s",
    ),
    Panel(
        "Lag in messages",
        "Messages that are not committed",
        (("{{worker}}", "sum by (worker) (max by (worker, topic, partition) (annul_consumer_lag_records))"),),
    ),
    Panel(
        "Messages decided", "Sent and committed", (("{{worker}}", _rate("annul_messages_total", "worker")),), unit="cps"
    ),
    Panel(
        "What became of them",
        "Across all workers",
        (("{{label}}", _rate("annul_messages_total", "label")),),
        unit="cps",
    ),
    Panel(
        "Messages sent",
        "Acknowledged by Kafka",
        (("{{worker}}", _rate("annul_emitted_messages_total", "worker")),),
        unit="cps",
    ),
    Panel(
        "Records a batch",
        "The mean",
        (
            (
                "{{worker}}",
                f"{_rate('annul_batch_records_sum', 'worker')} / {_rate('annul_batch_records_count', 'worker')}",
            ),
        ),
    ),
    Panel(
        "Time to decide and record a batch",
        "95 of 100 are faster",
        (("{{worker}}", _quantile(0.95, "annul_batch_record_seconds", "worker")),),
        unit="s",
    ),
    Panel(
        "Age of the last commit",
        "A worker commits only where something came: look at its lag beside this",
        (("{{worker}}", "time() - max by (worker) (annul_commit_timestamp_seconds)"),),
        unit="s",
    ),
    Panel("Members", "Processes in each group", (("{{worker}}", "max by (worker) (annul_consumer_members)"),)),
    Panel(
        "Stuck, or paused by a person",
        "1: it is",
        (
            ("{{worker}} stuck", "max by (worker) (annul_consumer_stuck)"),
            ("{{worker}} paused", "max by (worker) (annul_consumer_paused)"),
        ),
    ),
    Panel("Parked by reason", "What waits for a person", (("{{reason}}", "max by (reason) (annul_parked_open)"),)),
    Panel(
        "Timers: how late",
        "Half, and 95 of 100, are sent sooner after their time",
        (
            ("median", _quantile(0.5, "annul_timers_late_seconds")),
            ("95 %", _quantile(0.95, "annul_timers_late_seconds")),
        ),
        unit="s",
    ),
    Panel(
        "Timers sent",
        "Scheduled messages",
        (("sent", "sum(rate(annul_timers_fired_total[$__rate_interval]))"),),
        unit="cps",
    ),
    Panel(
        "Memory",
        "Of each process",
        (("{{instance}}", 'process_resident_memory_bytes{job="annul"}'),),
        unit="bytes",
    ),
)

MONEY: Final = (
    Panel(
        "Refunds not settled",
        "All providers",
        (("refunds", "sum(max by (provider, state) (annul_refunds_unsettled))"),),
        kind="stat",
        width=6,
    ),
    Panel(
        "In review",
        "A person must look",
        (("in review", 'sum(max by (provider) (annul_refunds_unsettled{state="needs_review"}))'),),
        kind="stat",
        width=6,
    ),
    Panel(
        "Uncertain",
        "Nobody knows yet whether the provider paid",
        (("uncertain", 'sum(max by (provider) (annul_refunds_unsettled{state="uncertain"}))'),),
        kind="stat",
        width=6,
    ),
    Panel(
        "Alarms in a day",
        "Paid twice; our balance too short",
        (("alarms", 'sum(increase(annul_alarms_total{event=~"refund.+|provider.+"}[1d]))'),),
        kind="stat",
        width=6,
    ),
    Panel(
        "Money that waits",
        "Of refunds that are not settled, in minor units; one line a currency",
        (("{{provider}} {{currency}}", "max by (provider, currency) (annul_refunds_unsettled_minor)"),),
    ),
    Panel(
        "Refunds not settled, by state",
        "Across all providers",
        (("{{state}}", "sum by (state) (max by (provider, state) (annul_refunds_unsettled))"),),
    ),
    Panel(
        "The oldest in each state",
        "How long it has been in it",
        (("{{provider}} {{state}}", _age("annul_refunds_oldest_timestamp_seconds", "provider, state")),),
        unit="s",
    ),
    Panel(
        "Steps of refunds",
        "By the state that they led to",
        (("{{provider}} {{state}}", _rate("annul_refund_transitions_total", "provider, state")),),
        unit="cps",
    ),
    Panel(
        "Provider calls",
        "By what they came to",
        (("{{provider}} {{outcome}}", _rate("annul_provider_call_seconds_count", "provider, outcome")),),
        unit="cps",
    ),
    Panel(
        "Time of a provider call",
        "95 of 100 are faster",
        (("{{provider}}", _quantile(0.95, "annul_provider_call_seconds", "provider")),),
        unit="s",
    ),
    Panel(
        "Provider paused", "1: nothing is sent to it", (("{{provider}}", "max by (provider) (annul_provider_paused)"),)
    ),
    Panel(
        "Webhooks",
        "By the word that they were answered with",
        (("{{provider}} {{end}}", _rate("annul_webhooks_total", "provider, end")),),
        unit="cps",
    ),
    Panel(
        "Refunds that nobody asked for",
        "As webhooks told in the last day",
        (("{{provider}}", "sum by (provider) (increase(annul_webhooks_of_unknown_refunds_total[1d]))"),),
    ),
    Panel(
        "Differences found by reconciliation",
        "In the last day; each run tells again what still differs",
        (("{{provider}} {{kind}}", "sum by (provider, kind) (increase(annul_reconcile_differences_total[1d]))"),),
    ),
    Panel(
        "Age of the last reconciliation",
        "One a day",
        (("age", "time() - max(annul_reconcile_finished_timestamp_seconds)"),),
        unit="s",
    ),
    Panel(
        "Actions of people that wait",
        "For a second person, or for the worker refunds",
        (("open", "max(annul_actions_open)"),),
    ),
    Panel(
        "Payouts decided",
        "By what became of the request",
        (("{{label}}", 'sum by (label) (rate(annul_messages_total{worker="payouts"}[$__rate_interval]))'),),
        unit="cps",
    ),
    Panel(
        "Alarms",
        "In the last hour",
        (("{{event}} {{provider}}", "sum by (event, provider) (increase(annul_alarms_total[1h]))"),),
    ),
)

SELLERS: Final = (
    Panel("Sellers in the table", "All partitions", (("sellers", "max(annul_sellers_known)"),), kind="stat", width=6),
    Panel(
        "Caught up",
        "1: it holds all that was decided",
        (("caught up", "max(annul_sellers_caught_up)"),),
        kind="stat",
        width=6,
    ),
    Panel(
        "Put right in a day",
        "Sellers whose counts were not PostgreSQL's",
        (("differing", 'sum(increase(annul_sellers_checked_total{found="differing"}[1d])) or vector(0)'),),
        kind="stat",
        width=6,
    ),
    Panel(
        "Lag in time",
        "Of the worker sellers",
        (("lag", 'max(annul_consumer_lag_seconds{worker="sellers"})'),),
        unit="s",
        kind="stat",
        width=6,
    ),
    Panel(
        "Outcomes folded",
        "By what became of each",
        (("{{label}}", 'sum by (label) (rate(annul_messages_total{worker="sellers"}[$__rate_interval]))'),),
        unit="cps",
    ),
    Panel(
        "Rows told",
        "On sellers.statistics.v1",
        (("rows", "sum(rate(annul_sellers_rows_total[$__rate_interval]))"),),
        unit="cps",
    ),
    Panel(
        "Time to fold a batch",
        "Half, and 95 of 100, are faster",
        (
            ("median", _quantile(0.5, "annul_sellers_fold_seconds")),
            ("95 %", _quantile(0.95, "annul_sellers_fold_seconds")),
        ),
        unit="s",
    ),
    Panel(
        "Time to send what was folded",
        "Rows, changelog, offsets",
        (
            ("median", _quantile(0.5, "annul_sellers_send_seconds")),
            ("95 %", _quantile(0.95, "annul_sellers_send_seconds")),
        ),
        unit="s",
    ),
    Panel(
        "Held against PostgreSQL",
        "Sellers compared, and what was found",
        (("{{found}}", "sum by (found) (increase(annul_sellers_checked_total[1d]))"),),
    ),
    Panel(
        "Alarms",
        "In the last hour",
        (("{{event}}", 'sum by (event) (increase(annul_alarms_total{event=~"statistics.+"}[1h]))'),),
    ),
)

DASHBOARDS: Final = {
    "consumers": ("Annul: consumers", CONSUMERS),
    "money": ("Annul: money", MONEY),
    "sellers": ("Annul: sellers", SELLERS),
}


def dashboard(name: str) -> dict[str, Any]:
    """One dashboard as Grafana takes it."""
    title, panels = DASHBOARDS[name]
    return {
        "uid": f"annul-{name}",
        "title": title,
        "tags": ["annul"],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}]
        },
        "panels": _laid_out(panels),
    }


def _laid_out(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    x = y = 0
    for number, panel in enumerate(panels, start=1):
        height = 4 if panel.kind == "stat" else 8
        if x + panel.width > WIDTH:
            x, y = 0, y + (4 if found[-1]["type"] == "stat" else 8)
        found.append(_drawn(number, panel, {"x": x, "y": y, "w": panel.width, "h": height}))
        x += panel.width
    return found


def _drawn(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "title": panel.title,
        "description": panel.says,
        "type": panel.kind,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place_), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for place_, (legend, expr) in enumerate(panel.queries)
        ],
    }


def text_of(name: str) -> str:
    """The file's content."""
    return json.dumps(dashboard(name), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all."""
    for name in DASHBOARDS:
        (HERE / f"{name}.json").write_text(text_of(name))
        sys.stdout.write(f"{name}.json\n")


if __name__ == "__main__":
    main()
