"""A transport that reaches the simulated providers without sockets: for a virtual clock."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from workers.providers.http import MAX_BODY_BYTES, ConnectionLost, ConnectionRefused, Response, TimedOut
from workers.providers.simulated.engine import Simulator
from workers.providers.simulated.wire import Dropped, Reply, Request

_LEFT_RUNNING: Final[set[asyncio.Task[Reply]]] = set()


class DirectTransport:
    """`Transport` to simulators by host name, for example ``{"stripe.test": simulator}``.

    A call whose deadline passes goes on at the provider, as it would over a network.
    """

    def __init__(self, simulators: Mapping[str, Simulator]) -> None:
        self._simulators = simulators

    async def request(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, deadline_s: float
    ) -> Response:
        """As the port says."""
        parts = urlsplit(url)
        simulator = self._simulators.get(parts.hostname or "")
        if simulator is None:
            raise ConnectionRefused("no such host")
        request = Request(
            method=method,
            path=unquote(parts.path),
            query=tuple(parse_qsl(parts.query)),
            headers=headers,
            body=body or b"",
        )
        call = asyncio.get_running_loop().create_task(simulator.handle(request))
        _LEFT_RUNNING.add(call)
        call.add_done_callback(_ended)
        done, _ = await asyncio.wait({call}, timeout=deadline_s)
        if not done:
            raise TimedOut("the deadline passed")
        if isinstance(call.exception(), Dropped):
            raise ConnectionLost("the connection broke")
        reply = call.result()
        if len(reply.body) > MAX_BODY_BYTES:
            raise ConnectionLost("the answer is too large")
        return Response(reply.status, reply.headers, reply.body)

    async def close(self) -> None:
        """As the port says."""


def _ended(call: asyncio.Task[Reply]) -> None:
    _LEFT_RUNNING.discard(call)
    if not call.cancelled():
        call.exception()  # looked at, so that asyncio doesn't log a drop that nobody waited for
