"""Every row of the providers' tables, over real HTTP, beside the class that Annul must treat it as."""

from collections.abc import Callable

import msgspec
import pytest
from kit.provider_kit import KINDS, SECRETS, SHORT_S, Bench, Kind, bench

from schemas.refunds import Outcome
from workers.providers import card_answers, paypal_answers
from workers.providers.answers import CONFIGURATION_FAULTS, FUNDS_ALARMS
from workers.providers.http import Response
from workers.providers.port import Answer
from workers.providers.simulated import FAULTS, reference_for

Row = tuple[str, Outcome, str | None, int | None]

BOTH: list[Row] = [
    ("http_500", "uncertain", "api_error|INTERNAL_SERVER_ERROR", None),
    ("http_500_after", "uncertain", "api_error|INTERNAL_SERVER_ERROR", None),
    ("http_503", "uncertain", "api_error|SERVICE_UNAVAILABLE", None),
    ("rate_limited", "retryable", "rate_limit|RATE_LIMIT_REACHED", 2),
    ("http_401", "retryable", "http_401|AUTHENTICATION_FAILURE", 60),
    ("http_403", "retryable", "http_403|PERMISSION_DENIED", 60),
    ("unreadable", "uncertain", "unreadable", None),
    ("too_large", "uncertain", "connection_lost", None),
    ("drop_before", "uncertain", "connection_lost", None),
    ("drop_after", "uncertain", "connection_lost", None),
    ("unknown_error", "rejected", "word_nobody_knows", None),
    ("pending", "pending", "processing|ECHECK", None),
    ("pending_failed", "pending", "processing|ECHECK", None),
    ("bounce", "succeeded", None, None),
    ("failed", "declined", "unknown|FAILED", None),
    ("canceled", "declined", "canceled|CANCELLED", None),
]
CARD: list[Row] = [
    ("requires_action", "pending", "requires_action", None),
    ("pending_insufficient_funds", "pending", "insufficient_funds", None),
    ("failed_lost_or_stolen_card", "declined", "lost_or_stolen_card", None),
    ("failed_expired_or_canceled_card", "declined", "expired_or_canceled_card", None),
    ("failed_insufficient_funds", "declined", "insufficient_funds", None),
    ("failed_declined", "declined", "declined", None),
    ("failed_merchant_request", "declined", "merchant_request", None),
    ("failed_unknown", "declined", "unknown", None),
    ("failed_charge_for_pending_refund_disputed", "rejected", "charge_for_pending_refund_disputed", None),
    ("bounce_lost_or_stolen_card", "succeeded", None, None),
    ("pending_lost_or_stolen_card", "pending", "processing", None),
    ("charge_already_refunded", "uncertain", "charge_already_refunded", None),
    ("already_refunded_by_us", "uncertain", "charge_already_refunded", None),
    ("idempotency_key_in_use", "retryable", "idempotency_key_in_use", None),
    ("lock_timeout", "retryable", "lock_timeout", 2),
    ("idempotency_error", "rejected", "idempotency_error", None),
    ("charge_disputed", "rejected", "charge_disputed", None),
    ("refund_disputed_payment", "rejected", "refund_disputed_payment", None),
    ("insufficient_funds", "retryable", "insufficient_funds", 600),
    ("lost_or_stolen_card", "declined", "lost_or_stolen_card", None),
    ("expired_or_canceled_card", "declined", "expired_or_canceled_card", None),
    ("resource_missing", "rejected", "resource_missing", None),
    ("charge_not_refundable", "rejected", "charge_not_refundable", None),
]
PAYPAL: list[Row] = [
    ("PERMISSION_DENIED", "retryable", "PERMISSION_DENIED", 60),
    ("PREVIOUS_REQUEST_IN_PROGRESS", "retryable", "PREVIOUS_REQUEST_IN_PROGRESS", None),
    ("MISSING_REQUIRED_PARAMETER", "rejected", "MISSING_REQUIRED_PARAMETER", None),
    ("INVALID_PARAMETER_SYNTAX", "rejected", "INVALID_PARAMETER_SYNTAX", None),
    ("INVALID_RESOURCE_ID", "rejected", "INVALID_RESOURCE_ID", None),
    ("CAPTURE_FULLY_REFUNDED", "uncertain", "CAPTURE_FULLY_REFUNDED", None),
    ("fully_refunded_by_us", "uncertain", "CAPTURE_FULLY_REFUNDED", None),
    ("PENDING_CAPTURE", "retryable", "PENDING_CAPTURE", 600),
    ("REFUND_FAILED_INSUFFICIENT_FUNDS", "retryable", "REFUND_FAILED_INSUFFICIENT_FUNDS", 600),
    ("REFUND_TIME_LIMIT_EXCEEDED", "declined", "REFUND_TIME_LIMIT_EXCEEDED", None),
    ("PAYER_ACCOUNT_LOCKED_OR_CLOSED", "declined", "PAYER_ACCOUNT_LOCKED_OR_CLOSED", None),
    ("REFUND_NOT_ALLOWED", "declined", "REFUND_NOT_ALLOWED", None),
    ("TRANSACTION_DISPUTED", "rejected", "TRANSACTION_DISPUTED", None),
    (
        "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK",
        "rejected",
        "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK",
        None,
    ),
    ("REFUND_CAPTURE_CURRENCY_MISMATCH", "rejected", "REFUND_CAPTURE_CURRENCY_MISMATCH", None),
    ("REFUND_AMOUNT_EXCEEDED", "rejected", "REFUND_AMOUNT_EXCEEDED", None),
    ("REFUND_AMOUNT_TOO_LOW", "rejected", "REFUND_AMOUNT_TOO_LOW", None),
    ("PARTIAL_REFUND_NOT_ALLOWED", "rejected", "PARTIAL_REFUND_NOT_ALLOWED", None),
    ("MAX_NUMBER_OF_REFUNDS_EXCEEDED", "rejected", "MAX_NUMBER_OF_REFUNDS_EXCEEDED", None),
    ("DUPLICATE_INVOICE_ID", "rejected", "DUPLICATE_INVOICE_ID", None),
    ("PAYEE_ACCOUNT_LOCKED_OR_CLOSED", "rejected", "PAYEE_ACCOUNT_LOCKED_OR_CLOSED", None),
    ("PAYEE_ACCOUNT_RESTRICTED", "rejected", "PAYEE_ACCOUNT_RESTRICTED", None),
    ("REFUND_IS_RESTRICTED", "rejected", "REFUND_IS_RESTRICTED", None),
]
HANGS = {"timeout_before", "timeout_after", "slow", "slow_after", "effect_late"}
LOOK_UPS: list[Row] = [
    ("look_up_http_503", "uncertain", "api_error|SERVICE_UNAVAILABLE", None),
    ("look_up_drop_before", "uncertain", "connection_lost", None),
    ("look_up_unreadable", "uncertain", "unreadable", None),
    ("look_up_too_large", "uncertain", "connection_lost", None),
    ("look_up_rate_limited", "retryable", "rate_limit|RATE_LIMIT_REACHED", 2),
    ("look_up_http_401", "retryable", "http_401|AUTHENTICATION_FAILURE", 60),
    ("look_up_http_403", "retryable", "http_403|PERMISSION_DENIED", 60),
]


