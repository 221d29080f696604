"""The door for webhooks over real HTTP: what it takes, what it answers, and that 200 means that Kafka has it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from kit.clock import settle
from kit.door import SECRET, DoorBench, ListProducer, door_bench
from kit.provider_kit import CLIENT_ID, CLIENT_SECRET, settings_for_tests
from msgspec.structs import replace
from prometheus_client import generate_latest

from schemas.envelope import MAX_VALUE_BYTES, open_record
from schemas.topics import PROVIDERS_WEBHOOKS
from workers.pipeline.clock import SystemClock
from workers.pipeline.messages import Incoming, read
from workers.pipeline.ports import Partition, Record
from workers.providers.http import AiohttpTransport, ConnectionLost, Response, TimedOut
from workers.providers.simulated import SimulatedProviders
from workers.providers.simulated.engine import Post
from workers.providers.simulated.signatures import stripe_signature
from workers.settings import SettingsError
from workers.telemetry import Metrics
from workers.webhooks.checks import PayPalCheck, Told
from workers.webhooks.door import Door

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
BODY = b'{"id":"evt_1", "type":"refund.updated",\n "data":{"object":{}}}'


def counted(bench: DoorBench, provider: str = "stripe") -> dict[str, float]:
    """How often each end was counted."""
    samples = [sample for metric in bench.metrics.registry.collect() for sample in metric.samples]
    return {
        sample.labels["end"]: sample.value
        for sample in samples
        if sample.name == "annul_webhooks_total" and sample.labels["provider"] == provider
    }


# ---------------------------------------------------------------- what is kept


async def test_what_is_kept_is_the_bytes_as_they_came_keyed_by_the_event() -> None:
    async with door_bench() as bench:
        assert tuple(await bench.stripe(BODY)) == (200, "accepted")
        (kept,) = bench.producer.sent
    assert (kept.topic, kept.key, kept.value) == (PROVIDERS_WEBHOOKS.name, b"evt_1", BODY)
    assert dict(kept.headers)["annul_provider"] == b"stripe"
    envelope, data = open_record(kept.value, kept.headers)
    assert (envelope.type, data) == ("provider.webhook", BODY)
    record = Record(Partition(PROVIDERS_WEBHOOKS.name, 0), 0, kept.key, kept.value, tuple(kept.headers))
    assert isinstance(read(record, PROVIDERS_WEBHOOKS.decoders()), Incoming), "the pipeline can read it"


async def test_the_same_event_again_is_kept_again_under_the_same_id() -> None:
    async with door_bench() as bench:
        for _ in range(2):
            assert (await bench.stripe(BODY)).status == 200
        first, second = bench.producer.sent
        assert dict(first.headers)["ce_id"] == dict(second.headers)["ce_id"]
        await bench.stripe(BODY.replace(b"evt_1", b"evt_2"))
        assert dict(bench.producer.sent[2].headers)["ce_id"] != dict(first.headers)["ce_id"]
        assert counted(bench) == {"accepted": 3}


async def test_it_is_acknowledged_only_once_kafka_has_it() -> None:
    async with door_bench() as bench:
        bench.producer.acknowledges.clear()
        asking = asyncio.create_task(bench.stripe(BODY))
        await bench.producer.asked.acquire()
        await settle()
        assert not asking.done()
        bench.producer.acknowledges.set()
        assert (await asking).status == 200


async def test_while_kafka_is_away_the_provider_is_told_to_come_again() -> None:
    async with door_bench() as bench:
        bench.producer.away = True
        answer = await bench.stripe(BODY)
        assert tuple(answer) == (503, "unkept")
        assert answer.headers["Retry-After"]
        bench.producer.away = False
        assert (await bench.stripe(BODY)).status == 200
        assert counted(bench) == {"unkept": 1, "accepted": 1}


async def test_kafka_that_does_not_answer_is_not_waited_for_longer_than_the_provider_waits() -> None:
    async with door_bench(keep_s=10, in_work=1) as bench:
        bench.producer.acknowledges.clear()
        asking = asyncio.create_task(bench.stripe(BODY))
        await bench.producer.asked.acquire()
        await settle()
        await bench.clock.advance(10)
        assert tuple(await asking) == (503, "unkept")
        assert tuple(await bench.stripe(BODY)) == (503, "busy"), "a send that goes on takes up its place"
        bench.producer.acknowledges.set()
        await settle()
        assert (await bench.stripe(BODY)).status == 200


# ---------------------------------------------------------------- what is not


@pytest.mark.parametrize(
    "header",
    [None, "", "t=1,v1=abc", stripe_signature("whsec_other", BODY, 1_795_425_300)],
)
async def test_what_is_not_signed_is_refused_counted_and_not_kept(header: str | None) -> None:
    async with door_bench() as bench:
        headers = {} if header is None else {"Stripe-Signature": header}
        assert tuple(await bench.post("stripe", BODY, headers)) == (400, "unsigned")
        assert bench.producer.sent == []
        assert counted(bench) == {"unsigned": 1}
        assert b'annul_webhooks_total{end="unsigned",provider="stripe"} 1.0' in generate_latest(bench.metrics.registry)


async def test_an_old_signature_is_refused_by_the_clock_of_the_process() -> None:
    async with door_bench() as bench:
        signature = stripe_signature(SECRET, BODY, int(bench.clock.now().timestamp()))
        assert (await bench.post("stripe", BODY, {"Stripe-Signature": signature})).status == 200
        await bench.clock.advance(301)
        assert (await bench.post("stripe", BODY, {"Stripe-Signature": signature})).status == 400


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[1]", b'"evt_1"', b"{}", b'{"id":null}', b'{"id":7}', b'{"id":"a b"}', b'{"id":"\xff"}'),
        *(b'{"id":"' + b"x" * 65 + b'"}', b"[" * 100_000, BODY + b"}", BODY + b',"webhook_id":"WH-2"'),
        b'[1],"webhook_id":"WH-2"',
    ],
)
async def test_a_body_without_a_usable_id_is_refused_though_it_is_signed(body: bytes) -> None:
    async with door_bench() as bench:
        assert tuple(await bench.stripe(body)) == (400, "unnamed")
        assert bench.producer.sent == []


async def test_a_body_may_be_as_large_as_a_record_and_no_larger() -> None:
    frame = b'{"id":"evt_1","x":"%s"}'
    most = frame % (b"x" * (MAX_VALUE_BYTES - len(frame) + 2))

    async def piecemeal(body: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(body), 50_000):
            yield body[at : at + 50_000]

    async with door_bench() as bench:
        assert len(most) == MAX_VALUE_BYTES
        assert (await bench.stripe(most)).status == 200
        more = most.replace(b"x", b"xx", 1)
        assert tuple(await bench.stripe(more)) == (413, "large")
        signature = stripe_signature(SECRET, more, int(bench.clock.now().timestamp()))
        unsized = await bench.post("stripe", piecemeal(more), {"Stripe-Signature": signature})
        assert tuple(unsized) == (413, "large"), "also where no length is told"
        assert len(bench.producer.sent) == 1


async def test_the_bytes_are_taken_as_they_come_whatever_a_header_says_of_them() -> None:
    """A few packed bytes could be gigabytes, and the signature is over what came."""
    async with door_bench() as bench:
        assert (await bench.stripe(BODY, **{"Content-Encoding": "gzip"})).status == 200
        assert tuple(await bench.stripe(gzip.compress(BODY), **{"Content-Encoding": "gzip"})) == (400, "unnamed")
        assert [kept.value for kept in bench.producer.sent] == [BODY]


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with door_bench(read_s=10) as bench:
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.door.port)
        writer.write(b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        while not bench.clock._sleepers:  # noqa: ASYNC110 - it is behind a socket
            await asyncio.sleep(0)
        await bench.clock.advance(10)
        assert (await reader.readline()).split()[1] == b"408"
        writer.close()


class Trusting:
    async def check(self, headers: Mapping[str, Sequence[str]], body: bytes) -> Told:
        return "genuine"

    async def close(self) -> None: ...


async def test_who_comes_too_often_is_told_when_to_come_again_and_others_are_not() -> None:
    async with door_bench({"stripe": Trusting(), "paypal": Trusting()}, per_s=2) as bench:
        answers = [await bench.post("stripe", BODY) for _ in range(6)]
        assert [answer.status for answer in answers] == [200] * 4 + [429] * 2
        assert answers[-1].headers["Retry-After"] == "1"
        assert (await bench.post("paypal", BODY)).status == 200, "another provider has a bucket of its own"
        await bench.clock.advance(1)
        assert [(await bench.post("stripe", BODY)).status for _ in range(3)] == [200, 200, 429]
        assert counted(bench) == {"accepted": 6, "limited": 3}


async def test_no_more_are_in_work_than_can_be_held() -> None:
    async with door_bench(in_work=2) as bench:
        bench.producer.acknowledges.clear()
        asking = [asyncio.create_task(bench.stripe(BODY.replace(b"evt_1", b"evt_%d" % n))) for n in range(2)]
        for _ in asking:
            await bench.producer.asked.acquire()
        assert tuple(await bench.stripe(BODY)) == (503, "busy")
        bench.producer.acknowledges.set()
        assert [answer.status for answer in await asyncio.gather(*asking)] == [200, 200]
        assert (await bench.stripe(BODY)).status == 200


async def test_a_provider_that_is_not_set_up_has_no_path_and_only_posts_are_taken() -> None:
    async with door_bench() as bench:
        assert (await bench.post("paypal", BODY)).status == 404
        assert (await bench.post("other", BODY)).status == 404
        assert await bench.get("stripe") == 405
        assert bench.producer.sent == []


async def test_what_was_taken_is_answered_before_the_door_closes() -> None:
    async with door_bench() as bench:
        bench.producer.acknowledges.clear()
        asking = asyncio.create_task(bench.stripe(BODY))
        await bench.producer.asked.acquire()
        bench.door.stop()
        await settle()
        bench.producer.acknowledges.set()
        assert (await asking).status == 200
    assert bench.producer.stopped


async def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    async with door_bench() as bench:
        second = Door({}, ListProducer(), SystemClock(), Metrics(), host="127.0.0.1", port=bench.door.port)
        with pytest.raises(SettingsError, match=r"ANNUL_WEBHOOKS_PORT: can't listen on 127\.0\.0\.1:"):
            await second.run()


# ---------------------------------------------------------------- PayPal


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
