"""The door for webhooks over real HTTP: what it takes, what it answers, and that 200 means that Kafka has it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from kit.clock import settle
from kit.door import BODY, SECRET, ListProducer, counted, door_bench
from prometheus_client import generate_latest

from schemas.envelope import MAX_VALUE_BYTES, open_record
from schemas.topics import PROVIDERS_WEBHOOKS
from workers.pipeline.clock import SystemClock
from workers.pipeline.messages import Incoming, read
from workers.pipeline.ports import Partition, Record
from workers.providers.simulated.signatures import stripe_signature
from workers.settings import SettingsError
from workers.telemetry import Metrics
from workers.webhooks.checks import Told
from workers.webhooks.door import Door


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
