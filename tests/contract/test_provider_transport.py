"""The transport against servers that misbehave, and how long a provider may ask us to wait."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from kit.provider_kit import SHORT_S

from workers.providers.answers import kept, refund_id_of, retry_after_s
from workers.providers.http import (
    MAX_BODY_BYTES,
    AiohttpTransport,
    ConnectionLost,
    ConnectionRefused,
    Response,
    TimedOut,
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _server(answer: bytes, *, then_hang: bool = False) -> AsyncIterator[str]:
    """A server that reads a request's head and sends these bytes."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if then_hang:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        over.set()
        server.close()


async def _get(url: str, deadline_s: float = 10.0, path: str = "/") -> Response:
    transport = AiohttpTransport(2)
    try:
        return await transport.request("GET", url + path, headers={}, body=None, deadline_s=deadline_s)
    finally:
        await transport.close()


async def test_a_whole_answer_with_its_headers_in_lower_case() -> None:
    async with _server(b"HTTP/1.1 418 X\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nok") as url:
        got = await _get(url)
    assert (got.status, got.headers["retry-after"], got.body) == (418, "3", b"ok")


async def test_no_redirect_is_followed() -> None:
    async with _server(b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") as url:
        assert (await _get(url)).status == 307


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nha",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY_BYTES + 1),
    ],
    ids=["nothing", "no-http", "cut-off", "broken-chunks", "too-large"],
)
async def test_half_an_answer_is_a_lost_connection(answer: bytes) -> None:
    async with _server(answer) as url:
        with pytest.raises(ConnectionLost):
            await _get(url)


async def test_the_largest_answer_is_taken() -> None:
    async with _server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * MAX_BODY_BYTES) as url:
        assert len((await _get(url)).body) == MAX_BODY_BYTES


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow"], ids=["head", "body"])
async def test_the_deadline_covers_head_and_body(answer: bytes) -> None:
    async with _server(answer, then_hang=True) as url:
        with pytest.raises(TimedOut):
            await _get(url, SHORT_S)


async def test_where_nothing_listens_nothing_was_sent() -> None:
    async with _server(b"") as url:
        pass
    with pytest.raises(ConnectionRefused):
        await _get(url)
    with pytest.raises(ConnectionRefused):
        await _get("http://name.invalid")


async def test_waiting_for_a_free_connection_sends_nothing() -> None:
    """A full pool is no doubt about money."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    transport = AiohttpTransport(1)

    async def post(deadline_s: float) -> Response:
        url = f"http://{host}:{port}/"
        return await transport.request("POST", url, headers={}, body=b"", deadline_s=deadline_s)

    blocking = asyncio.ensure_future(post(10.0))
    await asked.wait()
    with pytest.raises(ConnectionRefused):
        await post(0.05)
    over.set()
    with pytest.raises(ConnectionLost):
        await blocking
    await transport.close()
    server.close()


async def test_a_closed_transport_sends_nothing() -> None:
    transport = AiohttpTransport(1)
    await transport.close()
    await transport.close()
    with pytest.raises(ConnectionRefused):
        await transport.request("GET", "http://127.0.0.1:1", headers={}, body=None, deadline_s=1)


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 30 "}, 30),
        ({"retry-after": "999999"}, 86_400),
        ({"retry-after": "9" * 5000}, 86_400),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 09:16:30 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 09:16:30 GMT", "date": "Mon, 23 Nov 2026 09:15:00 GMT"}, 90),
        ({"retry-after": "Mon, 23 Nov 2026 09:14:00 GMT", "date": "Mon, 23 Nov 2026 09:15:00 GMT"}, 0),
        ({"retry-after": "Mon, 23 Nov 2099 09:14:00 GMT", "date": "Mon, 23 Nov 2026 09:15:00 GMT"}, 86_400),
    ],
)
def test_how_long_a_provider_asks_us_to_wait(headers: dict[str, str], wanted: int | None) -> None:
    assert retry_after_s(headers) == wanted


@pytest.mark.parametrize("bad", ["", "..", "a/b", "x" * 65, "a\n", "é", 7, None])
def test_a_refund_id_that_couldn_t_be_kept_is_none(bad: object) -> None:
    assert refund_id_of(bad) is None


def test_text_of_a_provider_is_bounded_and_printable() -> None:
    assert kept("a\x00b\u202ec\n d", 10, ()) == "a b c d"
    assert kept("\x00", 10, ()) is None
    assert kept("x" * 10_000, 500, ()) == "x" * 500
    assert kept("key s3cret, Bearer abc.def, sk_live_123", 99, ("s3cret",)) == "key [hidden], [hidden], [hidden]"
