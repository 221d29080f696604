"""What the adapters share: turning exchanges into answers, and text of a provider into text that may be kept."""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec

from schemas.refunds import Outcome
from workers.providers.http import ConnectionLost, ConnectionRefused, Response, TimedOut, Transport
from workers.providers.port import Answer

T = TypeVar("T")
Secrets = Collection[str]
"""Credentials in use, to be hidden wherever a provider repeats them."""

MAX_CODE: Final = 128
MAX_DETAIL: Final = 500
MAX_RETRY_AFTER_S: Final = 24 * 3600
WAIT_S: Final = 600
"""Until something outside changes, for example the platform's balance."""
CONFIGURATION_S: Final = 60

CONFIGURATION_FAULTS: Final = frozenset(
    {
        "http_401",
        "http_403",
        "api_key_expired",
        "platform_api_key_expired",
        "secret_key_required",
        "AUTHENTICATION_FAILURE",
        "INVALID_ACCOUNT_STATUS",
        "NOT_AUTHORIZED",
        "PERMISSION_DENIED",
        "invalid_client",
        "invalid_token",
        "unauthorized_client",
    }
)
"""Codes of answers to a 401 or 403: pause the provider and call ops, no refund is at fault.

The set is complete: a 401 or 403 with any other word of the provider becomes `http_401` or `http_403`, and the
word stands in the detail.
"""
FUNDS_ALARMS: Final = frozenset({"insufficient_funds", "balance_insufficient", "REFUND_FAILED_INSUFFICIENT_FUNDS"})
"""Codes that say the platform's own balance is short: alarm ops, whatever the outcome beside them."""
DUPLICATE_REFUNDS: Final = "duplicate_refunds"
"""A look-up found more than one refund of ours that moved money: it was paid twice."""
TOKEN_UNAVAILABLE: Final = "token_unavailable"  # noqa: S105 - a code, no secret
UNSENT: Final = frozenset({"connection_refused", TOKEN_UNAVAILABLE})
"""Codes of retryable answers where the refund itself was never sent."""

_LOOKED_AT: Final = 4000
_HIDDEN: Final = "[hidden]"
_SECRETS: Final = re.compile(
    r"\b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{1,512}|\b(?:[srp]k_(?:live|test)|whsec)_[A-Za-z0-9*]{1,256}",
    re.IGNORECASE,
)
_PERSONAL: Final = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}|(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)")
_REFUND_ID: Final = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_.:-]{1,64}\Z")


class Verdict(msgspec.Struct, frozen=True):
    """The class of a provider's word, and how long to wait where the provider names no time."""

    outcome: Outcome
    retry_after_s: int | None = None


REVIEW: Final = Verdict("rejected")
REDIRECT: Final = Verdict("declined")
AGAIN: Final = Verdict("retryable")
WAIT: Final = Verdict("retryable", WAIT_S)
CONFIGURATION: Final = Verdict("retryable", CONFIGURATION_S)
ASK_FIRST: Final = Verdict("uncertain")
"""Look up before anything else: the provider says that nothing is left, not to whom it went."""


async def exchange(
    transport: Transport,
    method: str,
    url: str,
    *,
    headers: dict[str, str],
    body: bytes | None,
    deadline_s: float,
) -> Response | Answer:
    """One HTTP exchange; an answer instead of a response where none came."""
    try:
        return await transport.request(method, url, headers=headers, body=body, deadline_s=deadline_s)
    except TimedOut:
        return Answer(outcome="uncertain", code="timeout")
    except ConnectionLost:
        return Answer(outcome="uncertain", code="connection_lost")
    except ConnectionRefused:
        return Answer(outcome="retryable", code="connection_refused")


def failed_look_up(answer: Answer) -> Answer:
    """A look-up that found out nothing.

    It says nothing of the refund: only a pause (401, 403, 409, 429) stays retryable, all else is uncertain.
    """
    paused = answer.outcome == "retryable" and answer.code not in UNSENT
    return answer if paused else msgspec.structs.replace(answer, outcome="uncertain")


def answer_of_error(
    response: Response, *, code: str | None, verdict: Verdict, trail: str | None, message: str | None, secrets: Secrets
) -> Answer:
    """The answer to a response that refuses, from the provider's word and its class.

    `trail` is what support asks for, such as a debug id; `message` is the provider's free text.
    """
    status = response.status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        verdict = ASK_FIRST
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        verdict = CONFIGURATION
        if code not in CONFIGURATION_FAULTS:
            trail = join(trail, code)
            code = None
    wait_s = verdict.retry_after_s
    if verdict.outcome == "retryable":
        told_s = retry_after_s(response.headers)
        wait_s = wait_s if told_s is None else told_s
    return Answer(
        outcome=verdict.outcome,
        code=kept(code, MAX_CODE, secrets) or f"http_{status}",
        detail=detail_of(trail, message, secrets),
        retry_after_s=wait_s,
    )


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    """The body as JSON of the expected shape, else None."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def refund_id_of(value: object) -> str | None:
    """A provider's refund id where it is one that can be kept and asked for, else None."""
    return value if isinstance(value, str) and _REFUND_ID.match(value) else None


def text_of(value: object, *path: str) -> str | None:
    """The text at a path into decoded JSON; None where there is none. Never raises."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else None


def join(*parts: str | None) -> str | None:
    """The parts that are there, one after the other."""
    return "; ".join(part for part in parts if part) or None


def named(name: str, value: str | None) -> str | None:
    """`name=value` where there is a value."""
    return None if value is None else f"{name}={value}"


def detail_of(trail: str | None, message: str | None, secrets: Secrets) -> str | None:
    """An answer's detail: the trail first, since the end may be cut off."""
    free = None if message is None else _PERSONAL.sub(_HIDDEN, message[:_LOOKED_AT])
    return kept(join(trail, free), MAX_DETAIL, secrets)


def kept(text: str | None, limit: int, secrets: Secrets) -> str | None:
    """A provider's text made fit to store and show: no secret, no control characters, not too long.

    A provider may well echo what it was sent: Stripe's official mock repeats the Authorization header.
    """
    if text is None:
        return None
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    # The patterns see a bounded part only, so that a huge text costs nothing.
    text = _SECRETS.sub(_HIDDEN, text[:_LOOKED_AT])
    text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())[:limit] or None


def retry_after_s(headers: dict[str, str]) -> int | None:
    """Whole seconds that `Retry-After` asks for, 0 to one day; None where it is missing or unreadable.

    A date is measured from the response's own `Date`, so that no clock of ours takes part.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:10]), MAX_RETRY_AFTER_S)
    until, since = _http_date(text), _http_date(headers.get("date", ""))
    if until is None or since is None:
        return None
    return max(0, min(int((until - since).total_seconds()), MAX_RETRY_AFTER_S))


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def absent(refusal: Answer) -> Answer:
    """A look-up by id that found nothing; keeps the provider's word."""
    return Answer(outcome="not_found", code=refusal.code, detail=refusal.detail)


def duplicated(best: Answer, paid: list[str]) -> Answer:
    """Several refunds that moved money carry one refund_id."""
    detail = join(f"{len(paid)} refunds carry this refund_id: {' '.join(paid)}", best.detail)
    return msgspec.structs.replace(best, code=DUPLICATE_REFUNDS, detail=(detail or "")[:MAX_DETAIL])
