"""The table of faults that the simulated providers know. How one is asked for: see `faults`."""

from typing import Final, Literal

import msgspec

LOOK_UP: Final = "look_up_"

Stage = Literal["door", "work", "answer", "life"]
Act = Literal["refuse", "hang", "drop", "wait", "late", "garble", "flood", "break", "live"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: where it strikes, what it does, and the provider's words for it."""

    name: str
    stage: Stage
    act: Act
    providers: tuple[str, ...] = ("stripe", "paypal")
    status: int = 0
    code: str | None = None
    kind: str = "invalid_request_error"
    """Stripe's error `type`, PayPal's error `name`."""
    life: tuple[str, ...] = ()
    """The refund's statuses one after the other, in Stripe's words; the second comes after a while."""
    reason: str | None = None

    @property
    def look_up(self) -> bool:
        """Whether it strikes GET requests."""
        return self.name.startswith(LOOK_UP)


def _both() -> list[Fault]:
    return [
        Fault(name="timeout_before", stage="door", act="hang"),
        Fault(name="drop_before", stage="door", act="drop"),
        Fault(name="slow", stage="door", act="wait"),
        # The refund is made after the caller has given up.
        Fault(name="effect_late", stage="door", act="late"),
        Fault(name="http_401", stage="door", act="refuse", status=401),
        Fault(name="http_403", stage="door", act="refuse", status=403, code="PERMISSION_DENIED"),
        Fault(name="http_503", stage="door", act="refuse", status=503),
        Fault(name="rate_limited", stage="door", act="refuse", status=429, code="rate_limit"),
        Fault(name="http_500", stage="work", act="refuse", status=500),
        Fault(name="unknown_error", stage="work", act="refuse", status=400, code="word_nobody_knows"),
        Fault(name="timeout_after", stage="answer", act="hang"),
        Fault(name="drop_after", stage="answer", act="drop"),
        Fault(name="slow_after", stage="answer", act="wait"),
        Fault(name="unreadable", stage="answer", act="garble"),
        Fault(name="too_large", stage="answer", act="flood"),
        Fault(name="http_500_after", stage="answer", act="break", status=500),
        Fault(name="pending", stage="life", act="live", life=("pending", "succeeded")),
        Fault(name="pending_failed", stage="life", act="live", life=("pending", "failed"), reason="declined"),
        Fault(name="bounce", stage="life", act="live", life=("succeeded", "failed"), reason="expired_or_canceled_card"),
        Fault(name="failed", stage="life", act="live", life=("failed",), reason="unknown"),
        Fault(name="canceled", stage="life", act="live", life=("canceled",)),
    ]


_STRIPE_LIVES: Final = (
    # The bank takes the refund back days after it was told to be done, or after it was told to be on its way.
    ("bounce_lost_or_stolen_card", ("succeeded", "failed"), "lost_or_stolen_card"),
    ("pending_lost_or_stolen_card", ("pending", "failed"), "lost_or_stolen_card"),
    ("pending_insufficient_funds", ("pending", "succeeded"), "insufficient_funds"),
    ("requires_action", ("requires_action",), None),
    *(
        (f"failed_{reason}", ("failed",), reason)
        for reason in (
            "lost_or_stolen_card",
            "expired_or_canceled_card",
            "charge_for_pending_refund_disputed",
            "insufficient_funds",
            "declined",
            "merchant_request",
            "unknown",
        )
    ),
)
_STRIPE_REFUSALS: Final = (
    "charge_already_refunded charge_disputed refund_disputed_payment insufficient_funds lost_or_stolen_card "
    "expired_or_canceled_card charge_not_refundable resource_missing"
)
_PAYPAL_REFUSALS: Final = (
    "CAPTURE_FULLY_REFUNDED PENDING_CAPTURE REFUND_FAILED_INSUFFICIENT_FUNDS REFUND_TIME_LIMIT_EXCEEDED "
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED REFUND_NOT_ALLOWED TRANSACTION_DISPUTED REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK "
    "REFUND_CAPTURE_CURRENCY_MISMATCH REFUND_AMOUNT_EXCEEDED REFUND_AMOUNT_TOO_LOW PARTIAL_REFUND_NOT_ALLOWED "
    "MAX_NUMBER_OF_REFUNDS_EXCEEDED DUPLICATE_INVOICE_ID PAYEE_ACCOUNT_LOCKED_OR_CLOSED PAYEE_ACCOUNT_RESTRICTED "
    "REFUND_IS_RESTRICTED"
)


def _stripe() -> list[Fault]:
    only = ("stripe",)
    return [
        Fault(name="lock_timeout", stage="door", act="refuse", providers=only, status=429, code="lock_timeout"),
        Fault(
            name="idempotency_key_in_use",
            stage="door",
            act="refuse",
            providers=only,
            status=409,
            code="idempotency_key_in_use",
        ),
        # It was refunded, and by this very request: only a look-up can tell.
        Fault(
            name="already_refunded_by_us",
            stage="answer",
            act="break",
            providers=only,
            status=400,
            code="charge_already_refunded",
        ),
        Fault(
            name="idempotency_error",
            stage="door",
            act="refuse",
            providers=only,
            status=400,
            kind="idempotency_error",
        ),
        *(
            Fault(
                name=code,
                stage="work",
                act="refuse",
                providers=only,
                status=404 if code == "resource_missing" else 400,
                code=code,
            )
            for code in _STRIPE_REFUSALS.split()
        ),
        *(
            Fault(name=name, stage="life", act="live", providers=only, life=life, reason=reason)
            for name, life, reason in _STRIPE_LIVES
        ),
    ]


def _paypal() -> list[Fault]:
    named = [
        ("PREVIOUS_REQUEST_IN_PROGRESS", "door", 409, "RESOURCE_CONFLICT"),
        ("PERMISSION_DENIED", "door", 403, "NOT_AUTHORIZED"),
        ("MISSING_REQUIRED_PARAMETER", "door", 400, "INVALID_REQUEST"),
        ("INVALID_PARAMETER_SYNTAX", "door", 400, "INVALID_REQUEST"),
        ("INVALID_RESOURCE_ID", "work", 404, "RESOURCE_NOT_FOUND"),
        *((issue, "work", 422, "UNPROCESSABLE_ENTITY") for issue in _PAYPAL_REFUSALS.split()),
    ]
    return [
        Fault(
            name="fully_refunded_by_us",
            stage="answer",
            act="break",
            providers=("paypal",),
            status=422,
            code="CAPTURE_FULLY_REFUNDED",
        ),
        *_paypal_refusals(named),
    ]


def _paypal_refusals(named: list[tuple[str, str, int, str]]) -> list[Fault]:
    return [
        Fault(
            name=issue,
            stage="door" if stage == "door" else "work",
            act="refuse",
            providers=("paypal",),
            status=status,
            code=issue,
            kind=name,
        )
        for issue, stage, status, name in named
    ]


def _look_ups(faults: list[Fault]) -> list[Fault]:
    """Every fault that makes sense for a request that moves no money, once more for look-ups."""
    kinds = {"timeout_before", "drop_before", "slow", "unreadable", "too_large"}
    kinds |= {"http_401", "http_403", "http_503", "rate_limited"}
    return [msgspec.structs.replace(fault, name=LOOK_UP + fault.name) for fault in faults if fault.name in kinds]


FAULTS: Final[dict[str, Fault]] = {
    fault.name: fault for fault in (*_both(), *_stripe(), *_paypal(), *_look_ups(_both()))
}
PASSING: Final = (
    "timeout_before",
    "timeout_after",
    "drop_before",
    "drop_after",
    "http_503",
    "rate_limited",
    "unreadable",
    "slow_after",
    "look_up_timeout_before",
    "look_up_drop_before",
    "look_up_http_503",
)
"""Faults that a random draw gives: each passes by itself when the same key is sent again."""
