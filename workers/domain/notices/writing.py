"""A notice written in its recipient's language, with amounts, dates and times as their locale writes them."""

import re
import unicodedata
from collections.abc import Iterable
from copy import copy
from datetime import date, datetime
from decimal import Context, Decimal
from functools import lru_cache
from typing import Final

import babel
from babel.dates import format_date, format_time
from babel.numbers import NumberPattern, format_decimal, get_currency_symbol

from schemas.currencies import EXPONENTS
from workers.domain.notices.english import ENGLISH
from workers.domain.notices.french import FRENCH
from workers.domain.notices.notice import Amount, Line, Notice, Rate, Value, Word

TEXTS: Final[dict[str, dict[str, str]]] = {"fr": FRENCH, "en": ENGLISH}
_EXACT: Final = Context(prec=40)
_ITEM: Final = "- "
_FRENCH: Final = frozenset({"fr", "fra", "fre"})
_ENGLISH: Final = frozenset({"en", "eng"})
_BEFORE_MARK: Final = re.compile(r" (?=[:;?!])")
_NO_BREAK: Final = "\u00a0"


def write(notice: Notice) -> tuple[str, str]:
    """Subject and body."""
    writer = writer_of(notice.locale)
    return writer.text(notice.subject), writer.body(notice.body)


class Writer:
    """Writes in one language, by the customs of one place."""

    def __init__(self, language: str, locale: babel.Locale) -> None:
        self.language = language
        self.locale = locale
        self._texts = TEXTS[language]

    def text(self, line: Line) -> str:
        """A line of the texts, filled in."""
        text = self._texts[line.key].format(**{name: self.value(value) for name, value in line.values.items()})
        return _BEFORE_MARK.sub(_NO_BREAK, text) if self.language == "fr" else text

    def body(self, lines: Iterable[Line]) -> str:
        """Paragraphs apart, and the items of a list close together."""
        body = ""
        for line in lines:
            text = self.text(line)
            body += ("\n" if text.startswith(_ITEM) else "\n\n") + text
        return body.strip()

    def value(self, value: Value) -> str:
        """What stands in a line."""
        match value:
            case Amount():
                return self.amount(value)
            case Word():
                return self._texts[value.key]
            case Rate():
                return self.rate(value)
            case datetime():
                at = format_time(value, "short", locale=self.locale)
                return self._texts["moment"].format(date=self.day(value.date()), time=at)
            case date():
                return self.day(value)
            case int():
                return format_decimal(value, locale=self.locale)
            case _:
                return value

    def amount(self, amount: Amount) -> str:
        """Exactly, with as many decimals as the currency's minor unit has by ISO 4217."""
        exponent = EXPONENTS[amount.currency]
        number = Decimal(amount.minor).scaleb(-exponent, _EXACT)
        text: str = _pattern(self.locale, exponent).apply(
            number, self.locale, currency=amount.currency, currency_digits=False
        )
        symbol = get_currency_symbol(amount.currency, self.locale)
        if text.startswith(symbol) and unicodedata.category(symbol[-1]) != "Sc":
            text = f"{symbol}{_NO_BREAK}{text.removeprefix(symbol).lstrip()}"
        return text

    def rate(self, rate: Rate) -> str:
        """In per cent; no decimals are written that say nothing."""
        pattern = copy(self.locale.percent_formats[None])
        pattern.frac_prec = (0, rate.places)
        text: str = pattern.apply(Decimal(str(rate.share)), self.locale)
        return text

    def day(self, day: date) -> str:
        """A date with its day of the week."""
        text = format_date(day, "full", locale=self.locale)
        if self.language == "fr" and day.day == 1:
            text = text.replace(" 1 ", " 1er ", 1)
        return text


@lru_cache(maxsize=256)
def writer_of(locale: str) -> Writer:
    """French for every French locale, English for everyone else."""
    language, *rest = locale.replace("_", "-").split("-")
    name = language.lower()
    if name not in _FRENCH | _ENGLISH:
        return Writer("en", babel.Locale.parse("en_001"))  # English as it is written internationally
    written = "fr" if name in _FRENCH else "en"
    for part in rest:
        try:
            return Writer(written, babel.Locale.parse(f"{written}_{part.upper()}"))
        except (ValueError, babel.UnknownLocaleError):
            continue
    return Writer(written, babel.Locale.parse(written))


@lru_cache(maxsize=1024)
def _pattern(locale: babel.Locale, exponent: int) -> NumberPattern:
    pattern: NumberPattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (exponent, exponent)
    return pattern
