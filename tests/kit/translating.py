"""A translator of webhooks at work, and what it emitted."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kit.broker import Broker
from kit.process import Process
from kit.webhooks import (
    TOPIC,
    put_event,
)
from schemas.refunds import RefundFlagged, RefundResult
from schemas.topics import CATALOGUE, PARKED, REFUNDS_DUE, REFUNDS_RESULTS
from workers.consumers import group_of
from workers.pipeline.messages import read
from workers.webhooks.translator import Translator

GROUP = group_of("webhooks")


class Desk:
    """A translator at work, and what it emitted."""

    def __init__(self, broker: Broker, process: Process, observer: Any) -> None:
        self.broker = broker
        self.process = process
        self.observer = observer

    async def take(self, *events: Any, sender: Any = "stripe") -> None:
        """One event after the other, each read before the next comes."""
        for event in events:
            put_event(self.broker, event, sender)
            await self.broker.until_read(GROUP, TOPIC)
        await self.process.client.turns()

    def results(self) -> list[RefundResult]:
        return [self._data(record, REFUNDS_RESULTS) for record in self.broker.records(REFUNDS_RESULTS.name)]

    def flags(self) -> list[RefundFlagged]:
        return [self._data(record, REFUNDS_DUE) for record in self.broker.records(REFUNDS_DUE.name)]

    def flagged(self) -> list[tuple[str, str, str]]:
        return sorted((one.order_id, one.refund_id, one.code) for one in self.flags())

    def parked(self) -> list[str]:
        return [dict(record.headers)["annul_reason"].decode() for record in self.broker.records(PARKED.name)]

    def labels(self) -> dict[str, float]:
        names = ("applied", "duplicate", "stale", "ignored", "parked")
        counted = {name: self.process.counted("annul_messages_total", label=name) for name in names}
        return {name: count for name, count in counted.items() if count}

    async def disputes(self) -> list[tuple[str, str, str, str, bool]]:
        rows = await self.observer.fetch("SELECT provider, dispute_id, reference, status, is_open FROM disputes")
        return sorted(tuple(row) for row in rows)

    @staticmethod
    def _data(record: Any, topic: Any) -> Any:
        message = read(record, topic.decoders())
        assert record.key == message.data.order_id.encode()  # type: ignore[union-attr]
        return message.data  # type: ignore[union-attr]


@pytest.fixture
async def desk(database_url: str, observer: Any) -> AsyncIterator[Desk]:
    broker = Broker([topic.name for topic in CATALOGUE], partitions=2)
    async with Process(broker, database_url) as process:
        process.pipeline(Translator(process.metrics))
        yield Desk(broker, process, observer)
