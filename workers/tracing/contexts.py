"""Between the W3C's `traceparent` and OpenTelemetry's contexts."""

from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, set_span_in_context

NOWHERE: Final = Context()
"""What a trace begins in."""


def context_of(traceparent: str) -> Context:
    """The context whose span a traceparent names; it must be one of the envelope's, which are well formed."""
    flags = TraceFlags(int(traceparent[53:55], 16))
    parent = SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), NOWHERE)


def traceparent_of(span: Span) -> str:
    """What a message carries that a span causes."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
