"""What holds for messages of all families: currencies, times, commands and results, canonical money, the catalogue."""

from typing import Any

import msgspec
import pytest
from kit.builders import NOW, cancelled_json, escrow, refund, result, tender

from schemas.base import Fault, encode, fault_of
from schemas.currencies import EXPONENTS
from schemas.envelope import Envelope, decode_data
from schemas.orders import Escrow
from schemas.topics import BY_NAME, CATALOGUE, Topic
from workers.domain.cancellation import canonical_escrow, read_escrow
from workers.domain.policy import RefundPolicy
from workers.domain.refund_messages import issue_of, look_up_of


def decode(topic: str, type_: str, data: bytes) -> Any:
    return decode_data(BY_NAME[topic].decoders(), Envelope("evt_1", "/x", type_, None, None), data)


def fault_in(topic: str, type_: str, data: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(Fault) as caught:
        decode(topic, type_, encode(data))
    return caught.value.reason, caught.value.field


@pytest.mark.parametrize(
    ("codes", "exponent"),
    [
        ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF", 0),
        ("EUR USD GBP CHF HUF TWD MGA MRU CNY", 2),
        ("BHD IQD JOD KWD LYD OMR TND", 3),
    ],
)
def test_a_currency_has_its_exponent_of_iso_4217(codes: str, exponent: int) -> None:
    assert {EXPONENTS[code] for code in codes.split()} == {exponent}


def test_every_currency_is_three_letters_with_exponent_0_2_or_3() -> None:
    assert len(EXPONENTS) > 150
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in EXPONENTS)
    assert set(EXPONENTS.values()) == {0, 2, 3}


@pytest.mark.parametrize("code", sorted(EXPONENTS))
def test_an_order_may_be_paid_in_any_currency(code: str) -> None:
    event = cancelled_json(escrow={"currency": code, "tenders": []})
    assert decode("orders.events.v1", "order.cancelled", encode(event)).escrow.currency == code


COMMANDS = "refunds.commands.card.v1"


def issue_json(**changes: Any) -> dict[str, Any]:
    data = issue_of(refund(), NOW, RefundPolicy()).data
    return {**msgspec.to_builtins(data), **changes}


def test_a_command_can_be_read_by_whoever_takes_it() -> None:
    issue = issue_of(refund(), NOW, RefundPolicy())
    assert decode(COMMANDS, issue.type, encode(issue.data)) == issue.data
    look_up = look_up_of(refund(provider_refund_id="re_1"), NOW, RefundPolicy())
    assert decode(COMMANDS, look_up.type, encode(look_up.data)) == look_up.data


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 1.0}, "amount_minor"),
        ({"amount_minor": 10**15 + 1}, "amount_minor"),
        ({"currency": "XXX"}, "currency"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "k" * 109}, "idempotency_key"),
        ({"idempotency_key": "k y"}, "idempotency_key"),
        ({"idempotency_key": "key\n"}, "idempotency_key"),
        ({"attempt": 0}, "attempt"),
        ({"attempt": 1.5}, "attempt"),
        ({"provider": "bank"}, "provider"),
        ({"issued_at": "2026-11-23T09:16:00+01:00"}, "issued_at"),
        ({"first_issued_at": "1970-01-01T00:00:00Z"}, "first_issued_at"),
        ({"not_after": "2026-11-23T09:16:00"}, "not_after"),
        ({"not_after": "2026-11-23T10:16:00+01:00"}, "not_after"),
    ],
)
def test_a_bad_command_is_named(changes: dict[str, Any], field: str) -> None:
    assert fault_in(COMMANDS, "refund.issue", issue_json(**changes)) == ("invalid_field", field)


def test_a_look_up_needs_its_number() -> None:
    assert fault_in(COMMANDS, "refund.look_up", issue_json()) == ("missing_field", "look_up_no")
    assert fault_in(COMMANDS, "refund.look_up", issue_json(look_up_no=0)) == ("invalid_field", "look_up_no")


def test_the_idempotency_key_of_every_refund_is_within_its_limit() -> None:
    longest = refund(order_id="o" * 64, tender_id="t" * 64, reference="r" * 64)
    issue = issue_of(longest, NOW, RefundPolicy())
    assert decode(COMMANDS, issue.type, encode(issue.data)) == issue.data


RESULTS = "refunds.results.v1"


