"""Amounts in each provider's own unit: exact or refused."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.currencies import EXPONENTS
from workers.providers.amounts import (
    NotExpressible,
    minor_of_paypal,
    minor_of_stripe,
    paypal_exponent,
    paypal_value,
    stripe_exponent,
    stripe_minor,
)

Convert = Callable[[int, str], int | str]
MINOR = st.integers(min_value=1, max_value=10**15)
CURRENCIES = st.sampled_from(sorted(EXPONENTS))

# Stripe's published list of zero-decimal currencies, but for UGX, which is passed with two decimals.
STRIPE_ZERO = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
# PayPal's published list.
PAYPAL = "AUD BRL CAD CNY CZK DKK EUR HKD HUF ILS JPY MYR MXN TWD NZD NOK PHP PLN GBP SGD SEK CHF THB USD"


@pytest.mark.parametrize(
    ("currency", "amount_minor", "stripe", "paypal"),
    [
        ("EUR", 1, 1, "0.01"),
        ("EUR", 4505, 4505, "45.05"),
        ("USD", 100, 100, "1.00"),
        ("JPY", 5800, 5800, "5800"),
        ("KWD", 12_340, 12_340, None),
        ("KWD", 12_345, None, None),
        ("ISK", 7, 700, None),
        ("UGX", 7, 700, None),
        ("MGA", 700, 7, None),
        ("MGA", 701, None, None),
        ("HUF", 700, 700, "7"),
        ("HUF", 701, 701, None),
        ("TWD", 700, 700, "7"),
        ("TWD", 750, 750, None),
        ("EUR", 10**15, 10**15, "10000000000000.00"),
        ("XXX", 100, None, None),
    ],
)
def test_amounts_by_currency(currency: str, amount_minor: int, stripe: int | None, paypal: str | None) -> None:
    assert _or_none(stripe_minor, amount_minor, currency) == stripe
    assert _or_none(paypal_value, amount_minor, currency) == paypal


@given(amount_minor=MINOR, currency=CURRENCIES)
def test_what_stripe_gets_is_worth_what_iso_says(amount_minor: int, currency: str) -> None:
    exact = Decimal(amount_minor).scaleb(-EXPONENTS[currency])
    stepped = (EXPONENTS[currency] == 3 and amount_minor % 10) or (currency == "MGA" and amount_minor % 100)
    if stepped:
        assert _code(stripe_minor, amount_minor, currency) == "amount_not_expressible"
    else:
        sent = stripe_minor(amount_minor, currency)
        assert Decimal(sent).scaleb(-stripe_exponent(currency)) == exact


@given(amount_minor=MINOR, currency=CURRENCIES)
def test_what_paypal_gets_is_worth_what_iso_says(amount_minor: int, currency: str) -> None:
    exact = Decimal(amount_minor).scaleb(-EXPONENTS[currency])
    if currency not in PAYPAL.split():
        assert _code(paypal_value, amount_minor, currency) == "currency_not_supported"
    elif currency in ("HUF", "TWD") and amount_minor % 100:
        assert _code(paypal_value, amount_minor, currency) == "amount_not_expressible"
    else:
        sent = paypal_value(amount_minor, currency)
        assert Decimal(sent) == exact
        assert len(sent.partition(".")[2]) == paypal_exponent(currency)
        assert len(sent) <= 32


@given(amount_minor=MINOR, currency=CURRENCIES)
def test_what_was_sent_comes_back_as_the_same_amount(amount_minor: int, currency: str) -> None:
    sent = _or_none(stripe_minor, amount_minor, currency)
    if sent is not None:
        assert minor_of_stripe(int(sent), currency) == amount_minor
    value = _or_none(paypal_value, amount_minor, currency)
    if value is not None:
        assert minor_of_paypal(str(value), currency) == minor_of_paypal(f"-{value}", currency) == amount_minor


@given(amount=MINOR, currency=CURRENCIES)
def test_what_stripe_tells_is_read_as_what_it_is_worth_or_not_at_all(amount: int, currency: str) -> None:
    exact = Decimal(amount).scaleb(-stripe_exponent(currency)).scaleb(EXPONENTS[currency])
    read = _or_none(minor_of_stripe, amount, currency)
    assert read == (int(exact) if exact == exact.to_integral_value() else None)


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        ("-45.00", "EUR", 4500),
        ("45", "EUR", 4500),
        ("-45.00", "HUF", 4500),
        ("-45", "HUF", 4500),
        ("-5800.00", "JPY", 5800),
        ("-5800.50", "JPY", None),
        ("-0.001", "EUR", None),
        ("-1.234", "KWD", 1234),
        ("1,00", "EUR", None),
        ("1.", "EUR", None),
        ("-", "EUR", None),
        ("1e3", "EUR", None),
        ("٣", "EUR", None),
        ("1" * 16, "EUR", None),
        ("1.00", "ABC", None),
    ],
)
def test_paypals_decimals_are_read_exactly(value: str, currency: str, minor: int | None) -> None:
    try:
        assert minor_of_paypal(value, currency) == minor
    except NotExpressible:
        assert minor is None


@pytest.mark.parametrize("amount", [0, -1])
def test_an_amount_of_stripes_that_is_no_money_is_refused(amount: int) -> None:
    assert _code(minor_of_stripe, amount, "EUR") == "amount_not_expressible"


def test_the_units_are_the_published_ones() -> None:
    assert [currency for currency in sorted(EXPONENTS) if stripe_exponent(currency) == 0] == STRIPE_ZERO.split()
    taken = [currency for currency in sorted(EXPONENTS) if _or_none(paypal_value, 100, currency) is not None]
    assert taken == sorted(PAYPAL.split())
    assert [currency for currency in taken if paypal_exponent(currency) == 0] == ["HUF", "JPY", "TWD"]


def _or_none(convert: Convert, amount_minor: int, currency: str) -> int | str | None:
    try:
        return convert(amount_minor, currency)
    except NotExpressible:
        return None


def _code(convert: Convert, amount_minor: int, currency: str) -> str:
    with pytest.raises(NotExpressible) as refused:
        convert(amount_minor, currency)
    return refused.value.code
