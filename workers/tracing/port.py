"""What workers tell of a message that is traced. Nothing here knows OpenTelemetry.

A message is traced when its `traceparent` says so, or where it comes in without one and the dice say so. From there on
the messages that it causes carry the traceparent of the span that caused them; all others pass on what they carried.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

from schemas.refunds import RefundCommand
from workers.pipeline.messages import Incoming, Unreadable
from workers.pipeline.record import Recorded
from workers.providers.port import Answer

_SAMPLED: Final = frozenset("13579bdf")
_TRACE_ID: Final = slice(3, 35)


class TracedBatch(Protocol):
    """A batch some of whose messages are traced."""

    @property
    def messages(self) -> Sequence[Incoming | Unreadable]:
        """What to decide: the batch, each traced message with its own span's traceparent."""
        ...

    def recorded(self, parts: Sequence[Recorded]) -> None:
        """What was decided is in PostgreSQL; in order, all of the batch."""
        ...

    def sent(self) -> None:
        """Kafka has what it caused. A batch that never comes so far is of somebody else's, and not told."""
        ...


class TracedCall(Protocol):
    """A refund that a provider is asked for, with every request that this takes."""

    traceparent: str | None
    """What the result carries."""

    def answered(self, answer: Answer) -> None:
        """What it came to."""
        ...


class TracedDelivery(Protocol):
    """A webhook at the door."""

    traceparent: str | None
    """What the record that keeps it carries."""

    def answered(self, status: int, word: str) -> None:
        """What the provider was answered."""
        ...


class Traces(Protocol):
    """One worker's traces."""

    def begin(self, messages: Sequence[Incoming | Unreadable]) -> TracedBatch | None:
        """A batch is about to be decided; None where no message of it is traced."""
        ...

    def call(self, command: RefundCommand, traceparent: str) -> AbstractContextManager[TracedCall]:
        """A provider is asked; ends with the block."""
        ...

    def delivery(self, sender: str) -> AbstractContextManager[TracedDelivery]:
        """A webhook came; ends with the block. One that isn't traced is given as well."""
        ...


class Untraced:
    """In the place of what isn't traced."""

    def __init__(self, traceparent: str | None = None) -> None:
        self.traceparent = traceparent

    def answered(self, *_what: object) -> None:
        """Nobody is told."""


def is_sampled(traceparent: str | None) -> bool:
    """Whether a message's traceparent says that its trace is recorded."""
    return traceparent is not None and traceparent[-1] in _SAMPLED


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace's id, for a line of the log."""
    return None if traceparent is None else traceparent[_TRACE_ID]


def traced_call(
    traces: Traces | None, command: RefundCommand, traceparent: str | None
) -> AbstractContextManager[TracedCall]:
    """A provider is asked for a refund, traced or not."""
    if traces is None or traceparent is None or not is_sampled(traceparent):
        return nullcontext(Untraced(traceparent))
    return traces.call(command, traceparent)


def traced_delivery(traces: Traces | None, sender: str) -> AbstractContextManager[TracedDelivery]:
    """A webhook came, traced or not."""
    return nullcontext(Untraced()) if traces is None else traces.delivery(sender)