def test_a_result_can_leave_out_what_no_provider_said() -> None:
    told = result("pending")
    data = {name: value for name, value in msgspec.to_builtins(told).items() if value is not None}
    assert decode(RESULTS, "refund.result", encode(data)) == told


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"outcome": "failed"}, "outcome"),
        ({"via": "email"}, "via"),
        ({"provider": "stripe"}, "provider"),
        ({"attempt": 0}, "attempt"),
        ({"look_up_no": 0}, "look_up_no"),
        ({"retry_after_s": -1}, "retry_after_s"),
        ({"retry_after_s": 30 * 24 * 3600 + 1}, "retry_after_s"),
        ({"retry_after_s": 0.5}, "retry_after_s"),
        ({"provider_refund_id": ""}, "provider_refund_id"),
        ({"provider_refund_id": "re 1"}, "provider_refund_id"),
        ({"provider_code": "c" * 129}, "provider_code"),
        ({"message": "m" * 501}, "message"),
        ({"observed_at": "2026-11-23T09:16:00+09:00"}, "observed_at"),
    ],
)
def test_a_bad_result_is_named(changes: dict[str, Any], field: str) -> None:
    data = {**msgspec.to_builtins(result()), **changes}
    assert fault_in(RESULTS, "refund.result", data) == ("invalid_field", field)


def test_a_broken_payout_request_is_named() -> None:
    good = {
        "payout_id": "pay_1",
        "order_id": "ord_1",
        "seller_id": "sel_1",
        "amount_minor": 4500,
        "currency": "EUR",
        "requested_at": "2026-11-23T09:16:00Z",
    }
    topic, type_ = "payouts.requested.v1", "payout.requested"
    assert decode(topic, type_, encode(good)).amount_minor == 4500
    assert fault_in(topic, type_, {**good, "amount_minor": 0}) == ("invalid_field", "amount_minor")
    assert fault_in(topic, type_, {**good, "currency": "AAA"}) == ("invalid_field", "currency")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (msgspec.ValidationError("Expected `int`, got `str` - at `$.a[0].b`"), ("invalid_field", "a[0].b")),
        (msgspec.ValidationError("Object missing required field `x`"), ("missing_field", "x")),
        (msgspec.ValidationError("Object missing required field `x` - at `$.a[2]`"), ("missing_field", "a[2].x")),
        (msgspec.ValidationError("`x` is too late - at `$.a`"), ("invalid_field", "a.x")),
        (msgspec.ValidationError("Expected `object`, got `null`"), ("invalid_field", "value")),
        (msgspec.DecodeError("Input data was truncated"), ("malformed_json", "value")),
    ],
)
def test_a_decoding_error_becomes_a_reason_and_a_path(error: msgspec.MsgspecError, expected: tuple[str, str]) -> None:
    fault = fault_of(error)
    assert (fault.reason, fault.field) == expected


def test_equal_money_gives_equal_bytes_whatever_the_order_of_tenders() -> None:
    one, two, three = (tender(f"tnd_{number}", captured_minor=number) for number in (1, 2, 3))
    expected = canonical_escrow(escrow(one, two, three))
    for order in ((one, three, two), (two, one, three), (two, three, one), (three, one, two), (three, two, one)):
        assert canonical_escrow(escrow(*order)) == expected
    assert read_escrow(expected) == escrow(one, two, three)


@pytest.mark.parametrize(
    "other",
    [
        escrow(tender(captured_minor=4501)),
        escrow(tender(refunded_minor=1)),
        escrow(tender(provider="paypal")),
        escrow(tender(reference="pi_other")),
        escrow(tender("tnd_2")),
        escrow(tender(), currency="USD"),
        escrow(tender(), tender("tnd_2", captured_minor=0)),
        escrow(),
    ],
)
def test_other_money_gives_other_bytes(other: Escrow) -> None:
    assert canonical_escrow(other) != canonical_escrow(escrow(tender()))


def holds(kind: type, path: str) -> bool:
    """Whether a shape has the field that a path such as `recipient.id` leads to."""
    name, _, rest = path.partition(".")
    found = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return name in found and (not rest or holds(found[name], rest))


@pytest.mark.parametrize("topic", CATALOGUE, ids=lambda topic: topic.name)
def test_the_key_of_a_topic_is_a_field_of_all_that_it_carries(topic: Topic) -> None:
    assert all(holds(kind, topic.key) for kind in topic.types.values())
    assert set(topic.decoders()) == set(topic.types)


def test_the_parked_topic_takes_more_than_the_topics_it_copies_from() -> None:
    parked = int(BY_NAME["annul.parked.v1"].settings()["max.message.bytes"])
    others = [topic.max_message_bytes for topic in CATALOGUE if topic.name != "annul.parked.v1"]
    assert parked > 2 * max(others)


def test_only_the_statistics_are_compacted() -> None:
    compacted = [topic.name for topic in CATALOGUE if topic.settings()["cleanup.policy"] == "compact"]
    assert compacted == ["sellers.statistics.v1"]