CONTRACT: dict[Kind, dict[str, tuple[Outcome, str]]] = {
    # Every word that a provider's answers are known to hold, its class, and the faults by which it is played.
    "card": {
        "status pending": ("pending", "pending pending_failed pending_lost_or_stolen_card"),
        "status requires_action": ("pending", "requires_action"),
        "status succeeded": ("succeeded", "bounce bounce_lost_or_stolen_card"),
        "status failed": ("declined", "failed"),
        "status canceled": ("declined", "canceled"),
        "failure_reason, by which another way is open": (
            "declined",
            """failed_lost_or_stolen_card failed_expired_or_canceled_card failed_insufficient_funds failed_declined
            failed_merchant_request failed_unknown""",
        ),
        "failure_reason that names a dispute": ("rejected", "failed_charge_for_pending_refund_disputed"),
        "pending_reason insufficient_funds": ("pending", "pending_insufficient_funds"),
        "already refunded: look up first": ("uncertain", "charge_already_refunded already_refunded_by_us"),
        "time-out, connection lost, 5xx": ("uncertain", "drop_before drop_after http_500 http_500_after http_503"),
        "a 2xx that can't be read": ("uncertain", "unreadable too_large"),
        "in use, too often, locked": ("retryable", "idempotency_key_in_use rate_limited lock_timeout"),
        "the same key, other parameters": ("rejected", "idempotency_error"),
        "disputed": ("rejected", "charge_disputed refund_disputed_payment"),
        "the platform's balance is short": ("retryable", "insufficient_funds"),
        "the card is gone": ("declined", "lost_or_stolen_card expired_or_canceled_card"),
        "401, 403": ("retryable", "http_401 http_403"),
        "for a person": ("rejected", "resource_missing charge_not_refundable unknown_error"),
    },
    "paypal": {
        "status PENDING": ("pending", "pending pending_failed"),
        "status COMPLETED": ("succeeded", "bounce"),
        "status FAILED, CANCELLED": ("declined", "failed canceled"),
        "401, 403": ("retryable", "http_401 http_403 PERMISSION_DENIED"),
        "409, 429": ("retryable", "PREVIOUS_REQUEST_IN_PROGRESS rate_limited"),
        "time-out, connection lost, 5xx": ("uncertain", "drop_before drop_after http_500 http_500_after http_503"),
        "a 2xx that can't be read": ("uncertain", "unreadable too_large"),
        "400, 404, unknown": (
            "rejected",
            "MISSING_REQUIRED_PARAMETER INVALID_PARAMETER_SYNTAX INVALID_RESOURCE_ID unknown_error",
        ),
        "already refunded: look up first": ("uncertain", "CAPTURE_FULLY_REFUNDED fully_refunded_by_us"),
        "wait": ("retryable", "PENDING_CAPTURE REFUND_FAILED_INSUFFICIENT_FUNDS"),
        "another way": ("declined", "REFUND_TIME_LIMIT_EXCEEDED PAYER_ACCOUNT_LOCKED_OR_CLOSED REFUND_NOT_ALLOWED"),
        "disputed": ("rejected", "TRANSACTION_DISPUTED REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK"),
        "for a person": (
            "rejected",
            """REFUND_CAPTURE_CURRENCY_MISMATCH REFUND_AMOUNT_EXCEEDED REFUND_AMOUNT_TOO_LOW PARTIAL_REFUND_NOT_ALLOWED
            MAX_NUMBER_OF_REFUNDS_EXCEEDED DUPLICATE_INVOICE_ID PAYEE_ACCOUNT_LOCKED_OR_CLOSED
            PAYEE_ACCOUNT_RESTRICTED REFUND_IS_RESTRICTED""",
        ),
    },
}


