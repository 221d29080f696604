"""What is shown of a stranger's bytes, and what is not."""

import json

import msgspec
import pytest
from kit.builders import cancelled_json

from workers.insight.masking import MOST_SHOWN_BYTES, shown_headers, shown_key, shown_value


def shown(value: object) -> object:
    """A JSON value, masked."""
    return shown_value(json.dumps(value).encode())


def test_a_good_message_loses_its_free_text_alone() -> None:
    given = cancelled_json(reason="Jane Doe moved to 12 Elm Street")
    assert shown(given) == {**given, "reason": "*** 31 characters"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"client_name": "Jane"}, {"client_name": "*** 4 characters"}),
        ({"email": "jane@example.com"}, {"email": "*** 16 characters"}),
        ({"phone": 33612345678}, {"phone": "*** 11 characters"}),
        ({"order_id": "Jane Doe"}, {"order_id": "*** 8 characters"}),
        ({"order_id": "jane@example.com"}, {"order_id": "*** 16 characters"}),
        ({"order_id": {"name": "Jane"}}, {"order_id": {"name": "*** 4 characters"}}),
        ({"jane@example.com": 1}, {"*** 16 characters": "*** 1 characters"}),
        ({"tenders": ["Jane", None, True]}, {"tenders": ["Jane", None, True]}),
        (["Jane"], ["*** 4 characters"]),
        ("Jane", "*** 4 characters"),
        ({"cancelled_at": "2026-11-23T09:15:00+00:00"}, {"cancelled_at": "2026-11-23T09:15:00+00:00"}),
    ],
)
def test_only_what_looks_like_an_id_under_a_name_of_ours_is_shown(given: object, expected: object) -> None:
    assert shown(given) == expected


def test_a_structured_event_is_looked_through() -> None:
    event = {"specversion": "1.0", "id": "evt_1", "type": "order.cancelled", "data": {"reason": "Jane", "stage": "x"}}
    assert shown(event) == {**event, "data": {"reason": "*** 4 characters", "stage": "x"}}


@pytest.mark.parametrize(
    ("written", "number"),
    [(b"4500", 4500), (b"-1", -1), (b"45.10", "45.10"), (b"1e999", "1e999"), (b"1" * 30, "1" * 30), (b"NaN", "NaN")],
)
def test_a_number_is_shown_as_it_was_written(written: bytes, number: object) -> None:
    masked = shown_value(b'{"captured_minor": ' + written + b"}")
    assert masked == {"captured_minor": number}
    assert msgspec.json.encode(masked)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"Jane Doe",
        b"\xff\xfe",
        b"[" * 100_000,
        b'"' + b"x" * MOST_SHOWN_BYTES + b'"',
    ],
)
def test_what_is_not_json_is_not_shown(value: bytes | None) -> None:
    assert shown_value(value) is None


def test_a_key_is_shown_where_it_is_an_id() -> None:
    assert shown_key(b"ord_7f3") == "ord_7f3"
    assert [shown_key(key) for key in (None, b"", b"Jane Doe", b"\xff", b"a@b.c")] == [None] * 5


def test_headers_are_shown_where_their_sense_is_known() -> None:
    headers = [
        ("ce_type", b"order.cancelled"),
        ("content-type", b"application/json; charset=utf-8"),
        ("annul_redriven_from", b"orders.events.v1:0:21"),
        ("CE_ID", b"evt_1"),
        ("ce_subject", b"Jane"),
        ("user", b"Jane"),
        ("ce_id", b"jane@example.com"),
        ("ce_source", b"\xff"),
        ("Jane Doe", b""),
    ]
    told = [(one["name"], one["value"], one["bytes"]) for one in shown_headers(headers)]
    assert told == [
        ("ce_type", "order.cancelled", 15),
        ("content-type", "application/json; charset=utf-8", 31),
        ("annul_redriven_from", "orders.events.v1:0:21", 21),
        ("CE_ID", "evt_1", 5),
        ("ce_subject", None, 4),
        ("user", None, 4),
        ("ce_id", None, 16),
        ("ce_source", None, 1),
        ("*** 8 characters", None, 0),
    ]
