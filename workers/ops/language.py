"""The languages of the dashboard: which one a request gets, its texts, numbers, money and times."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pkgutil import iter_modules
from typing import Final, Literal

from babel.numbers import format_decimal, format_percent

from schemas.currencies import EXPONENTS
from workers.insight.money import money as plain_money
from workers.ops import texts

Language = Literal["en", "fr"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "fr")
COOKIE: Final = "annul_lang"
_FRENCH_SIGNS: Final = re.compile(r" (?=[:;?!»])|(?<=«) ")
_KEPT: Final = "\N{NO-BREAK SPACE}"
"""French sets its signs off by a space at which no line may end."""
_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400


def _gather() -> Mapping[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for module in iter_modules(texts.__path__):
        for key, pair in import_module(f"{texts.__name__}.{module.name}").TEXTS.items():
            assert key not in found, f"two texts are called {key}"
            found[key] = (pair[0], _FRENCH_SIGNS.sub(_KEPT, pair[1]))
    return found


TEXTS: Final = _gather()


def language_of(cookie: str | None, accepted: str | None) -> Language:
    """What the person chose, else what their browser likes best of ours, else English."""
    if cookie in LANGUAGES:
        return "fr" if cookie == "fr" else "en"
    for part in (accepted or "").split(",")[:20]:
        name = part.partition(";")[0].strip().lower()[:2]
        if name in LANGUAGES:
            return "fr" if name == "fr" else "en"
    return "en"


class Speech:
    """Writes for one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.other: Language = "en" if language == "fr" else "fr"
        self._place = LANGUAGES.index(language)
        self._single = ("0", "1") if language == "fr" else ("1",)

    def text(self, key: str, /, **values: object) -> str:
        """The text under a key."""
        # Of one thing many sentences say it otherwise; French says so of none too.
        if str(values.get("count")) in self._single and f"{key}.one" in TEXTS:
            key = f"{key}.one"
        found = TEXTS[key][self._place]
        return found.format(**values) if values else found

    def number(self, value: float) -> str:
        """Grouped as the language does."""
        return format_decimal(value, locale=self.language)

    def percent(self, rate: float | None) -> str:
        """A rate; an unknown one is a dash."""
        return "-" if rate is None else format_percent(rate, format="#,##0.0 %", locale=self.language)

    def money(self, minor: int, currency: str | None) -> str:
        """With as many decimals as the currency has, and grouped as the language does."""
        exponent = EXPONENTS.get(currency or "")
        if exponent is None:
            return plain_money(minor, currency)
        pattern = f"#,##0.{'0' * exponent}" if exponent else "#,##0"
        return f"{format_decimal(Decimal(minor).scaleb(-exponent), pattern, self.language)} {currency}"

    def sum(self, minor_by_currency: Mapping[str, int]) -> str:
        """Amounts in several currencies, which can't be added."""
        return " + ".join(self.money(minor, currency) for currency, minor in minor_by_currency.items())

    def when(self, at: datetime | None) -> str:
        """A moment in UTC, to the second; an unknown one is a dash."""
        return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"

    def span(self, seconds: float | timedelta | None) -> str:
        """How long: its two largest units."""
        if seconds is None:
            return "-"
        whole = int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
        sign, whole = ("-" if whole < 0 else ""), abs(whole)
        day = "d" if self.language == "en" else "j"
        if whole < _MINUTE:
            return f"{sign}{whole} s"
        if whole < _HOUR:
            return f"{sign}{whole // _MINUTE} min {whole % _MINUTE} s"
        if whole < _DAY:
            return f"{sign}{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
        return f"{sign}{whole // _DAY} {day} {whole % _DAY // _HOUR} h"
