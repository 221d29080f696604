"""A message on its way: what came in, what was decided of it, what goes out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import asyncpg
import msgspec

from schemas.base import Fault, encode
from schemas.envelope import Envelope, decode_data, headers_of, open_record
from schemas.topics import Topic
from workers.domain.emission import Emission
from workers.pipeline.ports import Outgoing, Record

Connection = asyncpg.pool.PoolConnectionProxy
"""A connection inside the batch's transaction."""


class Incoming(msgspec.Struct, frozen=True):
    """A record that could be read."""

    record: Record
    envelope: Envelope
    data: Any


class Unreadable(msgspec.Struct, frozen=True):
    """A record that could not."""

    record: Record
    envelope: Envelope | None
    fault: Fault


class Verdict(msgspec.Struct, frozen=True):
    """What was decided of one message: what it causes, whether a person must look, and what to do outside."""

    label: str
    emissions: Sequence[Emission] = ()
    fault: Fault | None = None
    effect: Any = None


class Handler(Protocol):
    """One worker's part of the way: load, decide and record a batch, inside the batch's transaction."""

    name: str
    topics: tuple[Topic, ...]
    reads_ahead: bool
    """Whether the next batch may be read before this one is decided; not where `room` depends on it."""

    async def record(self, connection: Any, batch: Sequence[Incoming], now: Any) -> Sequence[Verdict]:
        """One verdict a message, in order. Locks before it loads."""
        ...

    async def room(self) -> int:
        """Waits until something can be taken, and says how many messages.

        0: nothing for now, because of something outside; ask again after a moment. Waiting for long would keep the
        pipeline from its other duties, and look as if it were stuck.
        """
        ...

    def perform(self, effects: Iterable[Any]) -> None:
        """Start what was decided to be done outside, now that it is recorded."""
        ...

    async def drain(self, within_s: float) -> None:
        """Bring what was started to its end, or give it up."""
        ...


def read(record: Record, kinds: Mapping[str, msgspec.json.Decoder[Any]]) -> Incoming | Unreadable:
    """Decode a record; a record that can't be decoded is told, never raised."""
    envelope = None
    try:
        envelope, data = open_record(record.value, record.headers)
        return Incoming(record, envelope, decode_data(kinds, envelope, data))
    except Fault as fault:
        return Unreadable(record, envelope, fault)


def outgoing(emission: Emission, traceparent: str | None) -> Outgoing:
    """The bytes of a message."""
    return Outgoing(
        emission.topic,
        emission.key.encode(),
        encode(emission.data),
        headers_of(emission.type, emission.id, emission.time, traceparent),
    )


_packer = msgspec.msgpack.Encoder()
_unpack_many = msgspec.msgpack.Decoder(list[Outgoing])
_unpack_one = msgspec.msgpack.Decoder(Outgoing)
_unpack_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


def pack(what: Outgoing | Sequence[Outgoing] | Sequence[tuple[str, bytes]]) -> bytes:
    """For keeping in PostgreSQL."""
    return _packer.encode(what)


def unpack_many(raw: bytes) -> list[Outgoing]:
    """The messages of a recorded batch."""
    return _unpack_many.decode(raw)


def unpack_one(raw: bytes) -> Outgoing:
    """A scheduled message."""
    return _unpack_one.decode(raw)


def unpack_headers(raw: bytes) -> list[tuple[str, bytes]]:
    """The headers of a parked record."""
    return _unpack_headers.decode(raw)
