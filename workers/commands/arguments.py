"""What arguments of several commands have in common."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

import typer

from workers.settings import SettingsError

MOST: Final = 10_000
"""Rows that a command shows or acts on at most."""

AsJson = Annotated[bool, typer.Option("--json", help="one line of JSON")]
By = Annotated[str | None, typer.Option("--by", help="who does it; the system's user if not given", metavar="NAME")]


class Refunder(StrEnum):
    """A provider that can be asked for what it refunded."""

    CARD = "card"
    PAYPAL = "paypal"


def moment_of(option: str, text: str | None) -> datetime | None:
    """A day or a time, in UTC where it doesn't say. Raises SettingsError."""
    if text is None:
        return None
    from workers.insight.reading import named  # noqa: PLC0415

    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        what = f"{named(text)} is not a time such as 2026-11-23 or 2026-11-23T09:15:00Z"
        raise SettingsError(f"{option}: {what}") from None


def duration_of(text: str) -> timedelta:
    """ISO 8601, or a number with s, m, h, d or w. Raises SettingsError."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from workers.insight.reading import named  # noqa: PLC0415

    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    number, unit = text[:-1], units.get(text[-1:])
    try:
        if unit is not None and number.isdecimal():
            return timedelta(**{unit: int(number)})
        if text.startswith("P"):
            return TypeAdapter(timedelta).validate_python(text)
    except (OverflowError, ValidationError):
        pass
    raise SettingsError(f"--since: {named(text)} is not a duration such as 30m, 2h, 7d or PT30M")
