"""The door for webhooks on a port of its own, its clock in the test's hand, its Kafka a list."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from kit.clock import VirtualClock
from workers.pipeline.ports import BrokerError, Outgoing
from workers.providers.simulated.signatures import stripe_signature
from workers.telemetry import Metrics
from workers.webhooks.checks import Check, StripeCheck
from workers.webhooks.door import Door, DoorLimits
from workers.webhooks.news import Sender

SECRET = "whsec_of_the_tests"
BODY = b'{"id":"evt_1", "type":"refund.updated",\n "data":{"object":{}}}'


class ListProducer:
    """Fills the producer's port: keeps what it is sent, is away, or doesn't acknowledge until let."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.asked = asyncio.Semaphore(0)
        self.away = False
        self.acknowledges = asyncio.Event()
        self.acknowledges.set()
        self.stopped = False

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.stopped = True

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        self.asked.release()
        if self.away:
            raise BrokerError("the broker can't be reached")
        await self.acknowledges.wait()
        self.sent += records


class DoorBench:
    """A door that listens, and a client that knocks."""

    def __init__(self, door: Door, producer: ListProducer, clock: VirtualClock, metrics: Metrics) -> None:
        self.door = door
        self.producer = producer
        self.clock = clock
        self.metrics = metrics
        self._session = aiohttp.ClientSession()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.port}/webhooks"

    async def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> "Answered":
        """Send as it is; the answer."""
        async with self._session.post(f"{self.url}/{path}", data=body, headers=headers) as response:
            return Answered(response.status, await response.text(), dict(response.headers))

    async def stripe(self, body: bytes, secret: str = SECRET, **headers: str) -> "Answered":
        """Send as Stripe does, signed now."""
        signature = stripe_signature(secret, body, int(self.clock.now().timestamp()))
        return await self.post("stripe", body, {"Stripe-Signature": signature, **headers})

    async def get(self, path: str) -> int:
        """The status of a GET."""
        async with self._session.get(f"{self.url}/{path}") as response:
            return response.status

    async def close(self) -> None:
        await self._session.close()


class Answered(msgspec.Struct, frozen=True):
    """What the door answered."""

    status: int
    text: str
    headers: dict[str, str]

    def __iter__(self) -> Any:
        return iter((self.status, self.text))


@asynccontextmanager
async def door_bench(checks: Mapping[Sender, Check] | None = None, **limits: Any) -> AsyncIterator[DoorBench]:
    """A door for the time of a test; with Stripe's check where no others are given."""
    clock, producer, metrics = VirtualClock(), ListProducer(), Metrics()
    door = Door(
        {"stripe": StripeCheck([SECRET], clock)} if checks is None else checks,
        producer,
        clock,
        metrics,
        host="127.0.0.1",
        port=0,
        limits=DoorLimits(**limits),
    )
    running = asyncio.create_task(door.run())
    ready = asyncio.create_task(door.ready.wait())
    await asyncio.wait((running, ready), return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    bench = DoorBench(door, producer, clock, metrics)
    try:
        yield bench
    finally:
        await bench.close()
        door.stop()
        await running


def counted(bench: DoorBench, provider: str = "stripe") -> dict[str, float]:
    """How often each end was counted."""
    samples = [sample for metric in bench.metrics.registry.collect() for sample in metric.samples]
    return {
        sample.labels["end"]: sample.value
        for sample in samples
        if sample.name == "annul_webhooks_total" and sample.labels["provider"] == provider
    }
