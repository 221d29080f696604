"""Spans kept in memory, and messages that carry a trace."""

import random
from itertools import count
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from kit.builders import cancelled
from schemas.base import Fault
from schemas.envelope import Envelope
from workers.pipeline.messages import Incoming, Unreadable
from workers.pipeline.ports import Partition, Record
from workers.tracing.client import TracedTransport
from workers.tracing.spans import WorkerTraces

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED: Final = f"00-{TRACE}-00f067aa0ba902b7-01"
UNSAMPLED: Final = f"00-{TRACE}-00f067aa0ba902b7-00"
ORDERS: Final = "orders.events.v1"
_numbers = count(1)


class Kept:
    """A worker's traces and what they told."""

    def __init__(self, ratio: float = 0.0, begins: tuple[str, ...] = (ORDERS,)) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(ALWAYS_ON)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._tracer = provider.get_tracer("test")
        self.traces = WorkerTraces(self._tracer, "annul.test", begins, ratio, random.Random(1))

    def transport(self, inner: Any) -> TracedTransport:
        return TracedTransport(inner, self._tracer)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Those that ended."""
        return list(self._exporter.get_finished_spans())

    @property
    def one(self) -> ReadableSpan:
        (span,) = self.spans
        return span


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def traceparent(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"


def carrying(trace: str | None, data: Any = None, topic: str = ORDERS, type_: str = "order.cancelled") -> Incoming:
    """A message that was read."""
    number = next(_numbers)
    record = Record(Partition(topic, 3), number, None, b"", ())
    return Incoming(record, Envelope(f"evt_{number}", "/x", type_, None, trace), data or cancelled())


def unreadable(trace: str | None, reason: str = "invalid_field", type_: str = "order.cancelled") -> Unreadable:
    """One that could not be."""
    number = next(_numbers)
    record = Record(Partition(ORDERS, 3), number, None, b"", ())
    return Unreadable(record, Envelope(f"evt_{number}", "/x", type_, None, trace), Fault(reason, "reason", "too long"))
