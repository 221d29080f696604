"""What the pipeline needs of the world: a broker, a clock. Real ones and simulated ones fill these alike."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

import msgspec

T = TypeVar("T")


class Partition(NamedTuple):
    """A partition of a topic, by the topic's full name."""

    topic: str
    partition: int


class Record(msgspec.Struct, frozen=True):
    """A record as it lies in Kafka."""

    source: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Outgoing(msgspec.Struct, frozen=True, array_like=True):
    """A record to be sent, as bytes. `topic` is the name without prefix."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class BrokerError(Exception):
    """The broker can't do it now; the same call may go through later."""


class Consumer(Protocol):
    """One member of a consumer group."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def renew(self) -> None:
        """Stop, even where that can't be done in order, and start anew. Raises BrokerError; then it is not started."""
        ...

    async def poll(self, max_records: int, timeout_s: float, among: frozenset[Partition]) -> list[Record]:
        """Records of some of the assigned partitions, in order; where `among` is empty it only waits.

        Raises BrokerError. Several may poll at a time, each for partitions of its own.
        """
        ...

    def assignment(self) -> frozenset[Partition]: ...
    def joined(self) -> bool:
        """Whether the group has dealt its partitions, be it none to this member; not while it deals them anew."""
        ...

    async def answers(self) -> bool:
        """Whether the broker tells others what this member should know: the ends of its partitions, its coordinator."""
        ...

    def seek(self, partition: Partition, offset: int) -> None: ...
    async def committed(self, partition: Partition) -> int | None: ...
    async def beginning(self, partition: Partition) -> int: ...
    async def ends(self) -> Mapping[Partition, int]:
        """The end offset of each assigned partition that may have something left to read."""
        ...

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """True once committed; False where this member no longer owns a partition."""
        ...

    async def topic_id(self, topic: str) -> str:
        """The id under which the topic was made; another one once it was made anew."""
        ...


class Producer(Protocol):
    """Sends records; idempotent, in order per key."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send_all(self, records: Sequence[Outgoing]) -> None:
        """Returns once all are acknowledged; raises `BrokerError` if any may be missing."""
        ...


class Clock(Protocol):
    """Time for waiting. What is decided takes its time from the database, which all processes share."""

    def monotonic(self) -> float: ...
    def now(self) -> datetime:
        """The time to write on what was seen outside; decisions take the database's."""
        ...

    async def sleep(self, seconds: float) -> None: ...
    async def wait_for(self, awaitable: Awaitable[T], timeout_s: float) -> T:
        """Raises TimeoutError."""
        ...


def by_partition(records: Iterable[Record]) -> dict[Partition, int]:
    """The offset after the last record of each partition."""
    return {record.source: record.offset + 1 for record in records}
