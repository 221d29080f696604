"""What the processes that share the table tell each other: the share of each partition in the others' average.

Each owner writes its partitions' shares to PostgreSQL and reads all of them, about once a second. Who took a process
for dead too early is overwritten by the owner, which compares what stands there with what it has.
"""

from typing import Any, Final

import msgspec

from workers.domain.averages import Others
from workers.sellers.held import Held
from workers.store.database import Database

Parts = list[tuple[int, int, int]]
pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(Parts).decode


def others_of(rows: list[Any], partitions: int) -> Others | None:
    """All sellers together from the rows of `read_shares`; None while a partition's share is missing."""
    return Others(_unpack(row["share"]) for row in rows) if len(rows) == partitions else None


class Shares:
    """All shares as last read, with our own as they are now."""

    def __init__(self, database: Database, process: str) -> None:
        self._database = database
        self._process = process
        self.others: Others | None = None
        """None until the shares of all partitions are known; who settles a seller changes it."""
        self.caught_up = False
        """Whether they hold all that was decided before partitions came to their owners."""

    def forget(self) -> None:
        """Partitions came here: what their owner before said of them isn't what was restored."""
        self.others, self.caught_up = None, False

    async def exchange(self, held: Held) -> None:
        """Write what differs, read all. Errors that pass by themselves are the caller's to wait for."""
        shards, partitions = held.shards, held.partitions
        rows = await self._database.fetch("read_shares", partitions)
        found = {row["partition"]: (bytes(row["share"]), row["caught_up"]) for row in rows}
        ours = {number: (pack(shard.share.parts()), shard.caught_up) for number, shard in shards.items()}
        differing = [number for number, share in ours.items() if found.get(number) != share]
        if differing:
            await self._database.execute(
                "write_shares",
                differing,
                [ours[number][0] for number in differing],
                [len(shards[number].rows) for number in differing],
                [ours[number][1] for number in differing],
                self._process,
            )
            # Sellers may have been settled meanwhile.
            ours = {number: (pack(shard.share.parts()), shard.caught_up) for number, shard in shards.items()}
        found.update(ours)
        if len(found) == partitions and held.shards is shards:
            self.others = Others(_unpack(share) for share, _ in found.values())
            self.caught_up = all(caught_up for _, caught_up in found.values())
