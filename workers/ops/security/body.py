"""A request's body, read before anything looks at it: bounded in size and in time."""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.types import Message, Receive

MOST_BODY: Final = 64 * 1024
_BODY_S: Final = 10.0


async def body_of(request: Request) -> bytes | None:
    """The whole body; None where it is too long. Raises TimeoutError, ClientDisconnect."""
    body = b""
    async with asyncio.timeout(_BODY_S):
        async for part in request.stream():
            body += part
            if len(body) > MOST_BODY:
                return None
    return body


def replayed(body: bytes, receive: Receive) -> Receive:
    """For who reads the body next."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
