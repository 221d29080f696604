"""The card adapter, unchanged, against Stripe's own mock server, which knows every parameter of every call.

By `make mocks`, which needs Go and fails without it; every other run of the tests leaves it out. The mock refuses what
Stripe's OpenAPI document doesn't hold, and makes its answers of it.
"""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit.provider_kit import API_KEY, PATIENT_S, bench
from kit.stripe_mock import stripe_mock

from schemas.refunds import RefundIssue, RefundLookUp
from workers.providers.card import CardProvider
from workers.providers.http import AiohttpTransport
from workers.providers.port import Provider

pytestmark = [pytest.mark.long, pytest.mark.skipif("ANNUL_MOCKS" not in os.environ, reason="by `make mocks`")]
UNTIL = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
async def base_url() -> AsyncIterator[str]:
    async with stripe_mock() as url:
        yield url


@pytest.fixture
async def adapter(base_url: str) -> AsyncIterator[Provider]:
    made = CardProvider(AiohttpTransport(concurrency=5), base_url, API_KEY, PATIENT_S)
    yield made
    await made.close()


async def _issue(**changes: Any) -> RefundIssue:
    async with bench("card") as at:
        return at.issue(**changes)


async def _look_up(**changes: Any) -> RefundLookUp:
    async with bench("card") as at:
        return at.look_up(**changes)


@pytest.mark.parametrize("reference", ["pi_3Nx", "ch_3Nx", "py_3Nx"])
async def test_a_refund_is_taken(adapter: Provider, reference: str) -> None:
    issue = await _issue(reference=reference)
    answer = await adapter.issue(issue)
    assert answer.outcome == "succeeded", answer
    assert answer.provider_refund_id is not None
    assert answer.provider_refund_id.startswith("re_")
    assert answer.detail is not None
    assert answer.detail.startswith("type=")


@pytest.mark.parametrize(("currency", "amount_minor"), [("EUR", 1), ("JPY", 5800), ("KWD", 12_340), ("ISK", 500)])
async def test_amounts_of_every_kind_are_taken(adapter: Provider, currency: str, amount_minor: int) -> None:
    issue = await _issue(currency=currency, amount_minor=amount_minor)
    assert (await adapter.issue(issue)).outcome == "succeeded"


async def test_a_refund_is_looked_up_by_its_id(adapter: Provider) -> None:
    look_up = await _look_up(provider_refund_id="re_3Nx")
    found = await adapter.look_up(look_up)
    assert (found.outcome, found.provider_refund_id) == ("succeeded", "re_3Nx"), found


@pytest.mark.parametrize("reference", ["pi_3Nx", "ch_3Nx"])
async def test_a_refund_is_looked_up_by_its_mark(adapter: Provider, reference: str) -> None:
    """The mock keeps nothing: its list holds one refund, which is never ours."""
    look_up = await _look_up(reference=reference)
    found = await adapter.look_up(look_up)
    assert (found.outcome, found.code) == ("not_found", "other_refunds"), found


async def test_it_is_probed(adapter: Provider) -> None:
    assert (await adapter.probe()).outcome == "succeeded"


async def test_its_refunds_are_listed(adapter: Provider) -> None:
    (one,) = [one async for one in adapter.list_refunds(UNTIL - timedelta(days=400), UNTIL)]
    assert one.provider_refund_id.startswith("re_")
    assert str(one.reference).startswith("ch_")
    assert (one.refund_id, one.standing, one.currency) == (None, "succeeded", "USD")
    assert one.amount_minor > 0


async def test_it_does_refuse_what_stripe_doesn_t_know(base_url: str) -> None:
    """Otherwise the tests above would show nothing."""
    transport = AiohttpTransport(concurrency=1)
    headers = {"authorization": f"Bearer {API_KEY}", "content-type": "application/x-www-form-urlencoded"}
    response = await transport.request(
        "POST", f"{base_url}/v1/refunds", headers=headers, body=b"payment_intent=pi_1&refund_id=rf_1", deadline_s=10
    )
    await transport.close()
    assert response.status == 400


async def test_bad_credentials_are_a_fault_of_the_settings(base_url: str) -> None:
    adapter = CardProvider(AiohttpTransport(concurrency=1), base_url, "nonsense", PATIENT_S)
    issue, look_up = await _issue(), await _look_up()
    answers = [await adapter.issue(issue), await adapter.look_up(look_up), await adapter.probe()]
    await adapter.close()
    assert {(answer.outcome, answer.code) for answer in answers} == {("retryable", "http_401")}
    assert not any("nonsense" in repr(answer) for answer in answers)
