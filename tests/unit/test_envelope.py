"""CloudEvents in both modes: what is read, what is refused and why, and what Annul itself writes."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from kit.builders import accepted

from schemas.base import Fault, encode
from schemas.envelope import MAX_VALUE_BYTES, Envelope, decode_data, headers_of, open_record, structured_value
from schemas.topics import ORDERS_EVENTS

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
BINARY = {
    "ce_specversion": b"1.0",
    "ce_id": b"evt_1",
    "ce_source": b"/orders",
    "ce_type": b"order.accepted",
    "ce_time": b"2026-11-23T09:15:00Z",
    "content-type": b"application/json",
}
STRUCTURED: dict[str, Any] = {
    "specversion": "1.0",
    "id": "evt_1",
    "source": "/orders",
    "type": "order.accepted",
    "time": "2026-11-23T09:15:00Z",
    "datacontenttype": "application/json",
    "traceparent": TRACE,
    "data": {"order_id": "ord_1"},
}
STRUCTURED_HEADERS = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
GONE = object()


def open_binary(value: bytes | None = b"{}", **changes: Any) -> tuple[Envelope, bytes]:
    fields = {**BINARY, **{name.replace("content_type", "content-type"): raw for name, raw in changes.items()}}
    return open_record(value, [(name, raw) for name, raw in fields.items() if raw is not GONE])


def open_structured(**changes: Any) -> tuple[Envelope, bytes]:
    fields = {name: value for name, value in {**STRUCTURED, **changes}.items() if value is not GONE}
    return open_record(encode(fields), STRUCTURED_HEADERS)


def fault_of(opened: Any) -> tuple[str, str]:
    with pytest.raises(Fault) as caught:
        opened()
    return caught.value.reason, caught.value.field


def test_binary_mode_gives_the_envelope_and_the_value_itself() -> None:
    envelope, data = open_binary(b'{"order_id":"ord_1"}', traceparent=TRACE.encode())
    assert envelope == Envelope("evt_1", "/orders", "order.accepted", "2026-11-23T09:15:00Z", TRACE)
    assert data == b'{"order_id":"ord_1"}'


def test_structured_mode_gives_the_same_envelope_and_the_data_alone() -> None:
    envelope, data = open_structured()
    assert envelope == Envelope("evt_1", "/orders", "order.accepted", "2026-11-23T09:15:00Z", TRACE)
    assert data == b'{"order_id":"ord_1"}'


def test_structured_mode_takes_data_in_base64() -> None:
    _, data = open_structured(data=GONE, data_base64=base64.b64encode(b'{"a":1}').decode())
    assert data == b'{"a":1}'


def test_a_structured_event_of_a_whole_message_can_be_read_back() -> None:
    event = accepted()
    value = structured_value("order.accepted", "evt_1", "/orders", event.occurred_at, event)
    envelope, data = open_record(value, STRUCTURED_HEADERS)
    assert decode_data(ORDERS_EVENTS.decoders(), envelope, data) == event


def test_what_annul_writes_can_be_read_back() -> None:
    event = accepted()
    paris = timezone(timedelta(hours=1))
    headers = headers_of("order.accepted", "msg_1", datetime(2026, 11, 23, 10, 15, tzinfo=paris), TRACE)
    envelope, data = open_record(encode(event), headers)
    assert envelope == Envelope("msg_1", "/annul", "order.accepted", "2026-11-23T09:15:00Z", TRACE)
    assert decode_data(ORDERS_EVENTS.decoders(), envelope, data) == event


def test_annul_writes_no_trace_where_there_is_none() -> None:
    headers = dict(headers_of("order.accepted", "msg_1", datetime(2026, 11, 23, 9, 15, 0, 5, tzinfo=UTC)))
    assert headers == {
        **BINARY,
        "ce_id": b"msg_1",
        "ce_source": b"/annul",
        "ce_time": b"2026-11-23T09:15:00.000005Z",
    }


def test_header_names_are_read_in_any_case() -> None:
    envelope, _ = open_record(b"{}", [(name.upper(), raw) for name, raw in BINARY.items()])
    assert envelope.id == "evt_1"


@pytest.mark.parametrize(
    "changes",
    [
        {"content_type": GONE},
        {"content_type": b"application/json; charset=utf-8"},
        {"content_type": b"APPLICATION/JSON"},
        {"ce_time": GONE},
        {"ce_time": b"2026-11-23T10:15:00.123456789+01:00"},
        {"ce_id": b"a" * 64},
        {"ce_subject": b"\xff" * 2000},
        {"somebodys_header": b"\xff" * 2000},
        {"ce_datacontenttype": None},
    ],
)
def test_binary_mode_is_no_stricter_than_it_must_be(changes: dict[str, Any]) -> None:
    envelope, _ = open_binary(**changes)
    assert envelope.type == "order.accepted"


NOWHERE = [f"00-{0:032x}-00f067aa0ba902b7-01".encode(), f"00-{1:032x}-{0:016x}-01".encode(), b"ff" + TRACE[2:].encode()]


@pytest.mark.parametrize("trace", [b"", b"00-abc-def-01", TRACE.upper().encode(), b"\xff", b"x" * 5000, None, *NOWHERE])
def test_a_broken_trace_holds_up_nothing(trace: bytes | None) -> None:
    assert open_binary(traceparent=trace)[0].traceparent is None
    assert open_binary(ce_traceparent=trace)[0].traceparent is None


@pytest.mark.parametrize("trace", [None, "", 7, [TRACE], "00-abc", GONE])
def test_a_broken_trace_in_structured_mode_holds_up_nothing(trace: Any) -> None:
    assert open_structured(traceparent=trace)[0].traceparent is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ce_specversion": GONE}, "ce_specversion"),
        ({"ce_specversion": b"0.3"}, "ce_specversion"),
        ({"ce_specversion": b"1.0\n"}, "ce_specversion"),
        ({"ce_id": GONE}, "ce_id"),
        ({"ce_id": b""}, "ce_id"),
        ({"ce_id": b"a" * 65}, "ce_id"),
        ({"ce_id": b"evt_1\n"}, "ce_id"),
        ({"ce_id": "événement".encode()}, "ce_id"),
        ({"ce_id": b"\xff"}, "ce_id"),
        ({"ce_id": None}, "ce_id"),
        ({"ce_source": GONE}, "ce_source"),
        ({"ce_source": b""}, "ce_source"),
        ({"ce_source": b"/" * 1025}, "ce_source"),
        ({"ce_type": GONE}, "ce_type"),
        ({"ce_type": b""}, "ce_type"),
        ({"ce_type": b"\xc3"}, "ce_type"),
        ({"ce_time": b"noon"}, "ce_time"),
        ({"ce_time": b"2026-11-23T09:15:00"}, "ce_time"),
        ({"ce_time": b"2026-02-30T09:15:00Z"}, "ce_time"),
        ({"content_type": b"text/plain"}, "content-type"),
        ({"content_type": b"application/cloudevents-batch+json"}, "content-type"),
        ({"content_type": b"\xff"}, "content-type"),
    ],
)
def test_a_bad_envelope_in_binary_mode_names_the_header(changes: dict[str, Any], field: str) -> None:
    assert fault_of(lambda: open_binary(**changes)) == ("bad_envelope", field)


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"specversion": GONE}, "missing_field", "specversion"),
        ({"specversion": "0.3"}, "bad_envelope", "specversion"),
        ({"specversion": 1.0}, "invalid_field", "specversion"),
        ({"id": GONE}, "missing_field", "id"),
        ({"id": ""}, "bad_envelope", "id"),
        ({"id": "evt 1"}, "bad_envelope", "id"),
        ({"id": 1}, "invalid_field", "id"),
        ({"source": GONE}, "missing_field", "source"),
        ({"source": ""}, "bad_envelope", "source"),
        ({"type": GONE}, "missing_field", "type"),
        ({"type": ""}, "bad_envelope", "type"),
        ({"time": "noon"}, "bad_envelope", "time"),
        ({"time": 5}, "invalid_field", "time"),
        ({"datacontenttype": "text/xml"}, "bad_envelope", "datacontenttype"),
        ({"data": GONE}, "missing_field", "data"),
        ({"data": None}, "missing_field", "data"),
        ({"data": GONE, "data_base64": "%%%"}, "bad_envelope", "data_base64"),
        ({"data": GONE, "data_base64": "é"}, "bad_envelope", "data_base64"),
        ({"data": GONE, "data_base64": 7}, "invalid_field", "data_base64"),
    ],
)
def test_a_bad_envelope_in_structured_mode_names_the_field(changes: dict[str, Any], reason: str, field: str) -> None:
    assert fault_of(lambda: open_structured(**changes)) == (reason, field)


@pytest.mark.parametrize("changes", [{"time": None}, {"datacontenttype": None}, {"data_base64": None}, {"more": [1]}])
def test_null_attributes_count_as_unset_and_unknown_ones_are_ignored(changes: dict[str, Any]) -> None:
    assert open_structured(**changes)[1] == b'{"order_id":"ord_1"}'


@pytest.mark.parametrize("value", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"id":"\xff"}', b'{"a":' + b"[" * 50_000])
def test_a_structured_event_that_is_no_json_is_malformed(value: bytes) -> None:
    assert fault_of(lambda: open_record(value, STRUCTURED_HEADERS)) == ("malformed_json", "value")


def test_a_tombstone_is_told_as_one() -> None:
    assert fault_of(lambda: open_binary(None)) == ("tombstone", "value")
    assert fault_of(lambda: open_record(None, [])) == ("tombstone", "value")


def test_a_value_is_read_up_to_its_size_limit() -> None:
    value = b" " * MAX_VALUE_BYTES
    assert open_binary(value)[1] == value
    assert fault_of(lambda: open_binary(value + b" ")) == ("too_large", "value")
    assert fault_of(lambda: open_record(b"x" * 1_000_000, STRUCTURED_HEADERS)) == ("too_large", "value")


def test_a_record_without_headers_is_a_bad_envelope() -> None:
    assert fault_of(lambda: open_record(b"{}", [])) == ("bad_envelope", "ce_specversion")


def test_a_type_of_another_topic_is_unknown() -> None:
    envelope, data = open_binary(ce_type=b"refund.issue")
    assert fault_of(lambda: decode_data(ORDERS_EVENTS.decoders(), envelope, data)) == ("unknown_type", "ce_type")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b'{"order_id":"ord_1",}', "malformed_json"),
        (b"\xef\xbb\xbf{}", "malformed_json"),
        (encode(accepted()) + b" x", "malformed_json"),
        (b'{"order_id":"\xff"}', "malformed_json"),
        (b'{"order_id":"\\ud800"}', "malformed_json"),
        (b'{"order_id":NaN}', "malformed_json"),
        (b'{"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_json"),
        (b"null", "invalid_field"),
        (b"[]", "invalid_field"),
        (b'"text"', "invalid_field"),
        (b"7", "invalid_field"),
    ],
)
def test_data_that_is_no_json_object_is_told_of_the_whole_value(value: bytes, reason: str) -> None:
    envelope, data = open_binary(value)
    assert fault_of(lambda: decode_data(ORDERS_EVENTS.decoders(), envelope, data)) == (reason, "value")
