"""Worker `sellers`: a faust table of every seller's counts, folded from numbered outcomes, sent on as statistics.

faust carries, PostgreSQL decides: an outcome is a repeat, the next one, or shows that some are missing, and then the
seller's counts are read from PostgreSQL. So the table comes right whatever is lost or repeated on the way.
"""

import asyncio
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust
import msgspec
import structlog

from schemas.base import Fault
from schemas.sellers import SellerOutcome
from schemas.topics import SELLERS_OUTCOMES, SELLERS_STATISTICS
from workers.consumers import group_of
from workers.domain.emission import emission
from workers.domain.statistics import Counts, fold, statistics_of
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka_settings import KafkaSettings
from workers.pipeline.messages import Incoming, Unreadable, outgoing, read
from workers.pipeline.parking import park, park_alone
from workers.pipeline.ports import Clock, Outgoing, Partition, Record
from workers.pipeline.watchdog import EXIT_STUCK
from workers.store.database import Database, is_passing
from workers.telemetry import Metrics

log = structlog.get_logger()
_BATCH = 1000
_WITHIN_S = 0.05

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Counts).decode


class Sellers:
    """The faust app and the fold, as a worker like the others."""

    name = "sellers"

    def __init__(
        self,
        kafka: KafkaSettings,
        database: Database,
        emitter: Emitter,
        clock: Clock,
        metrics: Metrics,
        *,
        partitions: int,
        replication_factor: int,
    ) -> None:
        self._database = database
        self._emitter = emitter
        self._clock = clock
        self._metrics = metrics
        self._decoders = SELLERS_OUTCOMES.decoders()
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self.group = group_of(self.name, kafka.topic_prefix)
        self._app = _app_of(kafka, self.group, partitions, replication_factor)
        self._table: Any = self._app.Table(
            "statistics",
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
            # A batch is folded outside of faust's own iteration, so the key alone must say the partition.
            use_partitioner=True,
        )
        topic = self._app.topic(
            kafka.topic_prefix + SELLERS_OUTCOMES.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )
        self._app.agent(topic, name="fold")(self._follow)

    def stop(self) -> None:
        """Take nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`; raises where faust gave up."""
        # faust gives up where Kafka can't be reached at its start; the other workers wait, and so does this one.
        await self._emitter.connect()
        self._app.finalize()
        await self._app.start()
        self.ready.set()
        stopping = asyncio.create_task(self._stopping.wait())
        ended = asyncio.create_task(self._app.wait_until_stopped())
        try:
            await asyncio.wait((stopping, ended), return_when=asyncio.FIRST_COMPLETED)
            if not self._stopping.is_set():
                raise RuntimeError("faust stopped by itself") from self._app.crash_reason
        finally:
            stopping.cancel()
            await asyncio.wait_for(self._app.stop(), 8)
            ended.cancel()

    async def _follow(self, stream: Any) -> None:
        # faust acknowledges what an agent was given even where it fails; nothing may leave this loop but the process.
        async for events in stream.take_events(_BATCH, within=_WITHIN_S):
            try:
                await self._fold_batch([_record_of(event.message) for event in events])
            except Exception as error:
                log.critical("statistics.fold_failed", error=type(error).__name__, exc_info=True)
                os._exit(EXIT_STUCK)

    async def _fold_batch(self, records: Sequence[Record]) -> None:
        parked: list[Outgoing] = []
        touched: dict[str, Counts] = {}
        for record in records:
            message = read(record, self._decoders)
            if isinstance(message, Unreadable):
                parked.append(await self._park(message, message.fault))
                continue
            outcome: SellerOutcome = message.data
            counts = touched.get(outcome.seller_id) or self._counts(outcome.seller_id)
            after = fold(counts, outcome)
            if after is None:
                after = await self._snapshot(outcome.seller_id)
                if outcome.seq > after.seq:
                    fault = Fault("unknown_outcome", "seq", "no such outcome of this seller was decided")
                    parked.append(await self._park(message, fault))
            touched[outcome.seller_id] = after
        now = self._clock.now()
        for seller_id, counts in touched.items():
            key = seller_id.encode()
            packed = _pack(counts)
            if self._table.get(key) != packed:
                self._table[key] = packed
        told = [
            # A repeat is told again: its first telling may have been lost with the process that decided it.
            outgoing(
                emission(
                    SELLERS_STATISTICS,
                    seller_id,
                    "seller.statistics",
                    statistics_of(seller_id, counts, now),
                    now,
                    seller_id,
                    str(counts.seq),
                    now.isoformat(),  # the same counts told again later are another message
                ),
                None,
            )
            for seller_id, counts in touched.items()
            if counts.seq
        ]
        await self._emitter.emit([*told, *parked])
        await self._app.producer.flush()
        self._metrics.messages(
            self.name, [(SELLERS_OUTCOMES.name, "seller.outcome", "applied")] * len(records), len(told)
        )

    def _counts(self, seller_id: str) -> Counts:
        packed = self._table.get(seller_id.encode())
        return _unpack(packed) if packed else Counts()

    async def _snapshot(self, seller_id: str) -> Counts:
        """A seller's counts as PostgreSQL has them, with their seq, read in one statement."""
        rows = await self._patiently("read_seller_counts", seller_id)
        log.info("statistics.snapshot_taken", seq=rows[0]["seq"])
        return Counts(**rows[0])

    async def _park(self, message: Incoming | Unreadable, fault: Fault) -> Outgoing:
        stage = "decode" if isinstance(message, Unreadable) else "decide"
        parked = park(message, fault, stage)
        copy: Outgoing = await self._retried(lambda: park_alone(self._database, self.group, parked))
        return copy

    async def _patiently(self, query: str, *arguments: Any) -> list[Any]:
        rows: list[Any] = await self._retried(lambda: self._database.fetch(query, *arguments))
        return rows

    async def _retried(self, attempt: Any) -> Any:
        wait_s = 0.1
        while True:
            try:
                return await attempt()
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("statistics.delayed", error=type(error).__name__)
                await self._clock.sleep(wait_s * (0.5 + random.random()))  # noqa: S311 - spreads retries, no secret
                wait_s = min(wait_s * 2, 5.0)


def _record_of(message: Any) -> Record:
    headers = message.headers
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    return Record(Partition(message.topic, message.partition), message.offset, message.key, message.value, tuple(pairs))


def _app_of(kafka: KafkaSettings, group: str, partitions: int, replication_factor: int) -> Any:
    return faust.App(
        group,
        broker=[f"kafka://{server}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=_credentials(kafka),
        broker_session_timeout=kafka.session_timeout_s,
        broker_heartbeat_interval=kafka.session_timeout_s / 4,
        broker_commit_interval=0.5,
        store="memory://",
        # faust makes a folder even for a table in memory.
        datadir=Path(tempfile.gettempdir()) / f"annul-sellers-{os.getpid()}",
        key_serializer="raw",
        value_serializer="raw",
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{group}.{kafka.instance_id}" if kafka.instance_id else None,
        topic_partitions=partitions,
        topic_replication_factor=replication_factor,
        topic_disable_leader=True,
        topic_allow_declare=True,
        web_enabled=False,
        stream_wait_empty=False,
        producer_acks=-1,
        autodiscover=False,
    )


def _credentials(kafka: KafkaSettings) -> Any:
    context = kafka.ssl_context()
    if kafka.sasl_mechanism is not None:
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password,
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None
