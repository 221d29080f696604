"""Every field of an order event at and beyond its limits: what is taken, and which reason and field a fault names."""

from typing import Any

import msgspec
import pytest
from kit.builders import cancelled_json

from schemas.base import Fault, encode
from schemas.envelope import Envelope, decode_data
from schemas.orders import OrderCancelled
from schemas.topics import ORDERS_EVENTS

Path = tuple[str | int, ...]
DROP = object()
_DECODERS = ORDERS_EVENTS.decoders()
_TENDER: Path = ("escrow", "tenders", 0)
_IDS: list[tuple[Path, str]] = [
    (("order_id",), "order_id"),
    (("conversation_id",), "conversation_id"),
    (("client_id",), "client_id"),
    (("seller_id",), "seller_id"),
    ((*_TENDER, "tender_id"), "escrow.tenders[0].tender_id"),
    ((*_TENDER, "reference"), "escrow.tenders[0].reference"),
]
_BAD_IDS = ["", "a" * 65, "ord_1\n", "\nord_1", "ord 1", "ord/1", "é", "ord\x00", "ord_1\r", None, 7, True, ["ord_1"]]


def mutated(path: Path, value: Any) -> bytes:
    """The contract's example with one field set to `value`, or left out."""
    whole = cancelled_json()
    place: Any = whole
    for step in path[:-1]:
        place = place[step]
    if value is DROP:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return encode(whole)


def decode(data: bytes, type_: str = "order.cancelled") -> Any:
    return decode_data(_DECODERS, Envelope("evt_1", "/orders", type_, None, None), data)


def fault_in(data: bytes, type_: str = "order.cancelled") -> tuple[str, str]:
    with pytest.raises(Fault) as caught:
        decode(data, type_)
    return caught.value.reason, caught.value.field


def test_the_example_of_the_contract_is_taken_whole() -> None:
    event = decode(encode(cancelled_json()))
    assert isinstance(event, OrderCancelled)
    assert msgspec.json.decode(encode(event)) == cancelled_json()


@pytest.mark.parametrize(("path", "field"), _IDS)
@pytest.mark.parametrize("value", _BAD_IDS)
def test_a_bad_id_is_named(path: Path, field: str, value: Any) -> None:
    assert fault_in(mutated(path, value)) == ("invalid_field", field)


@pytest.mark.parametrize(("path", "field"), _IDS)
@pytest.mark.parametrize("value", ["a", "a" * 64, "A-Z_a.z:0-9", "-", "0"])
def test_an_id_within_its_limits_is_taken(path: Path, field: str, value: str) -> None:
    decode(mutated(path, value))


_REQUIRED: list[tuple[Path, str]] = [
    *_IDS,
    (("cancelled_at",), "cancelled_at"),
    (("cancelled_by",), "cancelled_by"),
    (("reason",), "reason"),
    (("stage",), "stage"),
    (("escrow",), "escrow"),
    (("escrow", "currency"), "escrow.currency"),
    (("escrow", "tenders"), "escrow.tenders"),
    ((*_TENDER, "provider"), "escrow.tenders[0].provider"),
    ((*_TENDER, "captured_minor"), "escrow.tenders[0].captured_minor"),
    ((*_TENDER, "refunded_minor"), "escrow.tenders[0].refunded_minor"),
    (("client_locale",), "client_locale"),
    (("seller_locale",), "seller_locale"),
]


@pytest.mark.parametrize(("path", "field"), _REQUIRED)
def test_a_missing_field_is_named(path: Path, field: str) -> None:
    assert fault_in(mutated(path, DROP)) == ("missing_field", field)


@pytest.mark.parametrize(("path", "field"), _REQUIRED)
def test_no_field_may_be_null(path: Path, field: str) -> None:
    assert fault_in(mutated(path, None)) == ("invalid_field", field)


