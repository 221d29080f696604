"""Look-ups beside the ordinary ones: a few at once, none of them moves money."""

import asyncio
from collections.abc import Sequence
from typing import Final

from schemas.refunds import RefundLookUp
from workers.pipeline.ports import Clock
from workers.providers.port import Answer, Provider
from workers.reconcile.compare import judge
from workers.reconcile.types import Ask, Finding, Ours, standing_of

_AT_ONCE: Final = 8
_MOST_UNANSWERED: Final = 20
"""After so many the provider is taken for gone, and the rest isn't asked."""
_ENOUGH: Final = 10
"""So many refunds of ours, and not one known to the provider: it is another account."""


class Asker:
    """Asks one provider. `answered` counts; `failed` says why what was found may not be all."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self._provider = provider
        self._clock = clock
        self._unanswered = 0
        self.answered = 0
        self.failed: str | None = None

    async def ask(self, asks: Sequence[Ask]) -> list[Finding]:
        """What the answers show to differ. What isn't answered stays as the list gave reason to believe it."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def bounded(ask: Ask) -> Answer | None:
            async with limit:
                return await self._ask(ask)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(bounded(ask)) for ask in asks]
        answers = [task.result() for task in tasks]
        found = [
            ask.suspected if answer is None else judge(ask, answer) for ask, answer in zip(asks, answers, strict=True)
        ]
        by_id = [answer for ask, answer in zip(asks, answers, strict=True) if answer and ask.provider_refund_id]
        if len(by_id) >= _ENOUGH and all(answer.outcome == "not_found" for answer in by_id):
            self.failed = "knows_none_of_ours"
            found = [one for one in found if one is not None and one.kind != "missing_at_provider"]
        elif self._unanswered:
            self.failed = "look_ups_unanswered"
        return [one for one in found if one is not None]

    async def _ask(self, ask: Ask) -> Answer | None:
        for _ in range(2):
            if self._unanswered >= _MOST_UNANSWERED:
                break
            answer = await self._provider.look_up(_command(ask, self._clock))
            if answer.outcome == "not_found" or standing_of(answer) is not None:
                self.answered += 1
                return answer
        self._unanswered += 1
        return None


def look_ups_of(ours: Ours) -> list[Ask]:
    """What to ask of a refund that nothing is suspected of.

    A succeeded one by the provider's id. The original of a redirect as a whole, since any refund of it that lives was
    paid beside the redirect; and by its id too, because some providers find nothing without.
    """
    by_id = Ask(ours=ours, provider_refund_id=ours.provider_refund_id)
    if ours.state == "succeeded":
        return [by_id]
    whole = Ask(ours=ours, provider_refund_id=None)
    return [whole] if ours.provider_refund_id is None else [whole, by_id]


def _command(ask: Ask, clock: Clock) -> RefundLookUp:
    ours = ask.ours
    return RefundLookUp(
        refund_id=ours.refund_id,
        order_id=ours.order_id,
        tender_id=ours.tender_id,
        provider=ours.provider,
        reference=ours.reference,
        amount_minor=ours.amount_minor,
        currency=ours.currency,
        idempotency_key=ours.idempotency_key,
        attempt=ours.attempt,
        issued_at=clock.now(),
        first_issued_at=ours.first_issued_at,
        provider_refund_id=ask.provider_refund_id,
        look_up_no=ours.look_up_no,
    )