def _cases(*groups: tuple[Kind, list[Row]]) -> list[tuple[Kind, Row]]:
    return [(kind, row) for kind, rows in groups for row in rows]


ISSUES = _cases(("card", BOTH + CARD), ("paypal", BOTH + PAYPAL))


@pytest.mark.parametrize(("kind", "row"), ISSUES, ids=lambda case: case if isinstance(case, str) else case[0])
async def test_a_refund_is_answered_by_its_class(kind: Kind, row: Row) -> None:
    async with bench(kind) as at:
        reference = reference_for(row[0], "t", prefix="")
        answer = await at.adapter.issue(at.issue(reference=reference))
        made = [entry.id for entry in at.book.everything()]
    _check(at, row, answer)
    if row[0].startswith(("failed", "canceled", "pending", "requires", "bounce")):
        # What became of money is kept by the provider's id, whatever its class: `rejected` ones too.
        assert [answer.provider_refund_id] == made


@pytest.mark.parametrize(
    ("kind", "row"),
    _cases(("card", LOOK_UPS), ("paypal", LOOK_UPS)),
    ids=lambda case: case if isinstance(case, str) else case[0],
)
async def test_a_look_up_that_fails_tells_nothing_of_the_refund(kind: Kind, row: Row) -> None:
    async with bench(kind) as at:
        reference = reference_for(row[0], "t", prefix="")
        by_mark = await at.adapter.look_up(at.look_up(reference=reference))
        made = await at.adapter.issue(at.issue(reference=reference))
        by_id = await at.adapter.look_up(at.look_up(reference=reference, provider_refund_id=made.provider_refund_id))
    _check(at, row, by_mark)
    _check(at, row, by_id)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_success_brings_the_refund_s_id_and_the_reference_for_the_client_s_bank(kind: Kind) -> None:
    async with bench(kind) as at:
        answer = await at.adapter.issue(at.issue())
        (entry,) = at.book.effective()
    assert answer.outcome == "succeeded"
    assert answer.provider_refund_id == entry.id
    assert answer.code is None
    assert answer.detail is not None
    assert "arn=7400" in answer.detail


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "look_up_timeout_before"])
async def test_no_answer_within_the_deadline_is_uncertain(kind: Kind, fault: str) -> None:
    async with bench(kind, deadline_s=SHORT_S) as at:
        reference = reference_for(fault, "t")
        if fault.startswith("look_up"):
            answer = await at.adapter.look_up(at.look_up(reference=reference))
        else:
            answer = await at.adapter.issue(at.issue(reference=reference))
    assert (answer.outcome, answer.code) == ("uncertain", "timeout")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_provider_that_opens_no_connection_got_nothing(kind: Kind) -> None:
    async with bench(kind) as at:
        await at.adapter.issue(at.issue())  # PayPal's token is there from now on
        for runner in at.providers._runners:
            await runner.cleanup()
        # This one may still use the connection that was kept open.
        stale = await at.adapter.issue(at.issue())
        answer = await at.adapter.issue(at.issue())
        looked_up = await at.adapter.look_up(at.look_up())
    assert stale.code in ("connection_lost", "connection_refused")
    assert (answer.outcome, answer.code) == ("retryable", "connection_refused")
    assert (looked_up.outcome, looked_up.code) == ("uncertain", "connection_refused")


