"""What goes over the wire, to the letter; and that no secret comes back."""

import base64
import traceback
from urllib.parse import parse_qsl

import msgspec
import pytest
from kit.provider_kit import API_KEY, CLIENT_ID, CLIENT_SECRET, KINDS, PATIENT_S, SECRETS, Kind, bench

from schemas.base import IdempotencyKey
from workers.providers import http
from workers.providers.card import CardProvider
from workers.providers.paypal import PayPalProvider
from workers.providers.simulated.wire import Request, json_reply

LONGEST_KEY = "annul:" + "k" * 102


@pytest.mark.parametrize(
    ("reference", "field"),
    [("pi_3Nx", "payment_intent"), ("ch_3Nx", "charge"), ("py_3Nx", "charge"), ("src_3:Nx", "payment_intent")],
)
async def test_a_card_refund_as_stripe_specifies_it(reference: str, field: str) -> None:
    async with bench("card") as at:
        answer = await at.adapter.issue(at.issue(reference=reference, idempotency_key=LONGEST_KEY))
        (sent,) = at.simulator.received
    assert answer.outcome == "succeeded"
    assert (sent.method, sent.path, sent.query) == ("POST", "/v1/refunds", ())
    assert parse_qsl(sent.body.decode(), strict_parsing=True) == [
        (field, reference),
        ("amount", "4500"),
        ("metadata[refund_id]", "rf_1"),
        ("metadata[order_id]", "ord_1"),
        ("reason", "requested_by_customer"),
    ]
    assert _named(sent) == {
        "authorization": f"Bearer {API_KEY}",
        "content-length": str(len(sent.body)),
        "content-type": "application/x-www-form-urlencoded",
        "idempotency-key": LONGEST_KEY,
        "stripe-version": "2026-08-26.dahlia",
    }


async def test_a_card_look_up_as_stripe_specifies_it() -> None:
    async with bench("card") as at:
        await at.adapter.look_up(at.look_up())
        await at.adapter.look_up(at.look_up(reference="ch_1"))
        await at.adapter.look_up(at.look_up(provider_refund_id="re_1"))
        first, second, third = at.simulator.received
    assert (first.method, first.path) == ("GET", "/v1/refunds")
    assert first.query == (("payment_intent", "pi_1"), ("limit", "100"))
    assert second.query == (("charge", "ch_1"), ("limit", "100"))
    assert (third.method, third.path, third.query) == ("GET", "/v1/refunds/re_1", ())
    for request in (first, second, third):
        assert request.body == b""
        assert _named(request) == {"authorization": f"Bearer {API_KEY}", "stripe-version": "2026-08-26.dahlia"}


async def test_a_paypal_refund_as_paypal_specifies_it() -> None:
    async with bench("paypal") as at:
        answer = await at.adapter.issue(at.issue(reference="2GG279541U471931P", idempotency_key=LONGEST_KEY))
        token_request, sent = at.simulator.received
        (token,) = at.providers.paypal._tokens
    assert answer.outcome == "succeeded"
    basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    assert (token_request.method, token_request.path) == ("POST", "/v1/oauth2/token")
    assert token_request.body == b"grant_type=client_credentials"
    assert _named(token_request) == {
        "authorization": f"Basic {basic}",
        "content-length": "29",
        "content-type": "application/x-www-form-urlencoded",
    }
    assert (sent.method, sent.path) == ("POST", "/v2/payments/captures/2GG279541U471931P/refund")
    assert msgspec.json.decode(sent.body) == {
        "amount": {"value": "45.00", "currency_code": "EUR"},
        "custom_id": "rf_1",
    }
    assert _named(sent) == {
        "authorization": f"Bearer {token}",
        "content-length": str(len(sent.body)),
        "content-type": "application/json",
        "paypal-request-id": LONGEST_KEY,
        "prefer": "return=representation",
    }


async def test_a_paypal_look_up_as_paypal_specifies_it() -> None:
    async with bench("paypal") as at:
        await at.adapter.look_up(at.look_up(reference="2GG279541U471931P"))
        await at.adapter.look_up(at.look_up(provider_refund_id="1JU08902781691411"))
        _, capture, refund = at.simulator.received
        (token,) = at.providers.paypal._tokens
    assert (capture.method, capture.path) == ("GET", "/v2/payments/captures/2GG279541U471931P")
    assert (refund.method, refund.path) == ("GET", "/v2/payments/refunds/1JU08902781691411")
    assert _named(capture) == _named(refund) == {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("kind", "currency", "amount_minor", "sent"),
    [
        ("card", "EUR", 4505, "4505"),
        ("card", "JPY", 5800, "5800"),
        ("card", "KWD", 12340, "12340"),
        ("card", "ISK", 500, "50000"),
        ("card", "UGX", 500, "50000"),
        ("card", "HUF", 4501, "4501"),
        ("card", "TWD", 4500, "4500"),
        ("card", "MGA", 4500, "45"),
        ("paypal", "EUR", 4505, "45.05"),
        ("paypal", "USD", 5, "0.05"),
        ("paypal", "JPY", 5800, "5800"),
        ("paypal", "HUF", 4500, "45"),
        ("paypal", "TWD", 100, "1"),
    ],
)
async def test_amounts_reach_the_provider_in_its_own_unit(
    kind: Kind, currency: str, amount_minor: int, sent: str
) -> None:
    async with bench(kind) as at:
        answer = await at.adapter.issue(at.issue(currency=currency, amount_minor=amount_minor))
        body = at.simulator.received[-1].body
        (entry,) = at.book.effective()
    assert answer.outcome == "succeeded"
    if kind == "card":
        assert dict(parse_qsl(body.decode()))["amount"] == sent
    else:
        assert msgspec.json.decode(body)["amount"] == {"value": sent, "currency_code": currency}
    assert entry.amount == int(sent.replace(".", ""))


