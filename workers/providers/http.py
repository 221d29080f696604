"""The transport that provider adapters call through: a small port and its implementation on aiohttp.

One port for every provider, so that a simulated transport on a virtual clock can take its place.
"""

import asyncio
import types
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

MAX_BODY_BYTES: Final = 1_048_576


class Response(msgspec.Struct, frozen=True):
    """What came back: header names in lower case, the body whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class TransportError(Exception):
    """The exchange failed. Its text is fixed, so it can hold no secret."""


class ConnectionRefused(TransportError):
    """No connection could be opened within the deadline: nothing of the request was sent."""


class ConnectionLost(TransportError):
    """The connection broke, or the answer was no HTTP or too large: the request may have been carried out."""


class TimedOut(TransportError):
    """The deadline passed with a connection open: the request may have been carried out."""


class Transport(Protocol):
    """Sends one HTTP request, following no redirect; one that changes anything exactly once.

    A GET may be sent again where a connection that was kept open turns out to be dead.
    """

    async def request(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, deadline_s: float
    ) -> Response:
        """Give the answer, whatever its status. Raises `ConnectionRefused`, `ConnectionLost` or `TimedOut`."""
        ...

    async def close(self) -> None:
        """Give connections back; safe to repeat."""
        ...


class AiohttpTransport:
    """`Transport` over one shared aiohttp session with at most `concurrency` connections.

    Make one for each adapter: closing an adapter closes its transport.
    """

    def __init__(self, concurrency: int) -> None:
        assert concurrency > 0
        self._concurrency = concurrency
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def request(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, deadline_s: float
    ) -> Response:
        """As the port says."""
        if self._closed:
            raise ConnectionRefused("the transport is closed")
        progress = _Progress()
        try:
            # Our own timer, not aiohttp's: that one rounds longer deadlines up to whole seconds, and a lease
            # is counted against this one.
            async with (
                asyncio.timeout(deadline_s),
                self._open().request(
                    method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    trace_request_ctx=progress,
                ) as response,
            ):
                return Response(response.status, _lowered(response), await _read(response))
        except TimeoutError:
            if progress.connected:
                raise TimedOut("the deadline passed") from None
            raise ConnectionRefused("no connection within the deadline") from None
        except (aiohttp.ClientError, OSError):
            if progress.connected:
                raise ConnectionLost("the connection broke") from None
            raise ConnectionRefused("no connection") from None

    async def close(self) -> None:
        """As the port says."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Here and not in the constructor: a session belongs to the running loop.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrency),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[_tracing()],
                # Some providers' firewalls turn away who doesn't say what they are.
                headers={"User-Agent": "annul"},
                # Small answers only; and nothing that unpacks to more than was read.
                skip_auto_headers=("Accept-Encoding",),
            )
        return self._session


class _Progress:
    """Whether a request got hold of a connection; from then on it may have been sent."""

    connected = False


def _tracing() -> aiohttp.TraceConfig:
    async def connected(_session: aiohttp.ClientSession, context: types.SimpleNamespace, _parameters: object) -> None:
        context.trace_request_ctx.connected = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    return tracing


def _lowered(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ConnectionLost("the answer is too large")
    return bytes(body)


def checked_base_url(text: str) -> str:
    """A provider's base URL without a trailing slash. Raises ValueError: not http(s) with a host and no path."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("a provider's base URL must be http(s)://host[:port]")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("a provider's base URL must have no path, query or fragment")
    return f"{parts.scheme}://{parts.netloc}"


def checked_secret(name: str, text: str) -> str:
    """A credential that fits into a header. Raises ValueError that names it and never holds it."""
    if not fits_header(text):
        raise ValueError(f"{name} must be visible ASCII characters without spaces")
    return text


def fits_header(text: str) -> bool:
    """Whether a credential can stand in a header: visible ASCII characters, at least one."""
    return bool(text) and all("!" <= character <= "~" for character in text)
