"""An OTLP/HTTP endpoint that takes spans and keeps them, as an operator's collector does."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Self

import msgspec
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from workers.local.ports import free_port


class Told(msgspec.Struct, frozen=True):
    """A span as it came over the wire."""

    trace_id: str
    span_id: str
    parent: str
    name: str
    kind: int
    service: str
    attributes: dict[str, Any]
    events: tuple[str, ...]
    failed: bool

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


class Collector:
    """Listens from `start` to `stop`, at an address that is known before."""

    def __init__(self) -> None:
        self.port = free_port()
        self.spans: list[Told] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application()
        app.add_routes([web.post("/v1/traces", self._take)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with self._news:
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            if self.status == 200:
                self.spans += _told(ExportTraceServiceRequest.FromString(body))
            self._news.notify_all()
        return web.Response(status=self.status)

    async def until(self, wanted: Callable[[], Any], what: str, within_s: float = 30) -> None:
        """Wait until what was told so far is all that is wanted."""
        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(wanted), within_s)
            except TimeoutError:
                names = sorted({span.name for span in self.spans})
                raise AssertionError(f"{what} was not told within {within_s:g} s; told were {names}") from None

    def of(self, trace_id: str) -> list[Told]:
        """A trace."""
        return [span for span in self.spans if span.trace_id == trace_id]


def _told(request: ExportTraceServiceRequest) -> Iterable[Told]:
    for resource in request.resource_spans:
        service = _values(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Told(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    span.kind,
                    service,
                    _values(span.attributes),
                    tuple(event.name for event in span.events),
                    span.status.code == 2,
                )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