@pytest.mark.parametrize(
    ("kind", "currency", "amount_minor", "code"),
    [
        ("card", "KWD", 12345, "amount_not_expressible"),
        ("card", "MGA", 4501, "amount_not_expressible"),
        ("paypal", "HUF", 4501, "amount_not_expressible"),
        ("paypal", "TWD", 99, "amount_not_expressible"),
        ("paypal", "KWD", 12340, "currency_not_supported"),
        ("paypal", "ISK", 500, "currency_not_supported"),
        ("paypal", "UGX", 500, "currency_not_supported"),
    ],
)
async def test_what_a_provider_can_t_express_is_never_sent(
    kind: Kind, currency: str, amount_minor: int, code: str
) -> None:
    async with bench(kind) as at:
        answer = await at.adapter.issue(at.issue(currency=currency, amount_minor=amount_minor))
        assert not at.simulator.received
    assert (answer.outcome, answer.code) == ("rejected", code)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_provider_that_repeats_our_credentials_doesn_t_get_them_into_an_answer(kind: Kind) -> None:
    """Stripe's official mock does it: `Authorization was 'Bearer …'`."""
    async with bench(kind) as at:
        await at.adapter.issue(at.issue())
        tokens = tuple(at.providers.paypal._tokens)

        async def parrot(request: Request) -> object:
            told = f"You sent {request.headers['authorization']} {CLIENT_SECRET} {API_KEY}, jo@example.org"
            error = {"message": told, "code": told[9:], "type": told}
            body = {"error": error, "name": told, "message": told, "debug_id": "d1", "details": []}
            return json_reply(400, body)

        at.simulator.route = parrot  # type: ignore[method-assign, assignment]
        answers = [
            await at.adapter.issue(at.issue(idempotency_key="other")),
            await at.adapter.look_up(at.look_up()),
            await at.adapter.look_up(at.look_up(provider_refund_id="x")),
        ]
    for answer in answers:
        text = repr(answer)
        assert "[hidden]" in text
        own = (API_KEY,) if kind == "card" else (CLIENT_SECRET, *tokens)
        assert not any(secret in text for secret in own)
        assert "jo@example.org" not in (answer.detail or "")
        assert len(answer.code or "") <= 128
        assert len(answer.detail or "") <= 500


@pytest.mark.parametrize("kind", KINDS)
async def test_long_and_odd_words_of_a_provider_are_cut_and_cleaned(kind: Kind) -> None:
    async with bench(kind) as at:

        async def odd(_: Request) -> object:
            word = "\x00\u202e\n" + "W" * 5000
            body = {"error": {"code": word, "message": word}, "name": word, "message": word}
            return json_reply(422, body)

        await at.adapter.look_up(at.look_up())
        at.simulator.route = odd  # type: ignore[method-assign, assignment]
        answer = await at.adapter.issue(at.issue())
    assert answer.outcome == "rejected"
    assert answer.code == "W" * 128
    assert answer.detail is not None
    assert len(answer.detail) <= 500
    assert answer.detail.isprintable()


@pytest.mark.parametrize("bad", ["", "sk test", "sk_test\n", "sk_tést"])
def test_a_credential_that_fits_into_no_header_is_refused_without_being_told(bad: str) -> None:
    transport = http.AiohttpTransport(1)
    with pytest.raises(ValueError, match="Stripe API key") as card:
        CardProvider(transport, "http://127.0.0.1:1", bad, PATIENT_S)
    with pytest.raises(ValueError, match="PayPal client secret") as paypal:
        PayPalProvider(transport, "http://127.0.0.1:1", "id", bad, PATIENT_S)
    for error in (card, paypal):
        text = "".join(traceback.format_exception_only(error.value))
        assert not bad or bad not in text


@pytest.mark.parametrize("bad", ["", "ftp://x", "http://", "http://x/v1", "http://u:p@x", "http://x?a=b", "x:80"])
def test_a_base_url_with_more_than_a_host_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        CardProvider(http.AiohttpTransport(1), bad, API_KEY, PATIENT_S)


def test_adapters_show_no_credentials() -> None:
    transport = http.AiohttpTransport(1)
    for adapter in (
        CardProvider(transport, "http://127.0.0.1:1", API_KEY, PATIENT_S),
        PayPalProvider(transport, "http://127.0.0.1:1", CLIENT_ID, CLIENT_SECRET, PATIENT_S),
    ):
        assert not any(secret in repr(adapter) for secret in SECRETS)


def test_every_idempotency_key_fits_into_both_providers_headers() -> None:
    """Stripe takes 255 characters, PayPal 108: the key goes verbatim, so the schema must stay below."""
    schema = msgspec.json.schema(IdempotencyKey)
    assert "{1,108}" in schema["pattern"]


def _named(request: Request) -> dict[str, str]:
    """Headers but for those that every HTTP client sends."""
    assert request.headers["user-agent"] == "annul"
    usual = {"host", "accept", "connection", "user-agent"}
    return {name: value for name, value in request.headers.items() if name not in usual}
