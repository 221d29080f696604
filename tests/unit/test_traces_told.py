"""Which messages, calls and webhooks are traced, what their spans tell, and what they never tell."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from kit.builders import cancelled
from kit.tracing import ORDERS, SAMPLED, TRACE, UNSAMPLED, Kept, attributes, carrying, traceparent, unreadable
from opentelemetry import semconv
from opentelemetry.trace import SpanKind

from schemas.refunds import RefundIssue, RefundLookUp
from workers.pipeline.messages import Incoming
from workers.pipeline.parking import park
from workers.pipeline.record import Recorded
from workers.providers.http import ConnectionLost, ConnectionRefused, Response, TimedOut, TransportError
from workers.providers.port import Answer
from workers.tracing import attributes as names
from workers.tracing.client import template_of
from workers.tracing.port import trace_id_of, traced_call, traced_delivery

PAGE = Path(__file__).parents[2] / "docs" / "traces.md"
SENT: dict[str, Any] = {
    "refund_id": "rf_1",
    "order_id": "ord_1",
    "tender_id": "tnd_1",
    "provider": "card",
    "reference": "pi_private",
    "amount_minor": 4599,
    "currency": "EUR",
    "idempotency_key": "annul:rf_1",
    "attempt": 2,
    "issued_at": cancelled().cancelled_at,
    "first_issued_at": cancelled().cancelled_at,
}
ISSUE, LOOK_UP = RefundIssue(**SENT), RefundLookUp(**SENT, look_up_no=7)


def recorded(*messages: Any, label: str = "applied") -> Recorded:
    labels = [(one.record.source.topic, "order.cancelled", label) for one in messages]
    parked = [park(one, one.fault, "decode") for one in messages if not isinstance(one, Incoming)]
    return Recorded([], [], {}, labels, parked)


# ---------------------------------------------------------------- messages


def test_a_message_is_traced_where_its_traceparent_says_so() -> None:
    kept = Kept(ratio=1.0)
    messages = [carrying(UNSAMPLED), carrying(SAMPLED), carrying(UNSAMPLED)]
    batch = kept.traces.begin(messages)
    assert batch is not None
    assert [batch.messages[0], batch.messages[2]] == [messages[0], messages[2]], "as they came"
    batch.recorded([recorded(*batch.messages)])
    batch.sent()
    span = kept.one
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, "00f067aa0ba902b7")
    assert batch.messages[1].envelope is not None
    assert batch.messages[1].envelope.traceparent == traceparent(span), "what it causes is the span's"
    assert batch.messages[1].envelope.id == messages[1].envelope.id


def test_nothing_is_begun_where_nothing_is_traced() -> None:
    assert Kept(ratio=1.0).traces.begin([carrying(UNSAMPLED)]) is None
    assert Kept(ratio=0.0).traces.begin([carrying(None)]) is None
    assert Kept(ratio=1.0).traces.begin([carrying(None, topic="refunds.results.v1")]) is None, "it came from ourselves"


def test_a_share_of_what_comes_in_without_a_trace_begins_one() -> None:
    kept = Kept(ratio=0.25)
    batch = kept.traces.begin([carrying(None) for _ in range(4000)])
    assert batch is not None
    begun = [message for message in batch.messages if message.envelope and message.envelope.traceparent]
    assert 800 < len(begun) < 1200
    assert len({trace_id_of(message.envelope.traceparent) for message in begun if message.envelope}) == len(begun)


def test_a_span_tells_where_a_message_lay_and_what_became_of_it() -> None:
    kept = Kept()
    message = carrying(SAMPLED)
    batch = kept.traces.begin([message])
    assert batch is not None
    batch.recorded([recorded(*batch.messages, label="duplicate")])
    assert kept.spans == [], "Kafka does not have yet what it caused"
    batch.sent()
    assert (kept.one.name, kept.one.kind) == (f"process {ORDERS}", SpanKind.CONSUMER)
    assert attributes(kept.one) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": ORDERS,
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": message.record.offset,
        "messaging.consumer.group.name": "annul.test",
        "messaging.message.id": message.envelope.id,
        "cloudevents.event_type": "order.cancelled",
        "annul.batch_records": 1,
        "annul.order_id": "ord_1",
        "annul.conversation_id": "cnv_1",
        "annul.outcome": "duplicate",
    }
    assert [event.name for event in kept.one.events] == ["recorded"]


def test_parked_messages_tell_the_reason_and_nothing_a_stranger_wrote() -> None:
    """A batch that was recorded in halves, in order."""
    kept = Kept()
    batch = kept.traces.begin([carrying(SAMPLED), unreadable(SAMPLED, "unknown_type", "my secret type")])
    assert batch is not None
    first, second = batch.messages
    batch.recorded([recorded(first), recorded(second, label="parked")])
    batch.sent()
    good, bad = kept.spans
    assert (good.status.is_ok, attributes(good)["annul.outcome"]) == (True, "applied")
    assert (bad.status.is_ok, attributes(bad)["annul.outcome"]) == (False, "parked")
    assert attributes(bad)["error.type"] == "unknown_type"
    assert "secret" not in bad.to_json()
    assert "too long" not in bad.to_json()


# ---------------------------------------------------------------- calls


async def test_a_call_is_told_with_its_requests_and_without_what_is_private() -> None:
    kept, asked = Kept(), Played(Response(200, {"request-id": "req_1", "set-cookie": "private"}, b"private"))
    transport = kept.transport(asked)
    with traced_call(kept.traces, ISSUE, SAMPLED) as call:
        url = "https://api.example:8443/v1/refunds/re_private?limit=private"
        await transport.request("POST", url, headers={"authorization": "private"}, body=b"private", deadline_s=1)
        call.answered(Answer(outcome="succeeded", provider_refund_id="re_private", detail="private"))
    request, whole = kept.spans
    assert call.traceparent == traceparent(whole), "the result is the call's"
    assert (request.parent, whole.name, whole.kind) == (whole.context, "issue refund", SpanKind.INTERNAL)
    assert attributes(request) == {
        "http.request.method": "POST",
        "url.template": "/v1/refunds/{id}",
        "url.scheme": "https",
        "server.address": "api.example",
        "server.port": 8443,
        "http.response.status_code": 200,
        "annul.provider_request_id": "req_1",
    }
    assert attributes(whole) == {
        "annul.provider": "card",
        "annul.attempt": 2,
        "annul.order_id": "ord_1",
        "annul.refund_id": "rf_1",
        "annul.outcome": "succeeded",
    }
    assert all(word not in span.to_json() for span in kept.spans for word in ("private", "4599"))
    assert not any("traceparent" in headers for headers in asked.headers), "providers are not told"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (TimedOut("x"), "timeout"),
        (ConnectionLost("x"), "connection_lost"),
        (ConnectionRefused("x"), "connection_refused"),
    ],
)
async def test_a_request_that_fails_tells_how(failure: TransportError, kind: str) -> None:
    kept = Kept()
    with traced_call(kept.traces, LOOK_UP, SAMPLED) as call:
        with pytest.raises(TransportError):
            await kept.transport(Played(failure)).request(
                "GET", "http://x/v1/refunds", headers={}, body=None, deadline_s=1
            )
        call.answered(Answer(outcome="uncertain", code=kind))
    request, whole = kept.spans
    for span in (request, whole):
        assert (attributes(span)["error.type"], span.status.is_ok, span.events) == (kind, False, ())
    assert (whole.name, attributes(whole)["annul.look_up_no"]) == ("look up refund", 7)


async def test_a_call_that_is_given_up_or_breaks_ends_its_span_without_the_errors_text() -> None:
    kept = Kept()
    for error in (asyncio.CancelledError("private"), KeyError("private")):
        with pytest.raises(type(error)), traced_call(kept.traces, ISSUE, SAMPLED):
            raise error
    assert [attributes(span)["error.type"] for span in kept.spans] == ["CancelledError", "KeyError"]
    assert all("private" not in span.to_json() for span in kept.spans)


@pytest.mark.parametrize("trace", [None, UNSAMPLED])
async def test_what_is_not_traced_tells_nothing_and_passes_its_traceparent_on(trace: str | None) -> None:
    for kept in (Kept(ratio=1.0), None):
        with traced_call(kept.traces if kept else None, ISSUE, trace) as call:
            if kept is not None:
                transport = kept.transport(Played(Response(500, {}, b"")))
                await transport.request("GET", "http://x/v1/refunds", headers={}, body=None, deadline_s=1)
            call.answered(Answer(outcome="uncertain"))
        assert call.traceparent == trace
        assert kept is None or kept.spans == []


def test_no_id_stays_in_a_path() -> None:
    assert template_of("/v2/payments/captures/8AC-1/refund") == "/v2/payments/captures/{id}/refund"
    assert template_of("/v1/notifications/verify-webhook-signature") == "/v1/notifications/verify-webhook-signature"
    assert template_of("/anything/else") == "/{id}/{id}"


# ---------------------------------------------------------------- webhooks


def test_a_share_of_webhooks_begin_a_trace_whatever_their_sender_says() -> None:
    kept = Kept(ratio=1.0)
    for status, word in ((200, "accepted"), (400, "unsigned"), (503, "unkept")):
        with traced_delivery(kept.traces, "stripe") as delivery:
            delivery.answered(status, word)
        assert delivery.traceparent == traceparent(kept.spans[-1])
    accepted, refused, unkept = kept.spans
    assert accepted.parent is None
    assert attributes(accepted) == {
        "http.request.method": "POST",
        "http.route": "/webhooks/{provider}",
        "url.path": "/webhooks/stripe",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "annul.outcome": "accepted",
    }
    assert [span.status.is_ok for span in (accepted, refused, unkept)] == [True, True, False]
    for traces in (Kept(ratio=0.0).traces, None):
        with traced_delivery(traces, "stripe") as delivery:
            delivery.answered(200, "accepted")
        assert delivery.traceparent is None


# ---------------------------------------------------------------- names


def told_names() -> set[str]:
    ours = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    return ours | {f"annul.{name}" for name in names.IDS}


def test_names_are_opentelemetrys_where_they_are_not_ours() -> None:
    folders = [Path(next(iter(semconv.__path__))) / one for one in ("attributes", "_incubating/attributes")]
    known = {
        name
        for folder in folders
        for file in folder.glob("*.py")
        for name in re.findall(r'"([a-z_.]+)"', file.read_text())
    }
    assert len(known) > 500
    assert {name for name in told_names() if not name.startswith("annul.")} <= known


def test_every_name_is_documented() -> None:
    documented = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", PAGE.read_text()))
    assert told_names() <= documented


class Played:
    """A transport that answers so."""

    def __init__(self, end: Response | TransportError) -> None:
        self._end = end
        self.headers: list[dict[str, str]] = []

    async def request(self, _method: str, _url: str, *, headers: dict[str, str], **_more: Any) -> Response:
        self.headers.append(headers)
        if isinstance(self._end, Response):
            return self._end
        raise self._end

    async def close(self) -> None: ...
