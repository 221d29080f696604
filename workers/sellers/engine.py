"""faust as this worker uses it: a table that is restored from its changelog, and a stream of batches.

faust does what is hard to do well: members, partitions, the changelog and its recovery. What it does for every single
record is done for a batch instead (`faust_parts`). No other module knows that there is faust.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import faust
import structlog
from faust.types.tuples import TP

from schemas.topics import SELLERS_OUTCOMES
from workers.consumers import STATISTICS_TABLE
from workers.pipeline.kafka_settings import KafkaSettings
from workers.pipeline.ports import Partition, Record
from workers.sellers.faust_parts import App, BatchConsumer, Parts, Records, Table

log = structlog.get_logger()
_FETCHED: Final = 4_000
"""Records that are taken at once, at most."""
_WAITING: Final = 4
"""Batches that wait for the fold, at most."""
_STOP_S: Final = 6.0


class Engine:
    """The table and its stream. `fold` is given the records of one partition, in order.

    `recovered` is told which partitions are here, once their part of the table is restored, and `revoked` before they
    may go.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        group: str,
        *,
        partitions: int,
        replication_factor: int,
        fold: Callable[[int, list[Record]], Awaitable[None]],
        recovered: Callable[[frozenset[int]], Awaitable[None]],
        revoked: Callable[[], Awaitable[None]],
    ) -> None:
        self._topic = kafka.topic_prefix + SELLERS_OUTCOMES.name
        self._fold = fold
        self._recovered = recovered
        self._app = _app_of(kafka, group, partitions, replication_factor)
        # Set before the transport makes its consumer.
        self._app.transport.Consumer = BatchConsumer
        self._app.before_revoked = revoked
        self._table = self._app.tables.add(
            Table(
                self._app,
                self._taken,
                name=STATISTICS_TABLE,
                partitions=partitions,
                schema=Records(),
                extra_topic_configs=kafka.no_late_records(),
            )
        )
        self.changelog = str(self._table.changelog_topic_name).removeprefix(kafka.topic_prefix)
        """The changelog's topic, without the prefix of all topics."""
        topic = self._app.topic(self._topic, schema=Records())
        self._app.agent(topic, name="fold")(self._follow)

    @property
    def parts(self) -> Parts:
        """What the table holds, by partition: this worker writes it, and faust while it restores."""
        parts: Parts = self._table.data.parts
        return parts

    async def start(self) -> None:
        """Join; returns before the table is restored."""
        self._app.finalize()
        await self._app.start()

    async def ended(self) -> BaseException | None:
        """Returns once faust stopped by itself, with the reason."""
        await self._app.wait_until_stopped()
        reason: BaseException | None = self._app.crash_reason
        return reason

    async def stop(self) -> None:
        """Leave."""
        await asyncio.wait_for(self._app.stop(), _STOP_S)

    def partitions(self) -> int:
        """How many partitions the outcomes have."""
        # faust's own answer is for the group's leader only.
        consumer = self._app.consumer._thread._ensure_consumer()  # noqa: SLF001 - faust's own way to aiokafka's consumer
        found: set[int] | None = consumer.partitions_for_topic(self._topic)
        assert found, "asked before there is an assignment"
        return len(found)

    def rejoin(self) -> None:
        """Ask for a new assignment: this process stood still, and others may have its partitions."""
        thread = self._app.consumer._thread  # noqa: SLF001 - faust's own way to aiokafka's consumer
        coordinator = thread._ensure_consumer()._coordinator  # noqa: SLF001
        thread.thread_loop.call_soon_threadsafe(coordinator.request_rejoin)

    async def commit(self, done: Mapping[int, int]) -> None:
        """Everything before these offsets is folded, sent and in the changelog."""
        consumer = self._app.consumer
        for number, offset in done.items():
            consumer.done[TP(self._topic, number)] = offset
        await consumer.commit()

    async def _follow(self, stream: Any) -> None:
        async for event in stream.events():
            await self._fold(event.message.partition, event.value)

    async def _taken(self, changelogs: Iterable[TP]) -> None:
        await self._recovered(frozenset(place.partition for place in changelogs))


def record_of(raw: Any) -> Record:
    """A record as the pipeline knows it."""
    return Record(Partition(raw.topic, raw.partition), raw.offset, raw.key, raw.value, raw.headers)


def _app_of(kafka: KafkaSettings, group: str, partitions: int, replication_factor: int) -> Any:
    return App(
        group,
        broker=[f"kafka://{server}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=_credentials(kafka),
        broker_session_timeout=kafka.session_timeout_s,
        broker_heartbeat_interval=kafka.session_timeout_s / 4,
        broker_commit_interval=0.5,
        broker_max_poll_records=_FETCHED,
        store="memory://",
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{group}.{kafka.instance_id}" if kafka.instance_id else None,
        consumer_max_fetch_size=4 * 1_048_576,
        table_standby_replicas=0,
        topic_partitions=partitions,
        topic_replication_factor=replication_factor,
        topic_disable_leader=True,
        topic_allow_declare=True,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=_WAITING,
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
