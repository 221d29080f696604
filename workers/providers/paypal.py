"""The adapter for PayPal: refunds of captures, Payments API v2."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import msgspec

from schemas.refunds import RefundIssue, RefundLookUp
from workers.providers import amounts, answers, lists, paypal_list
from workers.providers.http import Response, Transport, checked_base_url, checked_secret
from workers.providers.paypal_answers import answer_of, answer_of_capture
from workers.providers.paypal_token import TokenSource
from workers.providers.port import Answer, ListedRefund

PROBED: Final = "0ANNUL0PROBE0000X"
"""The id of a refund that can't be: PayPal makes ids of its own."""
_LIST_PATIENCE: Final = 3
"""So many deadlines a page of the list may take: PayPal's reports are slower than its payments."""
_ABSENT: Final = frozenset({"INVALID_RESOURCE_ID", "RESOURCE_NOT_FOUND"})


class PayPalProvider:
    """`Provider` for PayPal. `deadline_s` bounds a whole call: the token, the call, and one more try after a 401.

    Three of it bound a page of a list; `pause` lets time pass between the tries of one.
    """

    name = "paypal"

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        client_id: str,
        client_secret: str,
        deadline_s: float,
        clock: Callable[[], float] = time.monotonic,
        pause: lists.Pause = asyncio.sleep,
    ) -> None:
        """Raises ValueError for a base URL with a path or a credential that fits into no header."""
        base_url = checked_base_url(base_url)
        self._transport = transport
        self._payments_url = f"{base_url}/v2/payments"
        self._list_url = f"{base_url}/v1/reporting/transactions"
        self._tokens = TokenSource(
            transport,
            base_url,
            checked_secret("the PayPal client id", client_id),
            checked_secret("the PayPal client secret", client_secret),
            clock,
        )
        self._deadline_s = deadline_s
        self._clock = clock
        self._pause = pause

    async def issue(self, command: RefundIssue) -> Answer:
        """As the port says."""
        try:
            value = amounts.paypal_value(command.amount_minor, command.currency)
        except amounts.NotExpressible as error:
            return Answer(outcome="rejected", code=error.code, detail=str(error))
        body = msgspec.json.encode(
            {
                "amount": {"value": value, "currency_code": command.currency},
                # No invoice_id: PayPal refuses a second refund that carries the same one.
                "custom_id": command.refund_id,
            }
        )
        headers = {
            "content-type": "application/json",
            "prefer": "return=representation",
            "paypal-request-id": command.idempotency_key,
        }
        url = f"{self._payments_url}/captures/{quote(command.reference, safe='')}/refund"
        response = await self._call("POST", url, headers, body)
        return response if isinstance(response, Answer) else answer_of(response, self._tokens.secrets)

    async def look_up(self, command: RefundLookUp) -> Answer:
        """As the port says: by the refund's id where it is known, else all that its capture tells.

        A capture never proves whose refund it saw: `not_found` with the code `CAPTURE_REFUNDED` or
        `CAPTURE_PARTIALLY_REFUNDED` is no proof of absence.
        """
        if command.provider_refund_id is None:
            url = f"{self._payments_url}/captures/{quote(command.reference, safe='')}"
            response = await self._call("GET", url, {}, None)
            if isinstance(response, Answer):
                return answers.failed_look_up(response)
            return answer_of_capture(response, self._tokens.secrets)
        url = f"{self._payments_url}/refunds/{quote(command.provider_refund_id, safe='')}"
        response = await self._call("GET", url, {}, None)
        if isinstance(response, Answer):
            return answers.failed_look_up(response)
        answer = answer_of(response, self._tokens.secrets)
        if response.ok:
            return answer
        if response.status == HTTPStatus.NOT_FOUND:
            return answers.absent(answer)
        return answers.failed_look_up(answer)

    async def probe(self) -> Answer:
        """As the port says: that PayPal doesn't know a refund is told only to whom it knows."""
        response = await self._call("GET", f"{self._payments_url}/refunds/{PROBED}", {}, None)
        if isinstance(response, Answer):
            return response
        answer = answer_of(response, self._tokens.secrets)
        missing = response.status == HTTPStatus.NOT_FOUND and answer.code in _ABSENT
        return Answer(outcome="succeeded") if missing or (response.ok and answer.code != "unreadable") else answer

    def list_refunds(self, since: datetime, until: datetime) -> AsyncIterator[ListedRefund]:
        """As the port says, but for what PayPal doesn't show yet: see `paypal_list`."""

        async def get(url: str) -> Response | Answer:
            return await self._call("GET", url, {}, None, _LIST_PATIENCE)

        return paypal_list.list_refunds(get, self._list_url, since, until, lambda: self._tokens.secrets, self._pause)

    async def close(self) -> None:
        """As the port says."""
        await self._tokens.close()
        await self._transport.close()

    async def _call(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, patience: int = 1
    ) -> Response | Answer:
        """One call with a token; once more with a fresh one where PayPal refused the first.

        A 401 is given before anything is carried out, and the second try carries the same request id.
        """
        until = self._clock() + self._deadline_s * patience
        token = await self._tokens.get(until - self._clock())
        if isinstance(token, Answer):
            return token
        response = await self._send(method, url, headers, body, token, until)
        if isinstance(response, Answer) or response.status != HTTPStatus.UNAUTHORIZED:
            return response
        self._tokens.forget(token)
        fresh = await self._tokens.get(until - self._clock())
        if isinstance(fresh, Answer):
            return fresh
        return await self._send(method, url, headers, body, fresh, until)

    async def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, token: str, until: float
    ) -> Response | Answer:
        left_s = until - self._clock()
        if left_s <= 0:
            return Answer(outcome="retryable", code=answers.TOKEN_UNAVAILABLE, detail="the token took all the time")
        return await answers.exchange(
            self._transport,
            method,
            url,
            headers={**headers, "accept": "application/json", "authorization": f"Bearer {token}"},
            body=body,
            deadline_s=left_s,
        )
