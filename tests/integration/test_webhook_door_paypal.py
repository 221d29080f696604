"""PayPal's webhooks at the door: only PayPal's own word is believed, and it is asked over real HTTP."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from kit.door import BODY, counted, door_bench
from kit.provider_kit import CLIENT_ID, CLIENT_SECRET, settings_for_tests
from msgspec.structs import replace

from workers.pipeline.clock import SystemClock
from workers.providers.http import AiohttpTransport, ConnectionLost, Response, TimedOut
from workers.providers.simulated import SimulatedProviders
from workers.providers.simulated.engine import Post
from workers.webhooks.checks import PayPalCheck, Told

REFUND = Post(
    reference="8AC1",
    amount=4500,
    currency="EUR",
    refund_id="rfd_1",
    order_id=None,
    key="annul-rfd_1",
    fingerprint="",
    sent={"custom_id": "rfd_1"},
)


def paypal_check(transport: Any, base: str, **changes: Any) -> PayPalCheck:
    given = {"deadline_s": 10.0, "clock": SystemClock().monotonic, **changes}
    return PayPalCheck(transport, base, CLIENT_ID, CLIENT_SECRET, given.pop("webhook_id", "WH-SIMULATED"), **given)


class Overheard(PayPalCheck):
    """Tells what came."""

    def __init__(self, base: str) -> None:
        transport, clock = AiohttpTransport(concurrency=4), SystemClock().monotonic
        super().__init__(transport, base, CLIENT_ID, CLIENT_SECRET, "WH-SIMULATED", deadline_s=10, clock=clock)
        self.came: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()

    async def check(self, headers: Mapping[str, Sequence[str]], body: bytes) -> Told:
        self.came.put_nowait(({name: values[0] for name, values in headers.items()}, body))
        return await super().check(headers, body)


async def test_what_the_simulated_paypal_sends_is_verified_by_asking_it_and_a_forgery_is_not() -> None:
    """Over real HTTP on both sides: the simulator signs and sends, the door asks it."""
    settings = settings_for_tests()
    async with SimulatedProviders(settings) as providers:
        check = Overheard(providers.paypal_base)
        async with door_bench({"paypal": check}) as bench:
            providers.world.settings = replace(settings, paypal_webhook_url=f"{bench.url}/paypal")
            await providers.paypal.make(REFUND)
            headers, body = await asyncio.wait_for(check.came.get(), 10)
            await asyncio.wait_for(bench.producer.asked.acquire(), 10)
            (kept,) = bench.producer.sent
            assert (kept.key, kept.value) == (msgspec.json.decode(body)["id"].encode(), body)
            assert dict(kept.headers)["annul_provider"] == b"paypal"

            sent = {name: value for name, value in headers.items() if name.startswith("paypal-")}
            assert (await bench.post("paypal", body, sent)).status == 200, "sent again it is genuine, too"
            providers.paypal.revoke_tokens()
            assert (await bench.post("paypal", body, sent)).status == 200, "a token that was revoked is fetched anew"
            forged = body.replace(b"Simulated.", b"Forged.")
            assert tuple(await bench.post("paypal", forged, sent)) == (400, "unsigned")
            for name in sent:
                less = {key: value for key, value in sent.items() if key != name}
                assert tuple(await bench.post("paypal", body, less)) == (400, "unsigned"), name
                assert (await bench.post("paypal", body, {**sent, name: "x"})).status == 400, name
            assert len(bench.producer.sent) == 3
            assert counted(bench, "paypal")["accepted"] == 3


class PlayedTransport:
    """Answers a request for a token with one, and any other as the test says."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.urls: list[str] = []
        self.bodies: list[bytes] = []

    async def request(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, deadline_s: float
    ) -> Response:
        if url.endswith("/oauth2/token"):
            return Response(200, {}, b'{"access_token":"t","expires_in":3600}')
        self.urls.append(url)
        self.bodies.append(body or b"")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None: ...


BASE = "https://api-m.paypal.com"
HEADERS = {
    "paypal-auth-algo": ["SHA256withRSA"],
    "paypal-cert-url": ["https://api.paypal.com/v1/notifications/certs/CERT-1"],
    "paypal-transmission-id": ["1"],
    "paypal-transmission-sig": ["s"],
    "paypal-transmission-time": ["2026-11-23T09:15:00Z"],
}
SUCCESS = Response(200, {}, b'{"verification_status":"SUCCESS"}')


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ((SUCCESS,), "genuine"),
        ((Response(200, {}, b'{"verification_status":"FAILURE"}'),), "forged"),
        ((Response(200, {}, b'{"verification_status":"success"}'),), "forged"),
        ((Response(200, {}, b"{"),), "unknown"),
        ((Response(200, {}, b"{}"),), "unknown"),
        ((Response(400, {}, b'{"name":"VALIDATION_ERROR"}'),), "forged"),
        ((Response(401, {}, b""), SUCCESS), "genuine"),
        ((Response(401, {}, b""), Response(401, {}, b"")), "unknown"),
        ((Response(403, {}, b""),), "unknown"),
        ((Response(429, {}, b""),), "unknown"),
        ((Response(500, {}, b""),), "unknown"),
        ((Response(503, {}, b'{"verification_status":"SUCCESS"}'),), "unknown"),
        ((TimedOut("x"),), "unknown"),
        ((ConnectionLost("x"),), "unknown"),
    ],
)
async def test_only_paypals_clear_word_is_believed(answers: tuple[Any, ...], told: str) -> None:
    transport = PlayedTransport(*answers)
    assert await paypal_check(transport, BASE).check(HEADERS, BODY) == told
    assert not transport.answers
    assert set(transport.urls) == {f"{BASE}/v1/notifications/verify-webhook-signature"}


async def test_the_event_goes_to_paypal_byte_for_byte() -> None:
    transport = PlayedTransport(SUCCESS)
    await paypal_check(transport, BASE).check(HEADERS, BODY)
    (sent,) = transport.bodies
    assert BODY in sent, "its line feeds and spaces included"
    asked = msgspec.json.decode(sent)
    assert asked.pop("webhook_event") == msgspec.json.decode(BODY)
    told = {name.removeprefix("paypal-").replace("-", "_"): values[0] for name, values in HEADERS.items()}
    assert asked == {**told, "webhook_id": "WH-SIMULATED"}


async def test_while_paypal_can_not_say_the_webhook_is_to_come_again() -> None:
    check = paypal_check(PlayedTransport(Response(500, {}, b""), SUCCESS), BASE)
    async with door_bench({"paypal": check}) as bench:
        sent = {name: values[0] for name, values in HEADERS.items()}
        assert tuple(await bench.post("paypal", BODY, sent)) == (503, "unverified")
        assert bench.producer.sent == []
        assert (await bench.post("paypal", BODY, sent)).status == 200


@pytest.mark.parametrize(
    ("url", "passed"),
    [
        ("https://api.paypal.com/v1/notifications/certs/CERT-1", True),
        ("https://api-m.sandbox.paypal.com:443/v1/notifications/certs/CERT-1", True),
        ("http://api.paypal.com/v1/notifications/certs/CERT-1", False),
        ("https://api.paypal.com.evil.example/cert", False),
        ("https://evil.example/api.paypal.com", False),
        ("https://api.paypal.com@evil.example/cert", False),
        ("https://evil.example#@api.paypal.com/", False),
        ("https://user@api.paypal.com/cert", False),
        ("https://api.paypal.com:8443/cert", False),
        ("https://api.paypal.com:x/cert", False),
        ("https://[/cert", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
async def test_a_certificate_that_is_not_paypals_is_not_even_asked_about(url: str, passed: bool) -> None:
    transport = PlayedTransport(SUCCESS)
    told = await paypal_check(transport, BASE).check({**HEADERS, "paypal-cert-url": [url]}, BODY)
    assert (told, len(transport.urls)) == (("genuine", 1) if passed else ("forged", 0))


async def test_a_header_that_comes_twice_is_no_header() -> None:
    for name, values in HEADERS.items():
        transport = PlayedTransport(SUCCESS)
        told = await paypal_check(transport, BASE).check({**HEADERS, name: values * 2}, BODY)
        assert (told, transport.urls) == ("forged", [])
