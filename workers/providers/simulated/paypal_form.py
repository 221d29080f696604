"""Reading PayPal's refund request as strictly as PayPal."""

import re
from typing import Final

import msgspec

from workers.providers.amounts import NotExpressible, paypal_exponent
from workers.providers.simulated.engine import Post
from workers.providers.simulated.wire import Request

_VALUE: Final = re.compile(r"(\d{1,15})(?:\.(\d{1,9}))?\Z")
_WANTED: Final = {"custom_id": 127, "invoice_id": 127, "note_to_payer": 255}
_MAX_REQUEST_ID: Final = 108


class Invalid(Exception):
    """A request that PayPal refuses: its HTTP status and issue."""

    def __init__(self, status: int, issue: str | None) -> None:
        super().__init__(issue)
        self.status, self.issue = status, issue


class _Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: str
    currency_code: str


class _Refund(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    amount: _Money
    custom_id: str | None = None
    invoice_id: str | None = None
    note_to_payer: str | None = None


def post_of(reference: str, request: Request) -> Post:
    """The refund that a request asks for. Raises `Invalid`."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise Invalid(415, None)
    key = request.headers.get("paypal-request-id")
    if key is not None and not 1 <= len(key) <= _MAX_REQUEST_ID:
        raise Invalid(400, "INVALID_STRING_LENGTH")
    try:
        asked = msgspec.json.decode(request.body, type=_Refund)
    except msgspec.ValidationError as error:
        missing = "missing required field" in str(error)
        raise Invalid(400, "MISSING_REQUIRED_PARAMETER" if missing else "INVALID_PARAMETER_SYNTAX") from None
    except msgspec.DecodeError:
        raise Invalid(400, "MALFORMED_REQUEST_JSON") from None
    sent = {name: value for name in _WANTED if (value := getattr(asked, name)) is not None}
    if any(not 1 <= len(value) <= _WANTED[name] for name, value in sent.items()):
        raise Invalid(400, "INVALID_STRING_LENGTH")
    return Post(
        reference=reference,
        amount=_minor(asked.amount),
        currency=asked.amount.currency_code,
        refund_id=asked.custom_id,
        order_id=None,
        key=key,
        fingerprint=f"{reference} {asked!r}",
        sent=sent,
        whole=request.headers.get("prefer") == "return=representation",
    )


def value_of(amount: int, currency: str) -> str:
    """An amount of the book as PayPal writes it."""
    decimals = paypal_exponent(currency)
    if decimals == 0:
        return str(amount)
    return f"{amount // 10**decimals}.{amount % 10**decimals:0{decimals}d}"


def _minor(money: _Money) -> int:
    try:
        decimals = paypal_exponent(money.currency_code)
    except NotExpressible:
        raise Invalid(422, "INVALID_CURRENCY_CODE") from None
    found = _VALUE.match(money.value)
    if found is None:
        raise Invalid(400, "INVALID_PARAMETER_SYNTAX")
    whole, fraction = found.group(1), found.group(2) or ""
    if fraction and not decimals:
        raise Invalid(422, "DECIMALS_NOT_SUPPORTED")
    if len(fraction) > decimals:
        raise Invalid(422, "DECIMAL_PRECISION")
    amount = int(whole + fraction.ljust(decimals, "0"))
    if amount == 0:
        raise Invalid(422, "CANNOT_BE_ZERO_OR_NEGATIVE")
    return amount