@pytest.mark.parametrize(
    ("issues", "outcome", "code"),
    [
        (["REFUND_NOT_ALLOWED", "TRANSACTION_DISPUTED"], "rejected", "TRANSACTION_DISPUTED"),
        (["REFUND_NOT_ALLOWED", "CAPTURE_FULLY_REFUNDED"], "uncertain", "CAPTURE_FULLY_REFUNDED"),
        (["REFUND_NOT_ALLOWED", "NEVER_HEARD_OF"], "rejected", "NEVER_HEARD_OF"),
        ([], "rejected", "UNPROCESSABLE_ENTITY"),
        ("odd", "rejected", "UNPROCESSABLE_ENTITY"),
        ([7, None, {"issue": 7}], "rejected", "UNPROCESSABLE_ENTITY"),
    ],
)
async def test_of_several_issues_the_one_that_asks_for_most_care_counts(
    issues: object, outcome: str, code: str
) -> None:
    details = (
        [{"issue": one} if isinstance(one, str) else one for one in issues] if isinstance(issues, list) else issues
    )
    body = {"name": "UNPROCESSABLE_ENTITY", "debug_id": "d1", "details": details}
    answer = paypal_answers.answer_of(Response(422, {}, msgspec.json.encode(body)), ())
    assert (answer.outcome, answer.code) == (outcome, code)
    assert str(answer.detail).startswith("debug_id=d1")


@pytest.mark.parametrize("answer_of", [card_answers.answer_of, paypal_answers.answer_of])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"id":"re_1"}',
        b'{"id":"re_1","status":7}',
        b'{"id":"re_1","status":"someday"}',
        b'{"id":"../x","status":"succeeded"}',
        b'{"id":"","status":"COMPLETED"}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_success_that_can_t_be_read_is_uncertain(
    answer_of: Callable[[Response, tuple[str, ...]], Answer], body: bytes
) -> None:
    answer = answer_of(Response(200, {}, body), ())
    assert (answer.outcome, answer.code) == ("uncertain", "unreadable")


@pytest.mark.parametrize("answer_of", [card_answers.answer_of, paypal_answers.answer_of])
@pytest.mark.parametrize("status", [302, 400, 404, 422, 451])
@pytest.mark.parametrize("body", [b"", b"<html>", b"7", b'{"error":7,"details":{}}'])
def test_a_refusal_without_a_word_is_for_a_person(
    answer_of: Callable[[Response, tuple[str, ...]], Answer], status: int, body: bytes
) -> None:
    answer = answer_of(Response(status, {}, body), ())
    assert (answer.outcome, answer.code) == ("rejected", f"http_{status}")


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_of_the_contract_is_played_and_has_its_class(kind: Kind) -> None:
    rows = {row[0]: row[1] for of, row in ISSUES if of == kind}
    wanted = {name: outcome for outcome, names in CONTRACT[kind].values() for name in names.split()}
    assert rows == wanted


def test_no_fault_of_the_simulation_is_left_without_a_row() -> None:
    """So that a fault added there can't stay unclassed here."""
    rows = {row[0] for _, row in ISSUES} | {row[0] for row in LOOK_UPS}
    left = {name for name in FAULTS if name not in rows and name.removeprefix("look_up_") not in HANGS}
    assert not left


def _check(at: Bench, row: Row, answer: Answer) -> None:
    _, outcome, code, retry_after_s = row
    words = (code or "").split("|")
    word = words[0] if at.kind == "card" else words[-1]
    assert (answer.outcome, answer.code or "", answer.retry_after_s) == (outcome, word, retry_after_s)
    if retry_after_s == 60:
        assert answer.code in CONFIGURATION_FAULTS
    if "INSUFFICIENT_FUNDS" in row[0].upper():
        assert answer.code in FUNDS_ALARMS
    if at.kind == "paypal" and answer.code not in ("connection_lost", None):
        assert answer.detail is not None
        assert answer.detail.startswith("debug_id=f")
    text = str(msgspec.json.encode(answer))
    assert not any(secret in text for secret in SECRETS)
