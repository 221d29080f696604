"""A worker's spans: one a message, one a provider call, one a webhook. Loaded only where traces are on."""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from msgspec.structs import replace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, use_span

from schemas.refunds import RefundCommand, RefundIssue, RefundLookUp
from workers.pipeline.messages import Incoming, Unreadable
from workers.pipeline.ports import Partition, Record
from workers.pipeline.record import Recorded
from workers.providers.port import Answer
from workers.tracing import attributes as names
from workers.tracing.contexts import NOWHERE, context_of, traceparent_of
from workers.tracing.port import TracedBatch, TracedCall, TracedDelivery, Untraced, is_sampled

_FAULTS = frozenset({"uncertain", "retryable"})
"""Outcomes of a provider call that are no answer about the refund."""


class WorkerTraces:
    """Fills the port with an OpenTelemetry tracer.

    `begins`: full names of the topics whose messages begin a trace where they carry none, `ratio` of them at random.
    """

    def __init__(
        self, tracer: Tracer, group: str, begins: Collection[str], ratio: float, randomness: random.Random
    ) -> None:
        self._tracer = tracer
        self._group = group
        self._begins = frozenset(begins) if ratio > 0 else frozenset()
        self._ratio = ratio
        self._randomness = randomness

    def begin(self, messages: Sequence[Incoming | Unreadable]) -> TracedBatch | None:
        """As the port says."""
        spans = {}
        begins, ratio, dice = self._begins, self._ratio, self._randomness.random
        for place, message in enumerate(messages):
            envelope = message.envelope
            if envelope is None:
                continue
            if envelope.traceparent is None:
                traced = message.record.source.topic in begins and dice() < ratio
            else:
                traced = is_sampled(envelope.traceparent)
            if traced and (span := self._begun(message, len(messages))).is_recording():
                spans[place] = span
        return _Batch(messages, spans) if spans else None

    def _begun(self, message: Incoming | Unreadable, of: int) -> Span:
        record, envelope = message.record, message.envelope
        assert envelope is not None
        told: dict[str, str | int] = {
            names.SYSTEM: "kafka",
            names.OPERATION_NAME: "process",
            names.OPERATION_TYPE: "process",
            names.DESTINATION: record.source.topic,
            names.PARTITION: str(record.source.partition),
            names.OFFSET: record.offset,
            names.GROUP: self._group,
            names.MESSAGE_ID: envelope.id,
            names.BATCH: of,
        }
        if isinstance(message, Incoming):
            # An unknown type is a stranger's text: it is in the parked record alone.
            told[names.EVENT_TYPE] = envelope.type
            told.update(_ids(message.data))
        return self._tracer.start_span(
            f"process {record.source.topic}",
            context_of(envelope.traceparent) if envelope.traceparent else NOWHERE,
            SpanKind.CONSUMER,
            told,
        )

    @contextmanager
    def call(self, command: RefundCommand, traceparent: str) -> Iterator[TracedCall]:
        """As the port says."""
        told: dict[str, str | int] = {
            names.PROVIDER: command.provider,
            names.ATTEMPT: command.attempt,
            **_ids(command),
        }
        if isinstance(command, RefundLookUp):
            told[names.LOOK_UP_NO] = command.look_up_no
        what = "issue" if isinstance(command, RefundIssue) else "look up"
        span = self._tracer.start_span(f"{what} refund", context_of(traceparent), SpanKind.INTERNAL, told)
        with _current(span):
            yield _Call(span)

    @contextmanager
    def delivery(self, sender: str) -> Iterator[TracedDelivery]:
        """As the port says. A traceparent of the provider's is not followed: any stranger could have all recorded."""
        if not self._randomness.random() < self._ratio:
            yield Untraced()
            return
        told: dict[str, str | int] = {
            names.METHOD: "POST",
            names.ROUTE: "/webhooks/{provider}",
            names.PATH: f"/webhooks/{sender}",
            names.SCHEME: "http",
        }
        span = self._tracer.start_span("POST /webhooks/{provider}", NOWHERE, SpanKind.SERVER, told)
        with _current(span):
            yield _Delivery(span)


class _Batch:
    def __init__(self, messages: Sequence[Incoming | Unreadable], spans: Mapping[int, Span]) -> None:
        self._spans = spans
        self.messages = list(messages)
        for place, span in spans.items():
            self.messages[place] = _under(messages[place], span)

    def recorded(self, parts: Sequence[Recorded]) -> None:
        labels = [label for part in parts for *_, label in part.labels]
        reasons = {_place(one.record): one.fault.reason for part in parts for one in part.parked}
        for place, span in self._spans.items():
            span.add_event("recorded")
            span.set_attribute(names.OUTCOME, labels[place])
            reason = reasons.get(_place(self.messages[place].record))
            if reason is not None:
                _fail(span, reason)

    def sent(self) -> None:
        for span in self._spans.values():
            span.end()


class _Call:
    def __init__(self, span: Span) -> None:
        self._span = span
        self.traceparent: str | None = traceparent_of(span)

    def answered(self, answer: Answer) -> None:
        self._span.set_attribute(names.OUTCOME, answer.outcome)
        if answer.code is not None:
            self._span.set_attribute(names.PROVIDER_CODE, answer.code)
        if answer.outcome in _FAULTS:
            _fail(self._span, answer.code or answer.outcome)


class _Delivery:
    def __init__(self, span: Span) -> None:
        self._span = span
        self.traceparent: str | None = traceparent_of(span) if span.is_recording() else None

    def answered(self, status: int, word: str) -> None:
        self._span.set_attributes({names.STATUS: status, names.OUTCOME: word})
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _fail(self._span, word)


@contextmanager
def _current(span: Span) -> Iterator[None]:
    """What is begun within the block is the span's; it ends there. Of an error it tells the kind, never the text."""
    try:
        with use_span(span, record_exception=False, set_status_on_exception=False):
            yield
    except BaseException as error:
        _fail(span, type(error).__name__)
        raise
    finally:
        span.end()


def _under(message: Incoming | Unreadable, span: Span) -> Incoming | Unreadable:
    """The message as its span's: what it causes carries the span's traceparent."""
    assert message.envelope is not None
    return replace(message, envelope=replace(message.envelope, traceparent=traceparent_of(span)))


def _place(record: Record) -> tuple[Partition, int]:
    return record.source, record.offset


def _ids(data: object) -> dict[str, str]:
    found = {f"annul.{name}": getattr(data, name, None) for name in names.IDS}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _fail(span: Span, kind: str) -> None:
    span.set_attribute(names.ERROR, kind)
    span.set_status(StatusCode.ERROR)
