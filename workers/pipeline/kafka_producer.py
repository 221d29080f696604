"""Sending to Kafka, by aiokafka."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.partitioner import murmur2

from workers.pipeline.kafka_settings import KafkaSettings
from workers.pipeline.ports import BrokerError, Outgoing

log = structlog.get_logger()

_SEND_BATCH_BYTES = 256 * 1024
_REQUEST_BYTES = 4 * 1_048_576
_SEND_S = 30.0
_GIVE_UP_S = 5.0


class KafkaProducer:
    """An idempotent producer that fills whole batches a partition and is made anew when it got stuck."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: Any = None
        self._connecting = asyncio.Lock()

    async def start(self) -> None:
        """Connect."""
        await self._ready()

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        """Send and wait for every acknowledgement. Many may send at a time; those of one call stay in order."""
        producer = await self._ready()
        try:
            # An idempotent producer of aiokafka's never says that it can't: it tries until it went through.
            async with asyncio.timeout(_SEND_S):
                pending = await self._send(producer, records)
                ends = await asyncio.gather(*pending, return_exceptions=True)
        except (KafkaError, TimeoutError) as error:
            ends = [error]
        failed = [end for end in ends if isinstance(end, BaseException)]
        if failed:
            # A producer whose sequence is out of step stays so: a new one starts a new sequence.
            await self._give_up(producer)
            raise BrokerError(f"{type(failed[0]).__name__}: {failed[0]}")

    async def _ready(self) -> Any:
        async with self._connecting:
            if self._producer is None:
                made = AIOKafkaProducer(
                    **self._settings.client(),
                    enable_idempotence=True,
                    acks="all",
                    max_batch_size=_SEND_BATCH_BYTES,
                    max_request_size=_REQUEST_BYTES,
                    request_timeout_ms=20_000,
                )
                try:
                    await made.start()
                except KafkaError as error:
                    await made.stop()
                    raise BrokerError(str(error)) from error
                self._producer = made
            return self._producer

    async def _send(self, producer: Any, records: Sequence[Outgoing]) -> list[asyncio.Future[Any]]:
        prefix = self._settings.topic_prefix
        pending = []
        counts = {name: await _partitions(producer, prefix + name) for name in {record.topic for record in records}}
        open_batches: dict[tuple[str, int], Any] = {}
        for record in records:
            topic = prefix + record.topic
            partition = partition_of(record.key, counts[record.topic])
            place = (topic, partition)
            batch = open_batches.get(place) or producer.create_batch()
            if not self._append(batch, record):
                pending.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                if not self._append(batch, record):
                    raise ValueError(f"a record for {topic} is too large to send")
            open_batches[place] = batch
        pending += [
            await producer.send_batch(batch, topic, partition=partition)
            for (topic, partition), batch in open_batches.items()
        ]
        return pending

    @staticmethod
    def _append(batch: Any, record: Outgoing) -> bool:
        return batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers) is not None

    async def _give_up(self, stuck: Any) -> None:
        if self._producer is not stuck:
            return  # another sender was here before
        self._producer = None
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                await stuck.stop()
        except Exception as error:  # noqa: BLE001 - a producer out of step ends in any way
            log.warning("producer.stop_failed", error=type(error).__name__)
            await self._cut_off(stuck)

    @staticmethod
    async def _cut_off(stuck: Any) -> None:
        """It waits for what it can't send, and would go on trying; who else waits for it must be told."""
        with suppress(Exception):
            await stuck.client.close()
        with suppress(Exception):
            stuck._message_accumulator.fail_all(KafkaConnectionError("the producer was given up"))  # noqa: SLF001
        with suppress(Exception):
            await stuck._sender.close()  # noqa: SLF001


async def _partitions(producer: Any, topic: str) -> int:
    known = producer.client.cluster.partitions_for_topic(topic)
    if known is None:
        known = await producer.partitions_for(topic)
    return len(known)


@lru_cache(maxsize=65_536)
def partition_of(key: bytes | None, partitions: int) -> int:
    """The partition that Java's default partitioner gives a key; the first for none."""
    if key is None:
        return 0
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions
