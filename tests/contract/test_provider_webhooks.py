"""The webhooks that the simulated providers send, and how PayPal's are verified."""

import asyncio

import msgspec
import pytest
from aiohttp import web
from kit.paypal_rules import check as rule
from kit.provider_kit import CLIENT_ID, CLIENT_SECRET, KINDS, Kind, bench, post

from workers.providers.http import AiohttpTransport
from workers.providers.simulated import SimulatedProviders, reference_for
from workers.providers.simulated.signatures import stripe_signature
from workers.webhooks.checks import PayPalCheck


@pytest.mark.parametrize("kind", KINDS)
async def test_a_bounce_is_told_by_signed_webhooks(kind: Kind) -> None:
    got: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        got.put_nowait(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response()

    application = web.Application()
    application.router.add_post("/hook", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    async with bench(kind, settle_after_s=0.01, stripe_webhook_url=url, paypal_webhook_url=url) as at:
        made = await at.adapter.issue(at.issue(reference=reference_for("bounce", "t")))
        names: list[str] = []
        while not {"refund.failed", "PAYMENT.REFUND.FAILED"} & set(names):
            headers, body = await got.get()
            event = msgspec.json.decode(body)
            names.append(event.get("type") or event["event_type"])
            if kind == "card":
                at_s = int(headers["stripe-signature"].partition(",")[0].removeprefix("t="))
                assert headers["stripe-signature"] == stripe_signature("whsec_simulated", body, at_s)
                assert event["data"]["object"]["id"] == made.provider_refund_id
            else:
                assert await _verified(at.providers, headers, body) == "SUCCESS"
                assert await _verified(at.providers, headers, body.replace(b"Simulated.", b"Forged.")) == "FAILURE"
                forged = {**headers, "paypal-cert-url": "http://127.0.0.1:1/cert"}
                assert await _verified(at.providers, forged, body) == "FAILURE"
                assert event["resource"]["id"] == made.provider_refund_id
        assert not at.book.effective()
    await runner.cleanup()
    assert names[0] in ("refund.created", "PAYMENT.CAPTURE.REFUNDED")


async def test_a_webhook_is_verified_by_a_request_that_obeys_paypals_rules() -> None:
    async with bench("paypal", paypal_webhook_id="1JE4291016473214C") as at:
        sent = at.overhear()
        await at.adapter.issue(at.issue())
        ((body, headers),) = sent
        check = PayPalCheck(
            AiohttpTransport(2),
            at.providers.paypal_base,
            CLIENT_ID,
            CLIENT_SECRET,
            "1JE4291016473214C",
            deadline_s=10,
            clock=at.clock,
        )
        at.simulator.received.clear()
        assert await check.check({name: [value] for name, value in headers.items()}, body) == "genuine"
        await check.close()
        assert [rule(request) for request in at.simulator.received] == ["token", "verify-webhook-signature.post"]


async def _verified(providers: SimulatedProviders, headers: dict[str, str], body: bytes) -> str:
    fields = ("auth-algo", "cert-url", "transmission-id", "transmission-sig", "transmission-time")
    asked = {field.replace("-", "_"): headers[f"paypal-{field}"] for field in fields}
    asked |= {"webhook_id": "WH-SIMULATED"}
    sent = msgspec.json.encode(asked)[:-1] + b',"webhook_event":' + body + b"}"
    (token,) = providers.paypal._tokens
    url = providers.paypal_base + "/v1/notifications/verify-webhook-signature"
    _, told = await post(url, sent, token, "application/json")
    return str(told["verification_status"])
