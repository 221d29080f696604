"""Field types shared by all messages, and how a fault in one is told.

A fault names the field by its path, for example ``escrow.tenders[1].refunded_minor``.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec

from schemas.currencies import EXPONENTS

# `$` also matches before a final line feed in Python; the look-ahead shuts that door and means nothing elsewhere.
_ID_PATTERN: Final = r"^[A-Za-z0-9_.:-]{1,64}$(?!\n)"

Id = Annotated[str, msgspec.Meta(pattern=_ID_PATTERN, description="1-64 characters of A-Z a-z 0-9 _ . : -")]
IdempotencyKey = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:-]{1,108}$(?!\n)")]
MAX_MINOR: Final = 10**15
Minor = Annotated[int, msgspec.Meta(ge=0, le=MAX_MINOR, description="an amount in the currency's minor unit")]
PositiveMinor = Annotated[int, msgspec.Meta(gt=0, le=MAX_MINOR, description="an amount in the minor unit, not zero")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Ordinal = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Time = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339, UTC")]
Locale = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$(?!\n)")]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="ISO 4217")]
ShortText = Annotated[str, msgspec.Meta(max_length=500)]
Code = Annotated[str, msgspec.Meta(max_length=128)]
ProviderName = Literal["wallet", "paypal", "card"]

_EARLIEST_YEAR: Final = 2000
_LATEST_YEAR: Final = 2100
_NO_OFFSET: Final = timedelta(0)
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
_NAMED = re.compile(r"`([A-Za-z_]+)`")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything that crosses a topic. Unknown fields are ignored on reading."""

    def check(self) -> None:
        """Check what a type annotation can't say; done once, when a message is read.

        Raises ValueError that names the field in back-ticks; decoding turns it into a `Fault`.
        """
        for name in time_fields(type(self)):
            value = getattr(self, name)
            if value is None:
                continue
            if (
                value.tzinfo is not UTC and value.utcoffset() != _NO_OFFSET
            ) or not _EARLIEST_YEAR <= value.year < _LATEST_YEAR:
                raise ValueError(f"`{name}` must be in UTC and between {_EARLIEST_YEAR} and {_LATEST_YEAR}")
        currency = getattr(self, "currency", None)
        if currency is not None:
            check_currency(currency)
        for value in self._within():
            value.check()

    def _within(self) -> Iterable["Message"]:
        """Messages within this one whose fields nothing else has checked."""
        return ()


def check_currency(code: str) -> None:
    """Raises ValueError for a currency that is unknown."""
    if code not in EXPONENTS:
        raise ValueError("`currency` is not a currency of ISO 4217 with exponent 0, 2 or 3")


_times: dict[type, tuple[str, ...]] = {}


def time_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Names of the fields of a message type that hold a time."""
    found = _times.get(kind)
    if found is None:
        info = msgspec.inspect.type_info(kind)
        assert isinstance(info, msgspec.inspect.StructType)
        found = tuple(field.name for field in info.fields if _holds_time(field.type))
        _times[kind] = found
    return found


def _holds_time(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.Metadata):  # what an annotation's description is wrapped in
        return _holds_time(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(_holds_time(part) for part in kind.types)
    return isinstance(kind, msgspec.inspect.DateTimeType)


class Fault(Exception):
    """Why a message can't be taken: a stable code, the field at fault and a sentence without the field's content."""

    def __init__(self, reason: str, field: str, detail: str) -> None:
        super().__init__(f"{reason}: {field}: {detail}")
        self.reason = reason
        self.field = field
        self.detail = detail


def fault_of(error: msgspec.MsgspecError | ValueError, root: str = "value") -> Fault:
    """Turn a decoding error into a `Fault`; `root` names the whole where no single field is at fault."""
    text = str(error)
    if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
        return Fault("malformed_json", root, text[:200])
    path = ""
    if found := _PATH.search(text):
        path = found.group(1)
        text = text[: found.start()]
    if text.startswith(("Object missing required field", "`")):
        named = _NAMED.search(text)
        assert named is not None
        path = f"{path}.{named.group(1)}" if path else named.group(1)
    reason = "missing_field" if text.startswith("Object missing") else "invalid_field"
    # msgspec quotes the content only for enumerations; content may be personal, so it stays out.
    if text.startswith("Invalid enum value"):
        text = "not one of the allowed values"
    return Fault(reason, path or root, text[:200])


def encode(message: Any) -> bytes:
    """JSON of a message, UTF-8."""
    return _encoder.encode(message)


_encoder = msgspec.json.Encoder()
