"""What both lists of refunds share: a page is asked for until it comes, within bounds, and read strictly."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from workers.providers import answers
from workers.providers.http import Response
from workers.providers.port import Answer, ListFailed

Ask = Callable[[], Awaitable[Response | Answer]]
Read = Callable[[Response], Answer]
"""A refusal in the provider's words, as an answer."""
Pause = Callable[[float], Awaitable[None]]

TRIES: Final = 4
"""How often one page is asked for."""
_FIRST_WAIT_S: Final = 1.0
_MAX_WAIT_S: Final = 60
"""A provider that asks for a longer wait is left alone: the list is read again another time."""


async def page(ask: Ask, refusal_of: Read, pause: Pause = asyncio.sleep) -> Response:
    """A page of a list, or the refusal where asking again can't help. Raises ListFailed.

    A refusal that is a word about the request (400, 404, 422) is given back: its reader may know what to do.
    """
    wait_s = _FIRST_WAIT_S
    for left in reversed(range(TRIES)):
        got = await ask()
        if isinstance(got, Response) and got.ok:
            return got
        told = got if isinstance(got, Answer) else refusal_of(got)
        if isinstance(got, Response) and told.outcome not in ("uncertain", "retryable"):
            return got
        asked_s = told.retry_after_s if isinstance(got, Response) else None
        if left == 0 or told.code in answers.CONFIGURATION_FAULTS or (asked_s or 0) > _MAX_WAIT_S:
            raise failed(told)
        await pause(max(wait_s, asked_s or 0))
        wait_s *= 2
    raise AssertionError("the last try returns or raises")


def failed(told: Answer) -> ListFailed:
    """The list failed with this answer to one of its pages."""
    return ListFailed(answers.join(told.code, told.detail) or told.outcome)


def refused(response: Response, refusal_of: Read) -> ListFailed:
    """The list failed with this refusal."""
    return failed(refusal_of(response))
