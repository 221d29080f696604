"""Money as people read it, from integers alone."""

from schemas.currencies import EXPONENTS


def money(amount_minor: int, currency: str | None) -> str:
    """For example ``45.00 EUR``, ``500 JPY``, ``-0.005 KWD``."""
    exponent = EXPONENTS.get(currency or "")
    if exponent is None:
        return f"{amount_minor} minor units of {currency or 'an unknown currency'}"
    whole, part = divmod(abs(amount_minor), 10**exponent)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole}.{part:0{exponent}d} {currency}" if exponent else f"{sign}{whole} {currency}"
