"""What PayPal's words mean: tables from each word to the class by which Annul treats it."""

from http import HTTPStatus
from typing import Any, Final

import msgspec

from schemas.refunds import Outcome
from workers.providers import answers
from workers.providers.answers import AGAIN, ASK_FIRST, REDIRECT, REVIEW, WAIT, Verdict, named
from workers.providers.http import Response
from workers.providers.port import Answer

STATUSES: Final[dict[str, Outcome]] = {
    "COMPLETED": "succeeded",
    "PENDING": "pending",
    "FAILED": "declined",
    "CANCELLED": "declined",
}
CAPTURE_STATUSES: Final[dict[str, str | None]] = {
    # What a capture's status says of a refund whose id nobody knows, as a code. None of it proves whose refund it was.
    "COMPLETED": None,
    "REFUNDED": "CAPTURE_REFUNDED",
    "PARTIALLY_REFUNDED": "CAPTURE_PARTIALLY_REFUNDED",
    "PENDING": "CAPTURE_PENDING",
    "DECLINED": "CAPTURE_DECLINED",
    "FAILED": "CAPTURE_FAILED",
}
ISSUES: Final[dict[str, Verdict]] = {
    "PREVIOUS_REQUEST_IN_PROGRESS": AGAIN,
    "CAPTURE_FULLY_REFUNDED": ASK_FIRST,
    "PENDING_CAPTURE": WAIT,
    "REFUND_FAILED_INSUFFICIENT_FUNDS": WAIT,
    "REFUND_TIME_LIMIT_EXCEEDED": REDIRECT,
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED": REDIRECT,
    "REFUND_NOT_ALLOWED": REDIRECT,
    "TRANSACTION_DISPUTED": REVIEW,
    "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK": REVIEW,
    "REFUND_CAPTURE_CURRENCY_MISMATCH": REVIEW,
    "REFUND_AMOUNT_EXCEEDED": REVIEW,
    "REFUND_AMOUNT_TOO_LOW": REVIEW,
    "PARTIAL_REFUND_NOT_ALLOWED": REVIEW,
    "MAX_NUMBER_OF_REFUNDS_EXCEEDED": REVIEW,
    "DUPLICATE_INVOICE_ID": REVIEW,
    "PAYEE_ACCOUNT_LOCKED_OR_CLOSED": REVIEW,
    "PAYEE_ACCOUNT_RESTRICTED": REVIEW,
    "REFUND_IS_RESTRICTED": REVIEW,
    "MISSING_REQUIRED_PARAMETER": REVIEW,
    "INVALID_PARAMETER_SYNTAX": REVIEW,
    "INVALID_RESOURCE_ID": REVIEW,
}
HTTP: Final[dict[int, Verdict]] = {409: AGAIN, 429: AGAIN}
_CAUTION: Final = (REVIEW, ASK_FIRST, WAIT, AGAIN, REDIRECT)
"""Where an error names several issues, the earlier class stands: nothing is redirected beside a dispute."""
_MAX_ISSUES: Final = 10


class Refund(msgspec.Struct, frozen=True):
    """As much of PayPal's refund as is needed; what is not is loosely typed, lest it hide a success."""

    id: str
    status: str | None = None
    status_details: Any = None
    acquirer_reference_number: Any = None


class Capture(msgspec.Struct, frozen=True):
    """As much of PayPal's capture as is needed."""

    status: str


_refund = msgspec.json.Decoder(Refund)
_capture = msgspec.json.Decoder(Capture)
_any = msgspec.json.Decoder()


def answer_of(response: Response, secrets: answers.Secrets) -> Answer:
    """The answer to a response about one refund; a status that we don't know is uncertain."""
    if not response.ok:
        return refusal_of(response, secrets)
    refund = answers.decoded(_refund, response.body)
    known_id = None if refund is None else answers.refund_id_of(refund.id)
    outcome = None if refund is None else STATUSES.get(refund.status or "")
    trail = named("debug_id", response.headers.get("paypal-debug-id"))
    code = None
    if refund is None or known_id is None or outcome is None:
        outcome, code = "uncertain", "unreadable"
    else:
        trail = answers.join(trail, named("arn", answers.text_of(refund.acquirer_reference_number)))
        if outcome != "succeeded":
            code = answers.text_of(refund.status_details, "reason") or refund.status
    return Answer(
        outcome=outcome,
        provider_refund_id=known_id,
        code=answers.kept(code, answers.MAX_CODE, secrets),
        detail=answers.detail_of(trail, None, secrets),
    )


def answer_of_capture(response: Response, secrets: answers.Secrets) -> Answer:
    """What a capture tells of a refund whose id nobody knows: at most that there is none."""
    if not response.ok:
        return answers.failed_look_up(refusal_of(response, secrets))
    capture = answers.decoded(_capture, response.body)
    trail = answers.detail_of(named("debug_id", response.headers.get("paypal-debug-id")), None, secrets)
    if capture is None or capture.status not in CAPTURE_STATUSES:
        return Answer(outcome="uncertain", code="unreadable", detail=trail)
    return Answer(outcome="not_found", code=CAPTURE_STATUSES[capture.status], detail=trail)


def refusal_of(response: Response, secrets: answers.Secrets) -> Answer:
    """The answer to any status but 2xx, of the token endpoint too (`error` instead of `name`)."""
    body = answers.decoded(_any, response.body)
    name = answers.text_of(body, "name") or answers.text_of(body, "error")
    issues = _issues(body)
    verdict, code = HTTP.get(response.status), name
    if issues:
        classes = {issue: ISSUES.get(issue, REVIEW) for issue in issues}
        code = min(issues, key=lambda issue: _CAUTION.index(classes[issue]))
        verdict = verdict or classes[code]
    debug_id = answers.text_of(body, "debug_id") or response.headers.get("paypal-debug-id")
    return answers.answer_of_error(
        response,
        code=_word(response, code, name),
        verdict=verdict or ISSUES.get(name or "") or REVIEW,
        trail=named("debug_id", debug_id),
        message=_message(body),
        secrets=secrets,
    )


def _word(response: Response, code: str | None, name: str | None) -> str | None:
    """The word to keep; for a 401 or 403 the one by which callers know that the settings are at fault."""
    if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and code not in answers.CONFIGURATION_FAULTS:
        return name or code
    return code


def _issues(body: object) -> list[str]:
    details = body.get("details") if isinstance(body, dict) else None
    if not isinstance(details, list):
        return []
    found = (answers.text_of(detail, "issue") for detail in details[:_MAX_ISSUES])
    return [issue for issue in found if issue]


def _message(body: object) -> str | None:
    details = body.get("details") if isinstance(body, dict) else None
    first = details[0] if isinstance(details, list) and details else None
    return (
        answers.text_of(first, "description")
        or answers.text_of(body, "message")
        or answers.text_of(body, "error_description")
    )
