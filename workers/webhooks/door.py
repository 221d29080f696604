"""The door: takes a provider's webhook, checks whose it is, and answers 200 once Kafka has it.

Whatever else it answers, the provider sends again. It reads no more than it must: the event's id, by which the record
is keyed and a replay is known.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
import structlog
from aiohttp import web

from schemas.envelope import MAX_VALUE_BYTES, headers_of
from schemas.topics import PROVIDERS_WEBHOOKS
from workers.domain.ids import derived
from workers.pipeline.ports import BrokerError, Clock, Outgoing, Producer
from workers.settings import SettingsError
from workers.telemetry import Metrics
from workers.tracing.port import Traces, traced_delivery
from workers.webhooks.checks import Check
from workers.webhooks.limits import TokenBucket
from workers.webhooks.news import SENDERS, Sender, usable_id
from workers.webhooks.translator import PROVIDER_HEADER

log = structlog.get_logger()
T = TypeVar("T")
_DRAIN_S: Final = 5.0
_GIVE_UP_S: Final = 1.5


class DoorLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the door."""

    body_bytes: int = MAX_VALUE_BYTES
    """What the pipeline takes of a record."""
    per_s: float = 200.0
    """Requests a second of each provider; twice as many at once."""
    in_work: int = 64
    read_s: float = 10.0
    """A body that comes slower is not waited for."""
    keep_s: float = 10.0
    """Kafka may take so long to acknowledge; the provider waits not much longer."""


class _Refused(Exception):
    """An answer other than 200: a status, and one word that says why."""

    def __init__(self, status: HTTPStatus, word: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(word)
        self.status = status
        self.word = word
        self.headers = dict(headers or {})


_json = msgspec.json.Decoder()


class Door:
    """An HTTP server of the providers that have a `Check`; the path of any other is 404."""

    def __init__(
        self,
        checks: Mapping[Sender, Check],
        producer: Producer,
        clock: Clock,
        metrics: Metrics,
        *,
        host: str,
        port: int,
        limits: DoorLimits | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._checks = dict(checks)
        self._producer = producer
        self._clock = clock
        self._metrics = metrics
        self._host = host
        self._limits = limits or DoorLimits()
        self._traces = traces
        at_s = clock.monotonic()
        self._buckets = {one: TokenBucket(self._limits.per_s, max(1.0, 2 * self._limits.per_s), at_s) for one in checks}
        self._in_work = 0
        self._stopping = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self.ready = asyncio.Event()
        self.port = port
        """Where it listens; a free port in the place of 0 once it does."""

    def stop(self) -> None:
        """Take nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`; what was taken has a while to be kept and answered. Raises SettingsError: can't listen."""
        app = web.Application(client_max_size=self._limits.body_bytes)
        app.add_routes([web.post("/webhooks/{provider}", self._answer)])
        # The signature is over the bytes as they came: nothing is unpacked.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_DRAIN_S, auto_decompress=False)
        try:
            await runner.setup()
            try:
                await web.TCPSite(runner, self._host, self.port).start()
            except OSError as error:
                told = f"can't listen on {self._host}:{self.port}: {error.strerror or type(error).__name__}"
                raise SettingsError(f"ANNUL_WEBHOOKS_PORT: {told}") from error
            self.port = runner.addresses[0][1]
            log.info("webhooks.served", host=self._host, port=self.port, providers=sorted(self._checks))
            self.ready.set()
            await self._stopping.wait()
        finally:
            await runner.cleanup()
            await self._close()

    async def _close(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        for check in self._checks.values():
            await check.close()
        try:
            await self._clock.wait_for(self._producer.stop(), _GIVE_UP_S)
        except TimeoutError:
            log.warning("producer.stop_failed", error="TimeoutError")

    async def _answer(self, request: web.Request) -> web.Response:
        sender = next((one for one in SENDERS if one == request.match_info["provider"] and one in self._checks), None)
        if sender is None:
            raise web.HTTPNotFound
        status, word, headers = HTTPStatus.OK, "accepted", {}
        with traced_delivery(self._traces, sender) as traced:
            try:
                await self._take(sender, request, traced.traceparent)
            except _Refused as refusal:
                status, word, headers = refusal.status, refusal.word, refusal.headers
                if word in ("unsigned", "unnamed"):
                    log.warning("webhook.refused", provider=sender, reason=word)
            traced.answered(status, word)
        self._metrics.webhook(sender, word)
        return web.Response(status=status, text=word, headers=headers)

    async def _take(self, sender: Sender, request: web.Request, traceparent: str | None) -> None:
        if wait_s := self._buckets[sender].wait_s(self._clock.monotonic()):
            raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, "limited", {"Retry-After": str(wait_s)})
        # Sends that were given up still count: their memory is not free.
        if self._in_work + len(self._sending) >= self._limits.in_work or self._stopping.is_set():
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", {"Retry-After": "1"})
        self._in_work += 1
        try:
            body = await self._read(request)
            event_id = _id_of(body)
            headers = {name.lower(): request.headers.getall(name) for name in request.headers}
            match await self._checks[sender].check(headers, body):
                case "forged":
                    raise _Refused(HTTPStatus.BAD_REQUEST, "unsigned")
                case "unknown":
                    raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "unverified", {"Retry-After": "5"})
            record = self._record(sender, event_id, body, traceparent)
            sending = asyncio.create_task(self._producer.send_all([record]))
        finally:
            self._in_work -= 1
        self._sending.add(sending)
        sending.add_done_callback(self._sent)
        await self._kept(sending)

    async def _read(self, request: web.Request) -> bytes:
        if (request.content_length or 0) > self._limits.body_bytes:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "large")
        try:
            return await self._within(self._limits.read_s, request.read())
        except web.HTTPRequestEntityTooLarge:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "large") from None
        except TimeoutError:
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT, "slow") from None

    async def _kept(self, sending: asyncio.Task[None]) -> None:
        """Returns once Kafka has it. A send that takes too long goes on by itself, and may yet arrive: a copy more."""
        try:
            await self._within(self._limits.keep_s, asyncio.shield(sending))
        except (BrokerError, TimeoutError) as error:
            log.warning("webhook.keep_delayed", error=type(error).__name__)
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "unkept", {"Retry-After": "5"}) from None

    async def _within(self, seconds: float, awaitable: Awaitable[T]) -> T:
        return await self._clock.wait_for(awaitable, seconds)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled():
            task.exception()  # told where it was waited for

    def _record(self, sender: Sender, event_id: str, body: bytes, traceparent: str | None) -> Outgoing:
        headers = headers_of("provider.webhook", derived("whk", sender, event_id), self._clock.now(), traceparent)
        return Outgoing(
            PROVIDERS_WEBHOOKS.name, event_id.encode(), body, [*headers, (PROVIDER_HEADER, sender.encode())]
        )


def _id_of(body: bytes) -> str:
    """The event's id.

    Raises _Refused where the body is no JSON object with a usable one. All of it is read, not only up to the id: what
    is one JSON value can be put whole into a request to its provider.
    """
    try:
        event = _json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        event = None
    found = usable_id(event.get("id")) if isinstance(event, dict) else None
    if found is None:
        raise _Refused(HTTPStatus.BAD_REQUEST, "unnamed")
    return found
