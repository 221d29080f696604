"""Showing a stranger's bytes without what may be personal: names of fields, ids, times, amounts and codes remain.

A string is shown only under a field name of our own schemas, free text excepted, and only where it looks like an id or
a time. Everything else is told by its length alone: who needs it asks for the raw bytes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from schemas.topics import CATALOGUE

MOST_SHOWN_BYTES: Final = 256 * 1024
_FREE_TEXT: Final = frozenset({"reason", "message"})
_ENVELOPE: Final = frozenset({"specversion", "id", "source", "type", "time", "datacontenttype", "traceparent"})
_LINE: Final = 16
_SPACE: Final = 0x20
_DELETE: Final = 0x7F
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/+-]{1,128}\Z")
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}\Z")
_HEADER: Final = re.compile(r"[A-Za-z0-9_.:/+;= -]{1,300}\Z")
_KNOWN_HEADERS: Final = re.compile(r"(ce_(specversion|id|source|type|time)|content-type|traceparent|annul_[a-z_]+)\Z")


def shown_key(key: bytes | None) -> str | None:
    """A record's key where it is an id; None where it is not, or there is none."""
    text = _text(key)
    return text if text is not None and _PLAIN.match(text) else None


def shown_headers(headers: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """Each header's name, its size, and its value where it is one that we know the sense of."""
    return [
        {
            "name": name if _PLAIN.match(name) else _hidden(name),
            "bytes": len(raw or b""),
            "value": _shown_header(name, raw),
        }
        for name, raw in headers
    ]


def shown_value(value: bytes | None) -> Any:
    """A record's JSON with masks; None where it isn't JSON, or too large to look through."""
    text = _text(value) if value is not None and len(value) <= MOST_SHOWN_BYTES else None
    if text is None:
        return None
    try:
        return _masked(json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_Number), "")
    except (ValueError, RecursionError):
        return None


def shown_bytes(value: bytes, most: int) -> list[tuple[str, str, str]]:
    """Offset, hex and text of the first `most` bytes, sixteen a line. Letters and digits are masked, whatever the
    alphabet: what is left is the shape, and every byte that is no text at all.
    """
    start = value[:most]
    masks = _letters(start)
    lines = []
    for at in range(0, len(start), _LINE):
        part = range(at, min(at + _LINE, len(start)))
        code = " ".join("··" if masks[place] else f"{start[place]:02x}" for place in part)
        lines.append((f"{at:06x}", code, "".join(_sign(start[place], hidden=masks[place]) for place in part)))
    return lines


def _letters(raw: bytes) -> list[bool]:
    """Of each byte, whether it is part of a letter or digit."""
    masks: list[bool] = []
    for sign in raw.decode(errors="surrogateescape"):
        stray = "\udc80" <= sign <= "\udcff"
        masks += [sign.isalnum() or (not stray and not sign.isascii())] * (1 if stray else len(sign.encode()))
    return masks


def _sign(byte: int, *, hidden: bool) -> str:
    return "·" if hidden else chr(byte) if _SPACE <= byte < _DELETE else "."


class _Number(str):
    """A number as it was written: no digit is lost or made up."""

    __slots__ = ()


def _masked(part: Any, name: str) -> Any:
    if isinstance(part, dict):
        return {key if _PLAIN.match(key) else _hidden(key): _masked(value, key) for key, value in part.items()}
    if isinstance(part, list):
        return [_masked(one, name) for one in part]
    if part is None or isinstance(part, bool):
        return part
    if name not in _known_names() or not _PLAIN.match(part):
        return _hidden(part)
    if isinstance(part, _Number):
        return int(part) if _INTEGER.match(part) else str(part)
    return part


def _hidden(text: str) -> str:
    return f"*** {len(text)} characters"


def _shown_header(name: str, raw: bytes | None) -> str | None:
    text = _text(raw)
    if text is None or not _KNOWN_HEADERS.match(name.lower()) or not _HEADER.match(text):
        return None
    return text


def _text(raw: bytes | None) -> str | None:
    try:
        return raw.decode() if raw is not None else None
    except UnicodeDecodeError:
        return None


@cache
def _known_names() -> frozenset[str]:
    names = frozenset(name for topic in CATALOGUE for kind in topic.types.values() for name in _names_in(kind))
    return _ENVELOPE | names - _FREE_TEXT


def _names_in(kind: type[msgspec.Struct]) -> Iterator[str]:
    info = msgspec.inspect.type_info(kind)
    waiting: list[Any] = [info]
    while waiting:
        part = waiting.pop()
        if isinstance(part, msgspec.inspect.StructType):
            for field in part.fields:
                yield field.encode_name
                waiting.append(field.type)
        elif isinstance(part, msgspec.inspect.UnionType):
            waiting += part.types
        elif isinstance(part, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
            waiting.append(part.item_type)
