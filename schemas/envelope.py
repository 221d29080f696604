"""CloudEvents 1.0 in the Kafka protocol binding: binary mode out, binary and structured mode in."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from schemas.base import Fault, Message, encode, fault_of

Headers = Sequence[tuple[str, bytes]]

SOURCE: Final = "/annul"
JSON: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
MAX_VALUE_BYTES: Final = 256 * 1024
_MAX_HEADER_BYTES: Final = 1024
_READ: Final = frozenset({"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"})
_TRACES: Final = frozenset({"ce_traceparent", "traceparent"})
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")


class Envelope(msgspec.Struct, frozen=True):
    """What a CloudEvent says of itself beside its data."""

    id: str
    source: str
    type: str
    time: str | None
    traceparent: str | None


class _Structured(msgspec.Struct, frozen=True):
    specversion: str
    id: str
    source: str
    type: str
    time: str | None = None
    datacontenttype: str | None = None
    traceparent: Any = None
    data: msgspec.Raw = msgspec.Raw()  # no union: msgspec takes `Raw | None` for null alone
    data_base64: str | None = None


_structured = msgspec.json.Decoder(_Structured)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def open_record(value: bytes | None, headers: Headers) -> tuple[Envelope, bytes]:
    """Read a record's envelope in either mode; gives it and the data's JSON bytes.

    Raises `Fault`: `tombstone`, `too_large`, `bad_envelope`, `malformed_json`, `missing_field`, `invalid_field`.
    """
    if value is None:
        raise Fault("tombstone", "value", "the record has no value")
    if len(value) > MAX_VALUE_BYTES:
        raise Fault("too_large", "value", f"{len(value)} bytes, at most {MAX_VALUE_BYTES}")
    known = _named(headers)
    declared = known.get("content-type", "")
    if declared not in ("", JSON):
        content_type = _media_type(declared)
        if content_type == STRUCTURED:
            return _open_structured(value)
        if content_type not in ("", JSON):
            raise Fault("bad_envelope", "content-type", f"neither {JSON} nor {STRUCTURED}")
    get = known.get
    trace = get("ce_traceparent") or get("traceparent")
    return _check(get("ce_specversion"), get("ce_id"), get("ce_source"), get("ce_type"), get("ce_time"), trace), value


def decode_data(kinds: Mapping[str, msgspec.json.Decoder[Any]], envelope: Envelope, data: bytes) -> Any:
    """Decode the data of a message whose type must be one of `kinds`.

    Raises `Fault`: `unknown_type`, `malformed_json`, `missing_field`, `invalid_field`.
    """
    decoder = kinds.get(envelope.type)
    if decoder is None:
        raise Fault("unknown_type", "ce_type", "not a type of this topic")
    try:
        message = decoder.decode(data)
        message.check()
    except (UnicodeDecodeError, RecursionError):
        raise Fault("malformed_json", "value", "not JSON in UTF-8 of a sensible depth") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise fault_of(error) from None
    return message


def decoders(kinds: Mapping[str, type[Message]]) -> dict[str, msgspec.json.Decoder[Any]]:
    """One decoder a message type."""
    return {name: msgspec.json.Decoder(kind) for name, kind in kinds.items()}


def headers_of(type_: str, id_: str, time: datetime, traceparent: str | None = None) -> list[tuple[str, bytes]]:
    """Binary-mode headers of a message that Annul emits."""
    headers = [
        _SPECVERSION,
        ("ce_id", id_.encode()),
        _SOURCE,
        ("ce_type", type_.encode()),
        ("ce_time", _stamp(time)),
        _CONTENT_TYPE,
    ]
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return headers


_SPECVERSION: Final = ("ce_specversion", b"1.0")
_SOURCE: Final = ("ce_source", SOURCE.encode())
_CONTENT_TYPE: Final = ("content-type", JSON.encode())


@lru_cache(maxsize=64)
def _stamp(time: datetime) -> bytes:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()


def structured_value(type_: str, id_: str, source: str, time: datetime, data: Message) -> bytes:
    """A structured-mode value, as other services may send it."""
    return encode(
        {
            "specversion": "1.0",
            "id": id_,
            "source": source,
            "type": type_,
            "time": time,
            "datacontenttype": JSON,
            "data": data,
        }
    )


def _named(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    known: dict[str, str] = {}
    for written, raw in headers:
        name = written if written in _READ else written.lower()
        if name in _READ:
            if raw is None or len(raw) > _MAX_HEADER_BYTES:
                raise Fault("bad_envelope", name, f"empty or over {_MAX_HEADER_BYTES} bytes")
            try:
                known[name] = raw.decode()
            except UnicodeDecodeError:
                raise Fault("bad_envelope", name, "not UTF-8") from None
        elif name in _TRACES:
            known[name] = (raw or b"")[:_MAX_HEADER_BYTES].decode(errors="replace")
    return known


def _media_type(value: str | None) -> str:
    return (value or "").partition(";")[0].strip().lower()


def _open_structured(value: bytes) -> tuple[Envelope, bytes]:
    try:
        event = _structured.decode(value)
    except msgspec.MsgspecError as error:
        raise fault_of(error) from None
    except (UnicodeDecodeError, RecursionError):
        raise Fault("malformed_json", "value", "not JSON in UTF-8 of a sensible depth") from None
    if _media_type(event.datacontenttype) not in ("", JSON):
        raise Fault("bad_envelope", "datacontenttype", f"not {JSON}")
    envelope = _check(event.specversion, event.id, event.source, event.type, event.time, event.traceparent, prefix="")
    if (data := bytes(event.data)) not in (b"", b"null"):
        return envelope, data
    if event.data_base64 is None:
        raise Fault("missing_field", "data", "a structured event without data")
    try:
        return envelope, base64.b64decode(event.data_base64, validate=True)
    except (binascii.Error, ValueError):
        raise Fault("bad_envelope", "data_base64", "not base64") from None


def _check(
    specversion: str | None,
    event_id: str | None,
    source: str | None,
    type_: str | None,
    time: str | None,
    trace: Any,
    *,
    prefix: str = "ce_",
) -> Envelope:
    if not specversion or not event_id or not source or not type_:
        given = (("specversion", specversion), ("id", event_id), ("source", source), ("type", type_))
        raise Fault("bad_envelope", prefix + next(name for name, value in given if not value), "missing")
    if specversion != "1.0":
        raise Fault("bad_envelope", f"{prefix}specversion", "not 1.0")
    if not _ID.match(event_id):
        raise Fault("bad_envelope", f"{prefix}id", "not 1-64 characters of A-Z a-z 0-9 _ . : -")
    if time is not None and not _is_time(time):
        raise Fault("bad_envelope", f"{prefix}time", "not a time of RFC 3339")
    if trace is not None and not (isinstance(trace, str) and _TRACEPARENT.match(trace)):
        trace = None  # a broken trace is no reason to hold up money
    return Envelope(event_id, source, type_, time, trace)


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
