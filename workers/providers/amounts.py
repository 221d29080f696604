"""ISO 4217 minor units turned into each provider's own unit and back: exactly, or not at all.

Integers only: an amount that a provider can't express is refused and never rounded.
"""

import re
from typing import Final

from schemas.currencies import EXPONENTS

_ZERO_NAMES: Final = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_STRIPE_ZERO: Final = frozenset(_ZERO_NAMES.split())
"""Currencies that Stripe counts in whole units. MGA is one of them though ISO gives it two decimals; ISK and
UGX have no decimals in ISO and yet are passed to Stripe as if they had two (for backwards compatibility)."""
_STRIPE_THREE_STEP: Final = 10
"""Stripe takes three-decimal currencies with the last digit zero only."""

_PAYPAL_WHOLE: Final = frozenset({"HUF", "JPY", "TWD"})
"""PayPal takes no decimals for these, though HUF and TWD have two in ISO."""
_PAYPAL_TWO: Final = "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD ILS MXN MYR NOK NZD PHP PLN SEK SGD THB USD"
_PAYPAL: Final = _PAYPAL_WHOLE | frozenset(_PAYPAL_TWO.split())
_DECIMALS: Final = 2
_THREE: Final = 3
_VALUE: Final = re.compile(r"-?([0-9]{1,15})(?:[.]([0-9]{1,9}))?\Z")


class NotExpressible(Exception):
    """The provider can't take this amount; `code` is `amount_not_expressible` or `currency_not_supported`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def stripe_minor(amount_minor: int, currency: str) -> int:
    """The amount in Stripe's minor unit. Raises `NotExpressible`."""
    exponent = _iso_exponent(currency)
    if exponent == _THREE:
        if amount_minor % _STRIPE_THREE_STEP:
            raise NotExpressible("amount_not_expressible", f"{currency} takes multiples of 10 minor units only")
        return amount_minor
    return _rescaled(amount_minor, currency, exponent, stripe_exponent(currency))


def minor_of_stripe(amount: int, currency: str) -> int:
    """ISO's minor units of an amount as Stripe tells it, the inverse of `stripe_minor`. Raises `NotExpressible`."""
    if amount <= 0:
        raise NotExpressible("amount_not_expressible", "not an amount of money")
    return _rescaled(amount, currency, stripe_exponent(currency), _iso_exponent(currency))


def stripe_exponent(currency: str) -> int:
    """How many decimals Stripe's minor unit of a currency has. Raises `NotExpressible`."""
    if currency in _STRIPE_ZERO:
        return 0
    return _THREE if _iso_exponent(currency) == _THREE else _DECIMALS


def paypal_value(amount_minor: int, currency: str) -> str:
    """The amount as PayPal's decimal string, for example ``45.00``. Raises `NotExpressible`."""
    decimals = paypal_exponent(currency)
    scaled = _rescaled(amount_minor, currency, _iso_exponent(currency), decimals)
    if decimals == 0:
        return str(scaled)
    whole, fraction = divmod(scaled, 10**decimals)
    return f"{whole}.{fraction:0{decimals}d}"


def minor_of_paypal(value: str, currency: str) -> int:
    """ISO's minor units of a decimal string of PayPal's, whatever its sign and decimals. Raises `NotExpressible`.

    Any currency is read, those too that PayPal takes no refunds in: its reports may hold them.
    """
    found = _VALUE.match(value)
    exponent = _iso_exponent(currency)
    if found is None:
        raise NotExpressible("amount_not_expressible", "not a decimal number")
    fraction = (found.group(2) or "").ljust(exponent, "0")
    if fraction[exponent:].strip("0"):
        raise NotExpressible("amount_not_expressible", f"{currency} has {exponent} decimals")
    return int(found.group(1) + fraction[:exponent])


def paypal_exponent(currency: str) -> int:
    """How many decimals PayPal takes for a currency. Raises `NotExpressible`."""
    if currency not in _PAYPAL:
        raise NotExpressible("currency_not_supported", f"PayPal doesn't take {currency}")
    return 0 if currency in _PAYPAL_WHOLE else _DECIMALS


def _iso_exponent(currency: str) -> int:
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        raise NotExpressible("currency_not_supported", "not a currency of ISO 4217 in circulation")
    return exponent


def _rescaled(amount_minor: int, currency: str, have: int, want: int) -> int:
    assert amount_minor > 0
    factor: int = 10 ** abs(want - have)
    if want >= have:
        return amount_minor * factor
    scaled, rest = divmod(amount_minor, factor)
    if rest:
        raise NotExpressible("amount_not_expressible", f"{currency} has fewer decimals where this is to go")
    return scaled
