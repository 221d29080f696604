"""A span for each HTTP request that a traced call takes."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, get_current_span

from workers.providers.http import ConnectionLost, ConnectionRefused, Response, TimedOut, Transport, TransportError
from workers.tracing import attributes as names

_WORDS: Final = frozenset(
    {
        "v1",
        "v2",
        "refunds",
        "refund",
        "payments",
        "captures",
        "oauth2",
        "token",
        "reporting",
        "transactions",
        "notifications",
        "verify-webhook-signature",
    }
)
"""What a path of a provider's may say; all else in it is an id."""
_REQUEST_IDS: Final = ("request-id", "paypal-debug-id")
_MAX_REQUEST_ID: Final = 128
_KINDS: Final[dict[type[TransportError], str]] = {
    TimedOut: "timeout",
    ConnectionLost: "connection_lost",
    ConnectionRefused: "connection_refused",
}


class TracedTransport:
    """`Transport` around another one. What isn't part of a traced call goes straight through.

    No traceparent is sent: a provider would only learn from it how ours hang together.
    """

    def __init__(self, inner: Transport, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    async def request(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, deadline_s: float
    ) -> Response:
        """As the port says."""
        call = get_current_span()
        if not call.is_recording():
            return await self._inner.request(method, url, headers=headers, body=body, deadline_s=deadline_s)
        span = self._begin(method, url)
        try:
            response = await self._inner.request(method, url, headers=headers, body=body, deadline_s=deadline_s)
            _answered(span, response)
            return response
        except BaseException as error:
            _fail(span, _KINDS.get(type(error), type(error).__name__))  # type: ignore[arg-type]  # any other has no word
            raise
        finally:
            span.end()

    async def close(self) -> None:
        """As the port says."""
        await self._inner.close()

    def _begin(self, method: str, url: str) -> Span:
        parts = urlsplit(url)
        template = template_of(parts.path)
        told: dict[str, str | int] = {
            names.METHOD: method,
            names.TEMPLATE: template,
            names.SCHEME: parts.scheme,
            names.SERVER: parts.hostname or "",
            names.PORT: parts.port or (443 if parts.scheme == "https" else 80),
        }
        return self._tracer.start_span(f"{method} {template}", kind=SpanKind.CLIENT, attributes=told)


def template_of(path: str) -> str:
    """A path with `{id}` in the place of everything that isn't one of a provider's words."""
    return "/".join(part if part in _WORDS or not part else "{id}" for part in path.split("/"))


def _answered(span: Span, response: Response) -> None:
    span.set_attribute(names.STATUS, response.status)
    for name in _REQUEST_IDS:
        found = response.headers.get(name, "")
        if found and found.isascii() and found.isprintable():
            span.set_attribute(names.PROVIDER_REQUEST, found[:_MAX_REQUEST_ID])
    if response.status >= HTTPStatus.BAD_REQUEST:
        _fail(span, str(response.status))


def _fail(span: Span, kind: str) -> None:
    span.set_attribute(names.ERROR, kind)
    span.set_status(StatusCode.ERROR)
