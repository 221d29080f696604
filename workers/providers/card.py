"""The adapter for card refunds: Stripe's refunds API, called directly.

Not through Stripe's SDK: one transport serves every provider, and a virtual one can take its place.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from schemas.refunds import RefundCommand, RefundIssue, RefundLookUp
from workers.providers import amounts, answers, card_list, lists
from workers.providers.card_answers import Refund, answer_of, answer_of_refund, page_of, refusal_of
from workers.providers.http import Response, Transport, checked_base_url, checked_secret
from workers.providers.port import Answer, ListedRefund

STRIPE_VERSION: Final = "2026-08-26.dahlia"
"""Pinned, so that an upgrade in Stripe's dashboard changes no answer under us."""
_PAGE: Final = 100
_MAX_PAGES: Final = 20
_PREFERRED: Final = ("succeeded", "pending", "uncertain", "rejected", "declined")
"""Which of several refunds with our id counts: one that moved money before one that didn't."""


class CardProvider:
    """`Provider` for cards. `deadline_s` bounds a whole call, a look-up over several pages included.

    Of a list it bounds each page; `pause` lets time pass between the tries of one.
    """

    name = "card"

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        api_key: str,
        deadline_s: float,
        clock: Callable[[], float] = time.monotonic,
        pause: lists.Pause = asyncio.sleep,
    ) -> None:
        """Raises ValueError for a base URL with a path or a key that fits into no header."""
        self._transport = transport
        self._refunds_url = checked_base_url(base_url) + "/v1/refunds"
        self._headers = {
            "authorization": "Bearer " + checked_secret("the Stripe API key", api_key),
            "stripe-version": STRIPE_VERSION,
        }
        self._secrets = (api_key,)
        self._deadline_s = deadline_s
        self._clock = clock
        self._pause = pause

    async def issue(self, command: RefundIssue) -> Answer:
        """As the port says."""
        try:
            amount = amounts.stripe_minor(command.amount_minor, command.currency)
        except amounts.NotExpressible as error:
            return Answer(outcome="rejected", code=error.code, detail=str(error))
        form = {
            _reference_field(command): command.reference,
            "amount": str(amount),
            "metadata[refund_id]": command.refund_id,
            "metadata[order_id]": command.order_id,
            # Never `fraudulent`: that would put the client's card on Stripe's block list.
            "reason": "requested_by_customer",
        }
        response = await answers.exchange(
            self._transport,
            "POST",
            self._refunds_url,
            headers={
                **self._headers,
                "content-type": "application/x-www-form-urlencoded",
                "idempotency-key": command.idempotency_key,
            },
            body=urlencode(form).encode(),
            deadline_s=self._deadline_s,
        )
        return response if isinstance(response, Answer) else answer_of(response, self._secrets)

    async def look_up(self, command: RefundLookUp) -> Answer:
        """As the port says: by the refund's id where it is known, else by its mark among the payment's refunds."""
        until = self._clock() + self._deadline_s
        if command.provider_refund_id is None:
            return await self._search(command, until)
        response = await self._get(f"{self._refunds_url}/{quote(command.provider_refund_id, safe='')}", until)
        if isinstance(response, Answer):
            return answers.failed_look_up(response)
        if response.ok:
            return answer_of(response, self._secrets)
        refusal = refusal_of(response, self._secrets)
        if response.status == HTTPStatus.NOT_FOUND:
            return answers.absent(refusal)
        return answers.failed_look_up(refusal)

    async def probe(self) -> Answer:
        """As the port says: the newest refund, whatever it is."""
        response = await self._get(f"{self._refunds_url}?limit=1", self._clock() + self._deadline_s)
        if isinstance(response, Answer):
            return response
        if not response.ok:
            return refusal_of(response, self._secrets)
        return Answer(outcome="succeeded") if page_of(response) else Answer(outcome="uncertain", code="unreadable")

    def list_refunds(self, since: datetime, until: datetime) -> AsyncIterator[ListedRefund]:
        """As the port says."""

        async def get(url: str) -> Response | Answer:
            return await self._get(url, self._clock() + self._deadline_s)

        return card_list.list_refunds(get, self._refunds_url, since, until, self._secrets, self._pause)

    async def close(self) -> None:
        """As the port says."""
        await self._transport.close()

    async def _get(self, url: str, until: float) -> Response | Answer:
        left_s = until - self._clock()
        if left_s <= 0:
            return Answer(outcome="uncertain", code="timeout")
        return await answers.exchange(self._transport, "GET", url, headers=self._headers, body=None, deadline_s=left_s)

    async def _search(self, command: RefundLookUp, until: float) -> Answer:
        ours: list[Refund] = []
        others = 0
        query = {_reference_field(command): command.reference, "limit": str(_PAGE)}
        for _ in range(_MAX_PAGES):
            response = await self._get(f"{self._refunds_url}?{urlencode(query)}", until)
            if isinstance(response, Answer):
                return answers.failed_look_up(response)
            if not response.ok:
                return answers.failed_look_up(refusal_of(response, self._secrets))
            page = page_of(response)
            if page is None or (page.has_more and not page.data):
                return Answer(outcome="uncertain", code="unreadable")
            for refund in page.data:
                named = answers.text_of(refund.metadata, "refund_id")
                if named == command.refund_id:
                    ours.append(refund)
                elif named is None:
                    # One that names another refund of ours is that one's; what names none may be anybody's.
                    others += 1
            if not page.has_more:
                return self._found(ours, others)
            query["starting_after"] = page.data[-1].id
        # Without the end of the list nothing is known to be absent; what was found stands all the same.
        if ours:
            return self._found(ours, others)
        return Answer(outcome="uncertain", code="list_too_long", detail=f"{_MAX_PAGES * _PAGE} refunds and more")

    def _found(self, ours: list[Refund], others: int) -> Answer:
        """The answer from all refunds of a payment that carry our refund_id."""
        if not ours:
            detail = f"{others} other refunds of this payment" if others else None
            return Answer(outcome="not_found", code="other_refunds" if others else None, detail=detail)
        found = [answer_of_refund(refund, self._secrets) for refund in ours]
        best = min(found, key=lambda answer: _PREFERRED.index(answer.outcome))
        paid = [answer.provider_refund_id or "" for answer in found if answer.outcome in ("succeeded", "pending")]
        if len(paid) > 1:
            # The key was forgotten and the refund carried out anew: a person must take the money back.
            return answers.duplicated(best, paid)
        return best


def _reference_field(command: RefundCommand) -> str:
    """Which of Stripe's two parameters a reference belongs to; `py_` are charges of newer payment methods."""
    return "charge" if command.reference.startswith(("ch_", "py_")) else "payment_intent"
