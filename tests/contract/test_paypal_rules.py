"""Every request to PayPal obeys the rules that PayPal publishes: a mock made from its documents refuses none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.paypal_rules import BrokenRule, check
from kit.provider_kit import Bench, bench

from schemas.currencies import EXPONENTS
from workers.providers.simulated.wire import Request

LONGEST = "rf_" + "x" * 61
ID = st.text("AZaz09_.:-", min_size=1, max_size=64).filter(lambda text: any(c.isalnum() for c in text))
KEY = st.text("AZaz09_.:-", min_size=1, max_size=108)


def _checked(at: Bench) -> list[str]:
    """The names of the operations that were asked for since the last time, each held to its rules."""
    names = [check(request) for request in at.simulator.received]
    at.simulator.received.clear()
    return names


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
async def test_refunds_in_every_currency(currency: str) -> None:
    async with bench("paypal") as at:
        answers = [
            await at.adapter.issue(
                at.issue(currency=currency, amount_minor=minor, refund_id=f"rf_{minor}", idempotency_key=f"k{minor}")
            )
            for minor in (1, 99, 100, 123_400, 10**12)
        ]
        sent = _checked(at)
        assert len(at.book.effective()) == sent.count("captures.refund")
    # What PayPal can't take never reaches it.
    assert {answer.outcome for answer in answers} <= {"succeeded", "rejected"}
    assert sent.count("captures.refund") == sum(answer.outcome == "succeeded" for answer in answers)


@given(reference=ID, refund_id=ID, order_id=ID, key=KEY, amount_minor=st.integers(1, 10**15))
async def test_refunds_of_every_command_that_can_be(**fields: Any) -> None:
    fields["idempotency_key"] = fields.pop("key")
    async with bench("paypal") as at:
        # `x.` asks the simulation for faults.
        reference = fields["reference"].replace("x.", "y.")
        await at.adapter.issue(at.issue(**{**fields, "reference": reference}))
        await at.adapter.look_up(at.look_up(reference=reference, refund_id=fields["refund_id"]))
        await at.adapter.look_up(at.look_up(provider_refund_id=fields["refund_id"]))
        names = _checked(at)
    assert names == ["token", "captures.refund", "captures.get", "refunds.get"]


@pytest.mark.parametrize("days", [1, 30, 31, 32, 400])
async def test_probes_and_lists(days: int) -> None:
    async with bench("paypal") as at:
        await at.adapter.probe()
        until = datetime.fromtimestamp(at.clock.now, UTC) + timedelta(microseconds=7)
        async for _ in at.adapter.list_refunds(until - timedelta(days=days), until):
            pass
        names = _checked(at)
    assert names == ["token", "refunds.get", *["search.get"] * -(-days // 30)]


def _request(**changes: Any) -> Request:
    body = {"amount": {"value": "45.00", "currency_code": "EUR"}, "custom_id": "rf_1"}
    usual = {
        "method": "POST",
        "path": "/v2/payments/captures/2GG279541U471931P/refund",
        "headers": {"authorization": "Bearer A21", "content-type": "application/json", "paypal-request-id": "k"},
        "body": msgspec.json.encode({**body, **changes.pop("with_", {})}),
    }
    changed_headers = changes.pop("headers", {})
    request = Request(**{**usual, **changes})
    headers = {name: value for name, value in {**request.headers, **changed_headers}.items() if value is not None}
    return msgspec.structs.replace(request, headers=headers)


def test_the_rules_let_a_good_request_pass() -> None:
    assert check(_request()) == "captures.refund"


@pytest.mark.parametrize(
    "bad",
    [
        _request(headers={"paypal-request-id": "k" * 109}),
        _request(headers={"paypal-request-id": None}),
        _request(headers={"prefer": "return=everything"}),
        _request(headers={"content-type": "text/plain"}),
        _request(headers={"idempotency-key": "k"}),
        _request(headers={"authorization": None}),
        _request(query=(("page", "1"),)),
        _request(path="/v2/payments/captures//refund"),
        _request(path="/v1/payments/captures/A/refund"),
        _request(with_={"metadata": {}}),
        _request(with_={"custom_id": ""}),
        _request(with_={"custom_id": "x" * 128}),
        _request(with_={"note_to_payer": "x" * 256}),
        _request(with_={"amount": {"value": "45", "currency_code": "EURO"}}),
        _request(with_={"amount": {"value": "4,5", "currency_code": "EUR"}}),
        _request(with_={"amount": {"value": "45.001", "currency_code": "EUR"}}),
        _request(with_={"amount": {"value": "45.0", "currency_code": "HUF"}}),
        _request(with_={"amount": {"value": "-45", "currency_code": "EUR"}}),
        _request(with_={"amount": {"value": "0.00", "currency_code": "EUR"}}),
        _request(with_={"amount": {"value": 45, "currency_code": "EUR"}}),
    ],
)
def test_the_rules_stop_a_bad_request(bad: Request) -> None:
    with pytest.raises(BrokenRule):
        check(bad)
