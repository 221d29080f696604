"""The worker `webhooks`: door and translator together, from a signed request to a result; how it starts and stops."""

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest
from kit.broker import Broker
from kit.process import LIMITS, Process
from kit.webhooks import add_refund, stripe_event, stripe_refund

from schemas.topics import CATALOGUE, REFUNDS_RESULTS
from workers.consumers import group_of
from workers.pipeline.clock import SystemClock
from workers.pipeline.run import Pipeline
from workers.providers.simulated.signatures import stripe_signature
from workers.settings import Settings, SettingsError
from workers.webhooks.checks import StripeCheck
from workers.webhooks.door import Door
from workers.webhooks.translator import Translator
from workers.webhooks.worker import Webhooks
from workers.wiring import WORKERS
from workers.wiring import Process as RealProcess

NEEDED = {"ANNUL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "ANNUL_DATABASE_URL": "postgresql://annul@127.0.0.1:9/annul"}


def worker_of(process: Process, port: int = 0) -> tuple[Webhooks, Door]:
    handler = Translator(process.metrics)
    group = group_of(handler.name)
    consumer = process.client.consumer(group, [topic.name for topic in handler.topics])
    emitter, database, clock, metrics = process.emitter, process.database, process.clock, process.metrics
    translator = Pipeline(group, handler, consumer, emitter, database, clock, metrics, limits=LIMITS)
    checks = {"stripe": StripeCheck(["whsec_a"], clock)}
    door = Door(checks, process.client.producer(), clock, metrics, host="127.0.0.1", port=port)  # type: ignore[arg-type]
    return Webhooks(door, translator), door


async def test_a_signed_request_becomes_a_result(database_url: str, observer: Any) -> None:
    broker = Broker([topic.name for topic in CATALOGUE], partitions=2)
    await add_refund(observer)
    async with Process(broker, database_url) as process:
        worker, door = worker_of(process)
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(worker.ready.wait(), 20)
        body = msgspec.json.encode(stripe_event("evt_1", "refund.updated", stripe_refund()))
        now = int(SystemClock().now().timestamp())
        headers = {"Stripe-Signature": stripe_signature("whsec_a", body, now)}
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.post(
                    f"http://127.0.0.1:{door.port}/webhooks/stripe", data=body, headers=headers
                ) as a:
                    assert a.status == 200
        await broker.until_read(group_of("webhooks"), "providers.webhooks.v1")
        worker.stop()
        await asyncio.wait_for(running, 20)
    assert len(broker.records("providers.webhooks.v1")) == 2
    assert len(broker.records(REFUNDS_RESULTS.name)) == 1


async def test_it_is_ready_only_when_both_parts_are(database_url: str) -> None:
    broker = Broker([topic.name for topic in CATALOGUE], partitions=2)
    broker.down = True
    async with Process(broker, database_url) as process:
        worker, door = worker_of(process)
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(door.ready.wait(), 20)
        assert not worker.ready.is_set()
        broker.down = False
        await asyncio.wait_for(worker.ready.wait(), 20)
        worker.stop()
        await asyncio.wait_for(running, 20)


async def test_a_door_that_can_not_open_ends_the_worker(database_url: str) -> None:
    broker = Broker([topic.name for topic in CATALOGUE], partitions=2)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server, Process(broker, database_url) as process:
        worker, _ = worker_of(process, server.sockets[0].getsockname()[1])
        with pytest.raises(SettingsError, match="ANNUL_WEBHOOKS_PORT"):
            await asyncio.wait_for(worker.run(), 20)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "ANNUL_STRIPE_WEBHOOK_SECRET or ANNUL_PAYPAL_WEBHOOK_ID"),
        ({"ANNUL_STRIPE_WEBHOOK_SECRET": " , "}, "ANNUL_STRIPE_WEBHOOK_SECRET"),
        ({"ANNUL_PAYPAL_WEBHOOK_ID": "WH-1"}, "ANNUL_PAYPAL_CLIENT_ID"),
        ({"ANNUL_PAYPAL_WEBHOOK_ID": "WH-1", "ANNUL_PAYPAL_CLIENT_ID": "id"}, "ANNUL_PAYPAL_CLIENT_SECRET"),
        ({"ANNUL_STRIPE_WEBHOOK_SECRET": "whsec_a, whsec_b"}, None),
    ],
)
async def test_what_it_needs_is_asked_for_in_one_line(given: dict[str, str], told: str | None) -> None:
    process = RealProcess(Settings.read({**NEEDED, **given}))
    if told is None:
        assert WORKERS["webhooks"](process).name == "webhooks"
        return
    with pytest.raises(SettingsError, match=told) as error:
        WORKERS["webhooks"](process)
    assert "\n" not in str(error.value)
