"""What this process holds of the table: the partitions that are here now."""

from workers.domain.statistics import Told
from workers.pipeline.kafka import partition_of
from workers.pipeline.ports import Clock
from workers.sellers.shard import Shard


class Held:
    """Partitions come and go all at once: `shards` is replaced, never changed."""

    def __init__(self, clock: Clock, partitions: int) -> None:
        self._clock = clock
        self.shards: dict[int, Shard] = {}
        self.partitions = partitions
        """How many the topic has in all."""
        self.taken_at = clock.monotonic()
        """When they came; names a take-over."""
        self.times_let_go = 0

    def take(self, shards: dict[int, Shard]) -> None:
        """These are here from now on."""
        self.shards = shards
        self.taken_at = self._clock.monotonic()

    def let_go(self) -> None:
        """None is here any more."""
        self.shards = {}
        self.times_let_go += 1

    def shard_of(self, seller_id: str) -> Shard | None:
        """Where a seller belongs; None where that is another process's."""
        return self.shards.get(partition_of(seller_id.encode(), self.partitions))

    def has(self, seller_id: str) -> bool:
        """Whether a seller is ours."""
        return self.shard_of(seller_id) is not None

    def told(self, seller_id: str) -> Told | None:
        """What the last row of a seller of ours said."""
        shard = self.shard_of(seller_id)
        known = shard.known(seller_id) if shard is not None else None
        return known.told if known is not None else None