_CAPTURED: Path = (*_TENDER, "captured_minor")
_REFUNDED: Path = (*_TENDER, "refunded_minor")
_BAD: list[tuple[Path, Any, str]] = [
    (_CAPTURED, -1, "escrow.tenders[0].captured_minor"),
    (_CAPTURED, 45.5, "escrow.tenders[0].captured_minor"),
    (_CAPTURED, 4500.0, "escrow.tenders[0].captured_minor"),
    (_CAPTURED, "4500", "escrow.tenders[0].captured_minor"),
    (_CAPTURED, True, "escrow.tenders[0].captured_minor"),
    (_CAPTURED, 10**15 + 1, "escrow.tenders[0].captured_minor"),
    (_CAPTURED, 2**63, "escrow.tenders[0].captured_minor"),
    (_CAPTURED, [4500], "escrow.tenders[0].captured_minor"),
    (_REFUNDED, -1, "escrow.tenders[0].refunded_minor"),
    (_REFUNDED, 0.0, "escrow.tenders[0].refunded_minor"),
    (_REFUNDED, "0", "escrow.tenders[0].refunded_minor"),
    (_REFUNDED, False, "escrow.tenders[0].refunded_minor"),
    (_REFUNDED, 4501, "escrow.tenders[0].refunded_minor"),
    (("escrow", "tenders", 1, "refunded_minor"), 501, "escrow.tenders[1].refunded_minor"),
    (("escrow", "tenders", 1, "tender_id"), "tnd_1", "escrow.tenders"),
    (_CAPTURED, 10**15, "escrow.tenders"),  # with the other tender's 500 it is more than an amount may be
    (("escrow", "tenders"), {}, "escrow.tenders"),
    (("escrow", "tenders"), [None], "escrow.tenders[0]"),
    (("escrow", "tenders"), [[]], "escrow.tenders[0]"),
    (("escrow",), [], "escrow"),
    (("escrow",), "4500 EUR", "escrow"),
    (("escrow", "currency"), "eur", "escrow.currency"),
    (("escrow", "currency"), "EU", "escrow.currency"),
    (("escrow", "currency"), "EURO", "escrow.currency"),
    (("escrow", "currency"), "EUR\n", "escrow.currency"),
    (("escrow", "currency"), "XXX", "escrow.currency"),
    (("escrow", "currency"), "CLF", "escrow.currency"),
    (("escrow", "currency"), "€", "escrow.currency"),
    (("escrow", "currency"), 978, "escrow.currency"),
    ((*_TENDER, "provider"), "stripe", "escrow.tenders[0].provider"),
    ((*_TENDER, "provider"), "Card", "escrow.tenders[0].provider"),
    ((*_TENDER, "provider"), "", "escrow.tenders[0].provider"),
    ((*_TENDER, "provider"), 1, "escrow.tenders[0].provider"),
    (("stage",), "completed", "stage"),
    (("stage",), "", "stage"),
    (("cancelled_by",), "admin", "cancelled_by"),
    (("cancelled_by",), "Client", "cancelled_by"),
    (("reason",), "x" * 501, "reason"),
    (("reason",), 5, "reason"),
    (("reason",), {"text": "x"}, "reason"),
    (("client_locale",), "", "client_locale"),
    (("client_locale",), "french-FR", "client_locale"),
    (("client_locale",), "fr-FR\n", "client_locale"),
    (("client_locale",), "fr-", "client_locale"),
    (("client_locale",), "f", "client_locale"),
    (("seller_locale",), "en US", "seller_locale"),
    (("seller_locale",), "en-US-a1-b2-c3", "seller_locale"),
    (("cancelled_at",), "2026-11-23T09:15:00", "cancelled_at"),
    (("cancelled_at",), "2026-11-23T10:15:00+01:00", "cancelled_at"),
    (("cancelled_at",), "2026-11-23", "cancelled_at"),
    (("cancelled_at",), "2026-02-30T09:15:00Z", "cancelled_at"),
    (("cancelled_at",), "2026-11-23T25:15:00Z", "cancelled_at"),
    (("cancelled_at",), "1999-12-31T23:59:59Z", "cancelled_at"),
    (("cancelled_at",), "2100-01-01T00:00:00Z", "cancelled_at"),
    (("cancelled_at",), "9999-12-31T23:59:59Z", "cancelled_at"),
    (("cancelled_at",), "yesterday", "cancelled_at"),
    (("cancelled_at",), "", "cancelled_at"),
    (("cancelled_at",), 1795425300, "cancelled_at"),
]


@pytest.mark.parametrize(("path", "value", "field"), _BAD)
def test_a_bad_value_is_named(path: Path, value: Any, field: str) -> None:
    assert fault_in(mutated(path, value)) == ("invalid_field", field)


