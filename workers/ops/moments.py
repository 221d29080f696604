"""Times that an address or a form brings."""

from datetime import UTC, datetime


def read_moment(text: str) -> datetime:
    """A time as ISO 8601 writes it; in UTC where it says how far from it it is. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    try:
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("UTC has no such time") from None
