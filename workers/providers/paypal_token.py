"""PayPal's OAuth2 access token: kept until shortly before it expires, asked for by one caller at a time."""

import asyncio
import base64
from collections.abc import Callable
from typing import Final

import msgspec

from workers.providers import answers
from workers.providers.answers import TOKEN_UNAVAILABLE
from workers.providers.http import Transport, fits_header
from workers.providers.paypal_answers import refusal_of
from workers.providers.port import Answer

_MARGIN_S: Final = 60
"""A token this close to its end is not used any more: it must outlive the call that carries it."""


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int = 0
    """Seconds; a token that doesn't say is used once."""


_token = msgspec.json.Decoder(_Token, strict=False)


class TokenSource:
    """Hands out the token. The money call is never sent while one is lacking, so no failure here is uncertain."""

    def __init__(
        self, transport: Transport, base_url: str, client_id: str, client_secret: str, clock: Callable[[], float]
    ) -> None:
        basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._transport = transport
        self._url = f"{base_url}/v1/oauth2/token"
        self._authorization = f"Basic {basic}"
        self._fixed_secrets = (client_secret, basic)
        self._clock = clock
        self._value: str | None = None
        self._good_until = 0.0
        self._asking: asyncio.Task[str | Answer] | None = None

    @property
    def secrets(self) -> answers.Secrets:
        """Every credential in use, to be hidden from what PayPal's texts repeat."""
        return self._fixed_secrets if self._value is None else (*self._fixed_secrets, self._value)

    def forget(self, value: str) -> None:
        """PayPal refused this token; a newer one, which another call fetched meanwhile, stays."""
        if self._value == value:
            self._value = None

    async def get(self, deadline_s: float) -> str | Answer:
        """A token within the deadline, or the answer that the refund gets instead: always `retryable`."""
        if self._value is not None and self._clock() < self._good_until:
            return self._value
        if deadline_s <= 0:
            return Answer(outcome="retryable", code=TOKEN_UNAVAILABLE, detail="no time left")
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(deadline_s))
        asking = self._asking
        # The task is shared: a caller that gives up or is cancelled must not take it down for the others.
        done, _ = await asyncio.wait({asking}, timeout=deadline_s)
        if not done or asking.cancelled():
            return Answer(outcome="retryable", code=TOKEN_UNAVAILABLE, detail="timeout")
        return asking.result()

    async def close(self) -> None:
        """End a request for a token that is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _ask(self, deadline_s: float) -> str | Answer:
        response = await answers.exchange(
            self._transport,
            "POST",
            self._url,
            headers={
                "authorization": self._authorization,
                "content-type": "application/x-www-form-urlencoded",
                "accept": "application/json",
            },
            body=b"grant_type=client_credentials",
            deadline_s=deadline_s,
        )
        if isinstance(response, Answer):
            return _unavailable(response)
        if not response.ok:
            return _unavailable(refusal_of(response, self._fixed_secrets))
        token = answers.decoded(_token, response.body)
        if token is None or not fits_header(token.access_token):
            return Answer(outcome="retryable", code=TOKEN_UNAVAILABLE, detail="unreadable")
        self._value = token.access_token
        # A token that lives shorter than the margin is used for half its life.
        self._good_until = self._clock() + max(token.expires_in - _MARGIN_S, token.expires_in // 2)
        return token.access_token


def _unavailable(answer: Answer) -> Answer:
    """What a failed token call means for the refund: it was not sent."""
    if answer.code in answers.CONFIGURATION_FAULTS:
        return answer
    return Answer(
        outcome="retryable",
        code=TOKEN_UNAVAILABLE,
        detail=(answers.join(answer.code, answer.detail) or "")[: answers.MAX_DETAIL],
        retry_after_s=answer.retry_after_s if answer.outcome == "retryable" else None,
    )
