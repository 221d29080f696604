"""One order's trace on real parts: from its event over the provider's calls to the result, at an OTLP endpoint."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kit.builders import cancelled, escrow, tender
from kit.kafka import World
from kit.otlp import Collector, Told

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.topics import ORDERS_EVENTS, REFUNDS_COMMANDS, Topic
from workers.local.ports import free_port
from workers.pipeline.kafka import KafkaProducer
from workers.pipeline.ports import Outgoing
from workers.providers.simulated.server import SimulatedProviders
from workers.providers.simulated.wire import Settings as Simulation
from workers.settings import Settings
from workers.topics import prepare_topics
from workers.wiring import WORKERS, Process

RUN = ("cancellations", "refunds", "wallet", "card", "paypal", "notifications", "webhooks", "timers")
TRACE, UPSTREAM = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECRETS = ("sk_test_of_the_test", "whsec_of_the_test", "secret-of-the-test")
REASON = "We agreed to stop, says Zoé."
INTERNAL, SERVER, CLIENT, CONSUMER = 1, 2, 3, 5
"""Kinds, as OTLP numbers them."""


@asynccontextmanager
async def running(world: World, database_url: str, endpoint: str) -> AsyncIterator[Process]:
    """Every worker that has a part in a refund, in one process; its end sends what waits to be sent."""
    key, signing, password = SECRETS
    door = free_port()
    simulation = Simulation(
        stripe_api_key=key,
        paypal_client_secret=password,
        stripe_webhook_url=f"http://127.0.0.1:{door}/webhooks/stripe",
        stripe_webhook_secret=signing,
        latency_s=0.005,
        retry_after_s=0,
    )
    async with SimulatedProviders(simulation, rng=random.Random(7)) as providers:
        settings = Settings.read(
            {
                "ANNUL_KAFKA_BOOTSTRAP_SERVERS": world.kafka.bootstrap,
                "ANNUL_DATABASE_URL": database_url,
                "ANNUL_TOPIC_PREFIX": world.prefix,
                "ANNUL_TOPIC_PARTITIONS": "1",
                "ANNUL_TOPIC_REPLICATION_FACTOR": "1",
                "ANNUL_KAFKA_SESSION_TIMEOUT_S": "6",
                "ANNUL_STRIPE_API_BASE": providers.stripe_base,
                "ANNUL_STRIPE_API_KEY": key,
                "ANNUL_STRIPE_WEBHOOK_SECRET": signing,
                "ANNUL_PAYPAL_API_BASE": providers.paypal_base,
                "ANNUL_PAYPAL_CLIENT_ID": simulation.paypal_client_id,
                "ANNUL_PAYPAL_CLIENT_SECRET": password,
                "ANNUL_REFUND_RETRY_BASE_S": "0.1",
                "ANNUL_WEBHOOKS_PORT": str(door),
                "ANNUL_TRACES_ENDPOINT": endpoint,
                "ANNUL_TRACES_RATIO": "1",
            }
        )
        await prepare_topics(settings)
        process = Process(settings)
        workers = [WORKERS[name](process) for name in RUN]
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        try:
            async with asyncio.timeout(60):
                await asyncio.gather(*(worker.ready.wait() for worker in workers))
            yield process
        finally:
            for worker in workers:
                worker.stop()
            await asyncio.gather(*tasks)
            await process.close()


async def publish(producer: KafkaProducer, order_id: str, traceparent: str | None) -> None:
    """The card's provider refuses the first call for a moment, so that a second one follows later."""
    names = {"card": f"pi_x.rate_limited.1_{order_id}", "paypal": f"CAP_{order_id}", "wallet": "wal_1"}
    paid = [tender(f"tnd_{kind}", provider=kind, reference=name) for kind, name in names.items()]
    event = cancelled(order_id, reason=REASON, conversation_id=f"cnv_{order_id}", escrow=escrow(*paid))
    headers = headers_of("order.cancelled", f"evt_{order_id}", event.cancelled_at, traceparent)
    await producer.send_all([Outgoing(ORDERS_EVENTS.name, order_id.encode(), encode(event), headers)])


async def until_refunded(observer: Any, order_id: str) -> None:
    question = "SELECT refunded_at FROM orders WHERE order_id = $1"
    async with asyncio.timeout(40):
        while not await observer.fetchval(question, order_id):  # noqa: ASYNC110 - PostgreSQL tells nobody
            await asyncio.sleep(0.05)


def is_told(collector: Collector, trace_id: str) -> bool:
    """Whether the trace has come to its end: a person is told that everything went back."""
    return any(span.attributes.get("cloudevents.event_type") == "order.refunded" for span in collector.of(trace_id))


def heard(collector: Collector) -> list[Told]:
    """Results for the order's refunds that belong to other traces than its own."""
    results = [span for span in collector.spans if "refunds.results" in span.name and span.trace_id != TRACE]
    return [span for span in results if span.attributes["annul.order_id"] == "ord_1"]


