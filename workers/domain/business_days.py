"""When a refund shows: at once, or after five business days at the client's place (SPEC R2)."""

from datetime import date, timedelta
from functools import lru_cache

import holidays

CARD_BUSINESS_DAYS = 5
_WEEKEND = frozenset({5, 6})


def country_of(locale: str | None) -> str | None:
    """The country of a locale such as `fr-FR`; None where it names none that is known."""
    if locale is None:
        return None
    for part in locale.replace("_", "-").split("-")[1:]:
        if len(part) == 2 and part.isalpha() and part.upper() in _supported():  # noqa: PLR2004 - ISO 3166 alpha-2
            return part.upper()
    return None


@lru_cache(maxsize=4096)
def visible_by(provider: str, settled_on: date, country: str | None) -> date:
    """The day on which a refund that settled on `settled_on` shows at the latest."""
    if provider != "card":
        return settled_on
    weekend, free = _calendar(country, settled_on.year) if country else (_WEEKEND, frozenset())
    day = settled_on
    left = CARD_BUSINESS_DAYS
    while left:
        day += timedelta(days=1)
        if day.weekday() not in weekend and day not in free:
            left -= 1
    return day


@lru_cache(maxsize=256)
def _calendar(country: str, year: int) -> tuple[frozenset[int], frozenset[date]]:
    """Days of the week and dates on which banks are closed; the weekend isn't the same everywhere."""
    calendar = holidays.country_holidays(country, years=(year, year + 1))
    return frozenset(calendar.weekend), frozenset(calendar)


@lru_cache(maxsize=1)
def _supported() -> frozenset[str]:
    return frozenset(holidays.list_supported_countries())
