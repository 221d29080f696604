"""Folding the records of a partition into what is known of its sellers."""

from collections.abc import Sequence
from typing import Final

import structlog

from schemas.base import Fault
from schemas.sellers import SellerOutcome
from schemas.topics import SELLERS_OUTCOMES
from workers.pipeline.kafka import partition_of
from workers.pipeline.messages import Incoming, Unreadable, read
from workers.pipeline.parking import park, park_alone
from workers.pipeline.ports import Clock, Outgoing, Record
from workers.sellers.asking import Asking
from workers.sellers.shard import Shard
from workers.sellers.snapshots import read_latest

log = structlog.get_logger()
_TOPIC: Final = SELLERS_OUTCOMES.name
Label = tuple[str, str, str]


class Folder:
    """Folds, and collects what is to be sent besides: parked copies, and outcomes that lay in a wrong partition."""

    def __init__(self, group: str, asking: Asking, clock: Clock) -> None:
        self._group = group
        self._asking = asking
        self._clock = clock
        self._decoders = SELLERS_OUTCOMES.decoders()
        self.aside: list[Outgoing] = []
        self.labels: list[Label] = []
        """Topic, message type and what became of each record, for counting."""

    async def fold(self, shard: Shard, records: Sequence[Record], partitions: int) -> None:
        """Fold records in their order; the sellers of whom outcomes are missing are read from PostgreSQL at the end."""
        gaps: dict[str, list[Incoming]] = {}
        touch = shard.touch
        for record in records:
            message = read(record, self._decoders)
            if isinstance(message, Unreadable):
                await self._park(message, message.fault, "decode")
                continue
            outcome: SellerOutcome = message.data
            seller_id = outcome.seller_id
            if partition_of(seller_id.encode(), partitions) != shard.number:
                self._send_on(record, seller_id)
                continue
            folded = touch(seller_id).fold(outcome)
            if folded == "gap":
                gaps.setdefault(seller_id, []).append(message)
            else:
                self.labels.append((_TOPIC, "seller.outcome", folded))
        if gaps:
            await self._heal(shard, gaps)

    async def _heal(self, shard: Shard, gaps: dict[str, list[Incoming]]) -> None:
        latest = await read_latest(self._asking, gaps, self._clock.now().toordinal())
        for seller_id, messages in gaps.items():
            found = latest.get(seller_id)
            known = shard.touch(seller_id)
            if found is not None and found.seq >= known.seq:
                shard.replace(seller_id, found)
            seq = max(found.seq if found is not None else 0, known.seq)
            for message in messages:
                if message.data.seq > seq:
                    fault = Fault("unknown_outcome", "seq", "no such outcome of this seller was decided")
                    await self._park(message, fault, "decide")
                else:
                    self.labels.append((_TOPIC, "seller.outcome", "healed"))
        log.info("statistics.snapshots_taken", sellers=len(gaps))

    def _send_on(self, record: Record, seller_id: str) -> None:
        """Whoever sent it chose the partition otherwise than we do; one process must fold all of a seller."""
        headers = [(name, value) for name, value in record.headers if value is not None]
        self.aside.append(Outgoing(_TOPIC, seller_id.encode(), record.value, headers))
        self.labels.append((_TOPIC, "seller.outcome", "sent_on"))

    async def _park(self, message: Incoming | Unreadable, fault: Fault, stage: str) -> None:
        parked = park(message, fault, stage)
        copy = await self._asking.until(lambda: park_alone(self._asking.database, self._group, parked))
        self.aside.append(copy)
        self.labels.append((_TOPIC, "seller.outcome" if stage == "decide" else "unreadable", "parked"))

    def take_labels(self) -> list[Label]:
        """What was counted since, before the sellers that it was counted of are settled: never ahead of their rows."""
        labels, self.labels = self.labels, []
        return labels

    def take_aside(self) -> list[Outgoing]:
        """What was collected since, once offsets are taken that lie behind it."""
        aside, self.aside = self.aside, []
        return aside