async def test_an_order_is_one_tree_from_its_event_over_the_providers_to_its_end(
    world: World, producer: KafkaProducer, database_url: str, observer: Any
) -> None:
    collector = Collector()
    async with running(world, database_url, collector.endpoint):
        # Nobody listens at the endpoint, and nobody waits for it.
        await publish(producer, "ord_0", None)
        await until_refunded(observer, "ord_0")
        await collector.start()
        await publish(producer, "ord_1", f"00-{TRACE}-{UPSTREAM}-01")
        await publish(producer, "ord_2", f"00-{TRACE[::-1]}-{UPSTREAM}-00")
        for order_id in ("ord_1", "ord_2"):
            await until_refunded(observer, order_id)
        await collector.until(lambda: is_told(collector, TRACE), "the end of the order")
        await collector.until(lambda: heard(collector), "what the provider's webhook said")
    await collector.stop()
    told = collector.of(TRACE)
    assert_is_a_tree(told)
    assert_is_whole(world, told)
    assert_webhooks_name_the_refund(world, collector, told)
    assert_says_nothing_private(collector)
    assert not collector.of(TRACE[::-1]), "whoever began that trace decided not to record it"
    passed_on = await traceparents(world, REFUNDS_COMMANDS["paypal"], 3)
    assert passed_on["ord_2"] == f"00-{TRACE[::-1]}-{UPSTREAM}-00"
    assert passed_on["ord_1"] == one(told, "process", "orders.events.v1").traceparent


def one(told: list[Told], *words: str, **attributes: Any) -> Told:
    found = [span for span in told if all(word in span.name for word in words)]
    found = [span for span in found if {name: span.attributes.get(name) for name in attributes} == attributes]
    assert len(found) == 1, (words, attributes, [span.name for span in found])
    return found[0]


def assert_is_a_tree(told: list[Told]) -> None:
    ids = {span.span_id for span in told}
    assert len(ids) == len(told)
    roots = [span for span in told if span.parent not in ids]
    assert [(root.parent, root.attributes["messaging.message.id"]) for root in roots] == [(UPSTREAM, "evt_ord_1")]


def assert_is_whole(world: World, told: list[Told]) -> None:
    by_id = {span.span_id: span for span in told}
    event = one(told, "process", "orders.events.v1")
    assert (event.kind, event.service) == (CONSUMER, "annul-cancellations")
    assert (
        event.attributes.items()
        >= {
            "messaging.system": "kafka",
            "messaging.destination.name": world.prefix + "orders.events.v1",
            "messaging.consumer.group.name": world.prefix + "annul.cancellations",
            "cloudevents.event_type": "order.cancelled",
            "annul.order_id": "ord_1",
            "annul.outcome": "applied",
        }.items()
    )
    calls = (
        ("card", 1, "POST /v1/refunds", 429),
        ("card", 2, "POST /v1/refunds", 200),
        ("paypal", 1, "POST /v2/payments/captures/{id}/refund", 201),
    )
    for provider, attempt, request, status in calls:
        sent = one(told, request, **{"http.response.status_code": status})
        call = by_id[sent.parent]
        command = by_id[call.parent]
        assert (sent.kind, call.kind, command.kind) == (CLIENT, INTERNAL, CONSUMER)
        assert (call.name, call.attributes["annul.attempt"]) == ("issue refund", attempt)
        assert (command.parent == event.span_id) == (attempt == 1), "a later attempt follows from the answer before it"
        assert command.name == f"process {world.prefix}refunds.commands.{provider}.v1"
        assert {span.service for span in (sent, call, command)} == {f"annul-{provider}"}
        assert (sent.failed, call.failed, command.failed) == (status == 429, status == 429, False)
        assert sent.attributes["annul.provider_request_id"]
        result = next(span for span in told if span.parent == call.span_id and "refunds.results" in span.name)
        assert (result.service, result.attributes["annul.outcome"]) == ("annul-refunds", "applied")
        assert result.attributes["annul.refund_id"] == call.attributes["annul.refund_id"]
        if status != 429:
            assert [span for span in told if span.parent == result.span_id], "people are told what it came to"
    wallet = one(told, "refunds.commands.wallet")
    assert wallet.parent == event.span_id
    assert any("chats.commands" in span.name and span.parent == event.span_id for span in told)
    assert all("recorded" in span.events for span in told if span.kind == CONSUMER)


def assert_webhooks_name_the_refund(world: World, collector: Collector, told: list[Told]) -> None:
    """A webhook begins a trace of its own; what links it to the order's is the refund's id."""
    (result,) = heard(collector)
    call = one(told, "issue refund", **{"annul.provider": "card", "annul.attempt": 2})
    assert result.attributes["annul.refund_id"] == call.attributes["annul.refund_id"]
    spans = {span.span_id: span for span in collector.of(result.trace_id)}
    translated = spans[result.parent]
    assert translated.name == f"process {world.prefix}providers.webhooks.v1"
    door = spans[translated.parent]
    assert (door.kind, door.name, door.parent) == (SERVER, "POST /webhooks/{provider}", "")
    assert door.attributes.items() >= {"http.response.status_code": 200, "url.path": "/webhooks/stripe"}.items()


def assert_says_nothing_private(collector: Collector) -> None:
    told = repr(collector.spans) + repr(collector.headers)
    for private in (*SECRETS, REASON, "Bearer", "Basic", "4500", "45.00"):
        assert private not in told, private
    assert not [span for span in collector.spans if "?" in repr(span)]


async def traceparents(world: World, topic: Topic, count: int) -> dict[str, str]:
    records = await world.records(topic.name, count)
    return {record.key.decode(): dict(record.headers)["traceparent"].decode() for record in records}
