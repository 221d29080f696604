"""Spans on their way to an OTLP endpoint: by a thread of their own, bounded, so that no worker ever waits for it."""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Tracer

from workers.providers.http import Transport
from workers.telemetry import Metrics
from workers.tracing.client import TracedTransport
from workers.tracing.spans import WorkerTraces

log = structlog.get_logger()
_WAITING: Final = 4096
"""Spans that wait for the endpoint, at most; about 10 MB."""
_AT_ONCE: Final = 512
_EVERY_MS: Final = 2_000
_TELL_EVERY_S: Final = 60.0
_LOGGERS: Final = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal", "opentelemetry.sdk.trace.export")


class Export:
    """A process's way out for spans, shared by its workers. Raises ValueError where an OTEL_ setting is bad."""

    def __init__(
        self, endpoint: str, ratio: float, randomness: random.Random, metrics: Metrics, *, process: str
    ) -> None:
        self._ratio = ratio
        self._randomness = randomness
        self._process = process
        self._tracers: dict[str, Tracer] = {}
        self._limits = SpanLimits()
        self._exporter = OTLPSpanExporter(endpoint=endpoint)
        self._hush = _Hush()
        self._queue = _Bounded(_Counting(self._exporter, self._hush, metrics), metrics)

    def traces(self, worker: str, group: str, begins: Collection[str]) -> WorkerTraces:
        """A worker's; `begins` as there."""
        return WorkerTraces(self._tracer(worker), group, begins, self._ratio, self._randomness)

    def transport(self, worker: str, inner: Transport) -> TracedTransport:
        """A worker's way to its provider."""
        return TracedTransport(inner, self._tracer(worker))

    def _tracer(self, worker: str) -> Tracer:
        if worker in self._tracers:
            return self._tracers[worker]
        service = {
            "service.namespace": "annul",
            "service.name": f"annul-{worker}",
            "service.instance.id": self._process,
        }
        # Whether a message is traced is decided before its span is made.
        resource = Resource.create(service)
        provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, span_limits=self._limits)
        provider.add_span_processor(self._queue)
        made = self._tracers[worker] = provider.get_tracer("annul")
        return made

    async def close(self, within_s: float) -> None:
        """Send what waits, as far as that goes in time; what doesn't is lost."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            self._queue.shutdown()
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(ended.set)

        # A daemon, and not one of asyncio's: those are waited for at the end, however long they take.
        threading.Thread(target=end, name="traces-end", daemon=True).start()
        try:
            await asyncio.wait_for(ended.wait(), within_s)
        except TimeoutError:
            log.warning("traces.flush_failed", waiting=self._queue.waiting)
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
        else:
            self._hush.close()


class _Counting(SpanExporter):
    """Counts what arrived and what didn't, and tells of that once a minute. Lives in the sending thread."""

    def __init__(self, inner: SpanExporter, hush: "_Hush", metrics: Metrics) -> None:
        self._inner = inner
        self._hush = hush
        self._metrics = metrics
        self._lost = 0
        self._told_at = -_TELL_EVERY_S
        self.gone = 0
        """Spans that are dealt with, one way or the other."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._hush.why = "unknown"
        try:
            result = self._inner.export(spans)
        finally:
            self.gone += len(spans)
        if result is SpanExportResult.SUCCESS:
            self._metrics.spans("exported", len(spans))
        else:
            self._lose(len(spans))
        return result

    def _lose(self, count: int) -> None:
        self._lost += count
        now = time.monotonic()
        if now - self._told_at >= _TELL_EVERY_S:
            log.warning("traces.export_failed", lost=self._lost, why=self._hush.why)
            self._told_at, self._lost = now, 0
        self._metrics.spans("lost", count)

    def shutdown(self) -> None:
        self._inner.shutdown()


class _Bounded(SpanProcessor):
    """Gives spans to the sending thread while few enough wait for it; the others are lost, and counted."""

    def __init__(self, exporter: _Counting, metrics: Metrics) -> None:
        self._exporter = exporter
        self._metrics = metrics
        self._given = 0
        self._thread = BatchSpanProcessor(
            exporter,
            max_queue_size=_WAITING + _AT_ONCE,
            schedule_delay_millis=_EVERY_MS,
            max_export_batch_size=_AT_ONCE,
        )

    @property
    def waiting(self) -> int:
        """Spans that are not dealt with yet. Each of the two numbers is written by one thread alone."""
        return self._given - self._exporter.gone

    def on_end(self, span: ReadableSpan) -> None:
        if self.waiting >= _WAITING:
            self._metrics.spans("lost", 1)
            return
        self._given += 1
        self._thread.on_end(span)

    def on_start(self, span: Span, parent_context: object = None) -> None:
        """Nothing."""

    def shutdown(self) -> None:
        self._thread.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._thread.force_flush(timeout_millis)


class _Hush(logging.Handler):
    """Keeps the exporter's own lines out of the log: of each attempt it tells, with texts of servers and libraries.

    Of each it takes what kind of failure it was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.why = "unknown"
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self)
            logging.getLogger(name).propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        for part in record.args if isinstance(record.args, tuple) else ():
            if isinstance(part, BaseException):
                self.why = type(part).__name__
            elif isinstance(part, int):
                self.why = f"http_{part}"

    def close(self) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self)
            logging.getLogger(name).propagate = True
        super().close()
