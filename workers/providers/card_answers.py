"""What Stripe's words mean: tables from each word to the class by which Annul treats it.

Stripe stores the answer to a key once it began to carry the request out, refusals included, and replays it for
24 h: sending again under the same key helps only where the word is one of `NOT_STORED` or no answer came.
"""

from typing import Any, Final

import msgspec

from schemas.refunds import Outcome
from workers.providers import answers
from workers.providers.answers import AGAIN, ASK_FIRST, REDIRECT, REVIEW, WAIT, Verdict, named
from workers.providers.http import Response
from workers.providers.port import Answer

STATUSES: Final[dict[str, Outcome]] = {
    "succeeded": "succeeded",
    "pending": "pending",
    "requires_action": "pending",
    "failed": "declined",
    "canceled": "declined",
}
FAILURE_REASONS: Final[dict[str, Outcome]] = {
    "lost_or_stolen_card": "declined",
    "expired_or_canceled_card": "declined",
    "insufficient_funds": "declined",
    "declined": "declined",
    "merchant_request": "declined",
    "unknown": "declined",
    # A dispute runs: paying another way as well would pay twice.
    "charge_for_pending_refund_disputed": "rejected",
}
CODES: Final[dict[str, Verdict]] = {
    "charge_already_refunded": ASK_FIRST,
    "idempotency_key_in_use": AGAIN,
    "lock_timeout": AGAIN,
    "rate_limit": AGAIN,
    "idempotency_error": REVIEW,
    "charge_disputed": REVIEW,
    "refund_disputed_payment": REVIEW,
    "insufficient_funds": WAIT,
    "balance_insufficient": WAIT,
    "lost_or_stolen_card": REDIRECT,
    "expired_or_canceled_card": REDIRECT,
    "resource_missing": REVIEW,
    "charge_not_refundable": REVIEW,
}
HTTP: Final[dict[int, Verdict]] = {409: AGAIN, 429: AGAIN}
NOT_STORED: Final = frozenset({"idempotency_key_in_use", "lock_timeout", "rate_limit", "http_409", "http_429"})


class Refund(msgspec.Struct, frozen=True):
    """As much of Stripe's refund object as is needed; what is not is loosely typed, lest it hide a success."""

    id: str
    status: str | None = None
    failure_reason: Any = None
    pending_reason: Any = None
    amount: Any = None
    metadata: Any = None
    destination_details: Any = None


class RefundList(msgspec.Struct, frozen=True):
    """A page of refunds, newest first."""

    data: list[Refund]
    has_more: bool


_refund = msgspec.json.Decoder(Refund)
_list = msgspec.json.Decoder(RefundList)
_any = msgspec.json.Decoder()


def answer_of(response: Response, secrets: answers.Secrets) -> Answer:
    """The answer to a response about one refund."""
    if not response.ok:
        return refusal_of(response, secrets)
    refund = answers.decoded(_refund, response.body)
    if refund is None or answers.refund_id_of(refund.id) is None:
        return Answer(outcome="uncertain", code="unreadable", detail=_trail(response))
    return answer_of_refund(refund, secrets)


def answer_of_refund(refund: Refund, secrets: answers.Secrets) -> Answer:
    """The answer that a refund's status gives; a status that we don't know is uncertain."""
    known_id = answers.refund_id_of(refund.id)
    outcome = STATUSES.get(refund.status or "")
    if outcome is None or known_id is None:
        return Answer(outcome="uncertain", code="unreadable", provider_refund_id=known_id)
    failure = answers.text_of(refund.failure_reason)
    code = None
    if outcome == "declined":
        outcome = FAILURE_REASONS.get(failure or "", outcome)
        code = failure or refund.status
    elif outcome == "pending":
        code = answers.text_of(refund.pending_reason) or refund.status
    card = ("destination_details", "card")
    details = {"destination_details": refund.destination_details}
    trail = answers.join(
        # The reference that the client's bank can find the refund by, and whether it shows as a line at all.
        named("arn", answers.text_of(details, *card, "reference")),
        named("type", answers.text_of(details, *card, "type")),
    )
    return Answer(
        outcome=outcome,
        provider_refund_id=known_id,
        code=answers.kept(code, answers.MAX_CODE, secrets),
        detail=answers.detail_of(trail, None, secrets),
    )


def refusal_of(response: Response, secrets: answers.Secrets) -> Answer:
    """The answer to any status but 2xx."""
    body = answers.decoded(_any, response.body)
    code = answers.text_of(body, "error", "code")
    kind = answers.text_of(body, "error", "type")
    verdict = CODES.get(code or "") or HTTP.get(response.status) or CODES.get(kind or "") or REVIEW
    return answers.answer_of_error(
        response,
        code=code or (None if response.status in HTTP else kind),
        verdict=verdict,
        trail=_trail(response),
        message=answers.text_of(body, "error", "message"),
        secrets=secrets,
    )


def page_of(response: Response) -> RefundList | None:
    """A page of a list; None where it can't be read."""
    return answers.decoded(_list, response.body)


def _trail(response: Response) -> str | None:
    replayed = response.headers.get("idempotent-replayed") == "true"
    return answers.join(named("request_id", response.headers.get("request-id")), "replayed" if replayed else None)
