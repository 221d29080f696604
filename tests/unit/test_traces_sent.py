"""The way of spans to their endpoint: what is set, what is lost, and that nobody waits for it."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from kit.otlp import Collector
from kit.tracing import ORDERS, SAMPLED, Kept, carrying
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from schemas.topics import ORDERS_EVENTS, REFUNDS_RESULTS
from workers.providers.http import AiohttpTransport
from workers.settings import Settings, SettingsError
from workers.telemetry import Metrics
from workers.tracing import export as module
from workers.tracing.export import Export
from workers.tracing.switch import Tracing


def tracing(**settings: str) -> tuple[Tracing, Metrics]:
    given = {f"ANNUL_TRACES_{name.upper()}": value for name, value in settings.items()}
    metrics = Metrics()
    return Tracing(Settings.read(given), random.Random(1), metrics, "here"), metrics


def counted(metrics: Metrics, end: str) -> float:
    return metrics.registry.get_sample_value("annul_trace_spans_total", {"end": end}) or 0.0


def trace(traces: Any, count: int) -> None:
    batch = traces.begin([carrying(SAMPLED) for _ in range(count)])
    assert batch is not None
    batch.sent()


@asynccontextmanager
async def exporting(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, **environment: str
) -> AsyncIterator[tuple[Export, Metrics]]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module, "_EVERY_MS", 20)
    metrics = Metrics()
    export = Export(collector.endpoint + "/v1/traces", 1.0, random.Random(1), metrics, process="here")
    try:
        yield export, metrics
    finally:
        await export.close(1.2)


# ---------------------------------------------------------------- settings


async def test_traces_are_off_unless_there_is_an_endpoint() -> None:
    off, _ = tracing()
    assert off.traces("refunds", [REFUNDS_RESULTS]) is None
    assert isinstance(off.transport("card"), AiohttpTransport)
    await off.close()


async def test_what_comes_from_outside_may_begin_a_trace_and_nothing_else() -> None:
    on, _ = tracing(endpoint="http://127.0.0.1:9", ratio="1")
    outer = on.traces("cancellations", [ORDERS_EVENTS])
    inner = on.traces("refunds", [REFUNDS_RESULTS])
    assert outer is not None
    assert inner is not None
    assert outer.begin([carrying(None, topic=ORDERS)]) is not None
    assert inner.begin([carrying(None, topic=REFUNDS_RESULTS.name)]) is None
    await on.close()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://otlp.example/v1/traces", "https://otlp.example/v1/traces"),
        ("https://otlp.example/tenant", "https://otlp.example/tenant/v1/traces"),
    ],
)
def test_an_endpoint_is_given_in_whole_or_as_its_base(given: str, meant: str) -> None:
    assert Settings.read({"ANNUL_TRACES_ENDPOINT": given}).traces_endpoint == meant


@pytest.mark.parametrize(
    "bad",
    ["collector:4318", "grpc://collector:4317", "http://", "http://me:word@collector", "http://collector?key=word"],
)
def test_a_bad_endpoint_is_refused_in_one_line_that_holds_no_secret(bad: str) -> None:
    with pytest.raises(SettingsError, match=r"ANNUL_TRACES_ENDPOINT: must [^\n]+\Z") as refused:
        Settings.read({"ANNUL_TRACES_ENDPOINT": bad})
    assert "word" not in str(refused.value)


# ---------------------------------------------------------------- what arrives, and what doesn't


async def test_spans_arrive_under_their_workers_name_with_the_headers_that_are_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    header = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20word"}
    async with Collector() as collector, exporting(collector, monkeypatch, **header) as (export, metrics):
        trace(export.traces("refunds", "annul.refunds", ()), 2)
        trace(export.traces("card", "annul.card", ()), 1)
        await collector.until(lambda: len(collector.spans) == 3, "three spans")
        assert sorted(span.service for span in collector.spans) == ["annul-card", "annul-refunds", "annul-refunds"]
        assert collector.headers[0]["authorization"] == "Bearer word"
    assert (counted(metrics, "exported"), counted(metrics, "lost")) == (3, 0)


async def test_what_waits_is_sent_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EVERY_MS", 60_000)
    async with Collector() as collector:
        on, metrics = tracing(endpoint=collector.endpoint)
        trace(on.traces("refunds"), 5)
        assert collector.spans == []
        await on.close()
        assert len(collector.spans) == 5
    assert counted(metrics, "exported") == 5


async def test_what_the_endpoint_refuses_is_lost_counted_and_told_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    header = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=word"}
    with structlog.testing.capture_logs() as logs:
        async with Collector() as collector, exporting(collector, monkeypatch, **header) as (export, metrics):
            collector.status = 401
            for number in (1, 2):
                trace(export.traces("refunds", "annul.refunds", ()), number)
                await collector.until(lambda n=number: len(collector.headers) == n, "a request")  # type: ignore[misc]
    assert counted(metrics, "lost") == 3
    assert [(line["event"], line["why"], line["lost"]) for line in logs] == [("traces.export_failed", "http_401", 1)]
    assert "word" not in repr(logs)


async def test_an_endpoint_that_is_away_keeps_nobody_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with exporting(Collector(), monkeypatch) as (export, metrics):
            trace(export.traces("refunds", "annul.refunds", ()), 3)
            await asyncio.wait_for(export.close(0.3), 5)
            async with asyncio.timeout(10):
                while counted(metrics, "lost") < 3:  # noqa: ASYNC110 - a thread tells nobody
                    await asyncio.sleep(0.01)
    assert logs[0] == {"event": "traces.flush_failed", "waiting": 3, "log_level": "warning"}
    assert (logs[1]["event"], logs[1]["lost"], logs[1]["why"]) == ("traces.export_failed", 3, "ConnectionError")
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


async def test_more_than_may_wait_is_lost_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAITING", 10)
    monkeypatch.setattr(module, "_AT_ONCE", 4)
    metrics, stuck = Metrics(), Stuck()
    counting = module._Counting(stuck, module._Hush(), metrics)
    bounded = module._Bounded(counting, metrics)
    (span,) = ended(Kept())
    for _ in range(25):
        bounded.on_end(span)
    assert (counted(metrics, "lost"), bounded.waiting) == (15, 10)
    stuck.goes_on.set()
    await asyncio.to_thread(bounded.shutdown)
    assert (counted(metrics, "exported"), bounded.waiting) == (10, 0)


def ended(kept: Kept) -> Sequence[ReadableSpan]:
    trace(kept.traces, 1)
    return kept.spans


class Stuck(SpanExporter):
    """An exporter that doesn't come back before it is let."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()

    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        assert self.goes_on.wait(20)
        return SpanExportResult.SUCCESS


async def test_opentelemetrys_own_switch_leaves_every_traceparent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    on, _ = tracing(endpoint="http://127.0.0.1:9", ratio="1")
    traces = on.traces("cancellations", [ORDERS_EVENTS])
    assert traces is not None
    assert traces.begin([carrying(SAMPLED), carrying(None)]) is None
    with traces.delivery("stripe") as delivery:
        assert delivery.traceparent is None
    await on.close()


async def test_a_bad_setting_of_opentelemetrys_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")
    with pytest.raises(SettingsError, match="OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"):
        tracing(endpoint="http://127.0.0.1:9")[0].traces("refunds")