_GOOD: list[tuple[Path, Any]] = [
    (_CAPTURED, 10**15 - 500),
    (_REFUNDED, 4500),
    (("escrow", "tenders"), []),
    (("escrow", "currency"), "JPY"),
    (("escrow", "currency"), "KWD"),
    (("reason",), ""),
    (("reason",), "é" * 500),
    (("reason",), "a\x00b"),
    (("client_locale",), "fr"),
    (("client_locale",), "fr_FR"),
    (("client_locale",), "zh-Hans-CN"),
    (("client_locale",), "en-001"),
    (("cancelled_at",), "2000-01-01T00:00:00Z"),
    (("cancelled_at",), "2099-12-01T00:00:00Z"),
    (("cancelled_at",), "2026-11-23T09:15:00.123456Z"),
    (("cancelled_at",), "2026-11-23T09:15:00+00:00"),
    *((("cancelled_by",), who) for who in ("client", "seller", "support", "system")),
    *((("stage",), stage) for stage in ("awaiting_acceptance", "in_progress", "delivered")),
    *(((*_TENDER, "provider"), provider) for provider in ("wallet", "paypal", "card")),
]


@pytest.mark.parametrize(("path", "value"), _GOOD)
def test_a_value_at_its_limit_is_taken(path: Path, value: Any) -> None:
    decode(mutated(path, value))


@pytest.mark.parametrize(("count", "taken"), [(0, True), (1, True), (32, True), (33, False)])
def test_an_order_has_at_most_32_tenders(count: int, taken: bool) -> None:
    first = cancelled_json()["escrow"]["tenders"][0]
    tenders = [{**first, "tender_id": f"tnd_{number}"} for number in range(count)]
    data = mutated(("escrow", "tenders"), tenders)
    if taken:
        assert len(decode(data).escrow.tenders) == count
    else:
        assert fault_in(data) == ("invalid_field", "escrow.tenders")


@pytest.mark.parametrize("path", [("new",), ("escrow", "new"), (*_TENDER, "new")])
@pytest.mark.parametrize("value", [None, 1.5, "text", [1, {"a": []}], {"deep": {"er": [True]}}])
def test_unknown_fields_are_ignored(path: Path, value: Any) -> None:
    assert msgspec.json.decode(encode(decode(mutated(path, value)))) == cancelled_json()


@pytest.mark.parametrize("path", [("reason",), ("cancelled_by",), ("stage",), ("client_locale",), ("client_id",)])
def test_a_fault_never_quotes_the_content(path: Path) -> None:
    with pytest.raises(Fault) as caught:
        decode(mutated(path, "Jeanne at 12 rue de la Paix " * 30))
    assert "Jeanne" not in str(caught.value)
    assert len(caught.value.detail) <= 200


OTHERS: dict[str, dict[str, str]] = {
    "order.placed": {
        "order_id": "ord_1",
        "conversation_id": "cnv_1",
        "client_id": "cli_1",
        "seller_id": "sel_1",
        "placed_at": "2026-11-23T09:15:00Z",
    },
    "order.accepted": {"order_id": "ord_1", "seller_id": "sel_1", "occurred_at": "2026-11-23T09:15:00Z"},
    "order.delivered": {"order_id": "ord_1", "seller_id": "sel_1", "occurred_at": "2026-11-23T09:15:00Z"},
    "order.completed": {"order_id": "ord_1", "seller_id": "sel_1", "occurred_at": "2026-11-23T09:15:00Z"},
    "order.reactivation_requested": {
        "order_id": "ord_1",
        "requested_by": "cli_1",
        "occurred_at": "2026-11-23T09:15:00Z",
    },
}


@pytest.mark.parametrize(("type_", "field"), [(type_, field) for type_, data in OTHERS.items() for field in data])
def test_each_field_of_the_other_order_events_is_needed_and_checked(type_: str, field: str) -> None:
    whole = OTHERS[type_]
    assert msgspec.json.decode(encode(decode(encode(whole), type_))) == whole
    assert fault_in(encode({name: value for name, value in whole.items() if name != field}), type_) == (
        "missing_field",
        field,
    )
    bad = "2026-11-23T09:15:00+01:00" if field.endswith("_at") else "not an id"
    assert fault_in(encode({**whole, field: bad}), type_) == ("invalid_field", field)
