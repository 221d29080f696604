"""faust as this worker uses it: a table that is restored from its changelog, and a stream of batches.

The only module that knows faust's insides. faust does what is hard to do well: members, partitions, the changelog and
its recovery. What it does for every single record is done here for a batch: a record of faust's carries all records of
one partition that were fetched together, and the offset of the last one. Offsets are committed only as far as `done`
says, never because something left an agent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

import faust
import structlog
from aiokafka.errors import IllegalStateError, KafkaError
from faust.stores import memory
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage

from schemas.topics import SELLERS_OUTCOMES
from workers.consumers import STATISTICS_TABLE
from workers.pipeline.kafka_settings import KafkaSettings
from workers.pipeline.ports import Partition, Record

log = structlog.get_logger()
_FETCHED: Final = 4_000
"""Records that are taken at once, at most."""
_WAITING: Final = 4
"""Batches that wait for the fold, at most."""
_STOP_S: Final = 6.0

Parts = dict[int, dict[bytes, bytes]]


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
        self._app.transport.Consumer = _BatchConsumer
        self._app.before_revoked = revoked
        self._table = self._app.tables.add(
            _Table(
                self._app,
                self._taken,
                name=STATISTICS_TABLE,
                partitions=partitions,
                schema=_Records(),
                extra_topic_configs=kafka.no_late_records(),
            )
        )
        self.changelog = str(self._table.changelog_topic_name).removeprefix(kafka.topic_prefix)
        """The changelog's topic, without the prefix of all topics."""
        topic = self._app.topic(self._topic, schema=_Records())
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


class _Records(faust.Schema[Any, Any]):
    """Hands records on as they are: decoding is ours."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002
        return message.key

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002
        return message.value


class _Store(memory.Store[Any, Any]):
    """The table's values by partition, so that a part can be let go and gone over on its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.parts: Parts = {}
        self.taken: Callable[[Iterable[TP]], Awaitable[None]]

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:  # noqa: ARG002
        for event in batch:
            part = self.parts.setdefault(event.message.partition, {})
            for record in event.value:
                if record.value is None:
                    part.pop(record.key, None)
                else:
                    part[record.key] = record.value

    async def on_rebalance(self, assigned: set[TP], *_: Any) -> None:
        """What goes to another process is restored anew should it come back."""
        ours = {place.partition for place in assigned}
        for number in [number for number in self.parts if number not in ours]:
            del self.parts[number]

    async def on_recovery_completed(self, active_tps: set[TP], _standby_tps: set[TP]) -> None:
        # faust tells it though another rebalance has begun meanwhile: these may be another process's, or not restored.
        again = cast("Any", self.app.tables).recovery.signal_recovery_start.is_set()
        if not again and not cast("_BatchConsumer", self.app.consumer).away:
            await self.taken(active_tps)


class _Table(faust.Table[Any, Any]):
    def __init__(self, app: Any, taken: Callable[[Iterable[TP]], Awaitable[None]], **options: Any) -> None:
        super().__init__(app, **options)
        self._taken = taken

    def _new_store(self) -> Any:
        store = _Store("memory://", self.app, self, table_name=self.name)
        store.taken = self._taken
        return store


class _Thread(driver.AIOKafkaConsumerThread):
    """Puts back what was fetched between two assignments: dropped, it would be missing from a table's recovery."""

    async def _fetch_records(self, consumer: Any, *args: Any, **options: Any) -> Any:
        records = await super()._fetch_records(consumer, *args, **options)
        if not self.consumer.flow_active:
            for place, batch in records.items():
                with suppress(IllegalStateError):  # it isn't here any more
                    consumer.seek(place, batch[0].offset)
            return {}
        return records


class _BatchConsumer(driver.Consumer):
    """One message of faust's for all records of a partition that were fetched together."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.done: dict[TP, int] = {}
        self.away = True
        """Between the end of an assignment and the next."""

    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109 - faust's signature
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        generation = self.app.consumer_generation_id
        for place, batch in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                break  # a rebalance began; its end reads from the committed offsets again
            tp = TP(*place)
            if batch and (active is None or tp in active or tp in self._buffered_partitions):
                yield tp, _message_of(tp, batch, generation)
        if not self.flow_active:
            try:
                await self.perform_seek()
            except KafkaError as error:
                # The end of the rebalance seeks as well.
                log.warning("statistics.seek_delayed", error=type(error).__name__)

    def ack(self, message: Any) -> bool:
        """Nothing: what is done is told by `done`."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def _add_gap(self, *_: Any) -> None:
        """A batch spans offsets; nothing is missing between two of them."""

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002 - faust's signature
        """Commit what is done, of the partitions that are still here."""
        pending = {tp: offset for tp, offset in self.done.items() if offset > (self._committed_offset[tp] or 0)}
        if not pending:
            return False
        committed: bool = await self._thread.call_thread(self._commit_here, pending)
        if committed:
            self._committed_offset.update(pending)
            self.app.monitor.on_tp_commit(pending)
        return committed

    async def _commit_here(self, pending: Mapping[TP, int]) -> bool:
        """In the consumer's own thread. A commit that fails is made up for by the next, or by repeats."""
        consumer = self._thread._ensure_consumer()  # noqa: SLF001 - faust's own way to it
        assigned = self._thread.assignment()
        offsets = {driver.ensure_aiokafka_TP(tp): offset for tp, offset in pending.items() if tp in assigned}
        try:
            if offsets:
                await consumer.commit(offsets)
        except KafkaError as error:
            log.warning("statistics.commit_delayed", error=type(error).__name__)
            return False
        return True

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Before another process may take over, what is folded here is sent and committed."""
        self.away = True
        await cast("_App", self.app).before_revoked()
        self.done.clear()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """The next assignment."""
        self.away = False
        await super().on_partitions_assigned(assigned, generation_id)


def _message_of(tp: TP, batch: Sequence[Any], generation: int) -> Any:
    last = batch[-1]
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        last.offset,
        (last.timestamp or 0) / 1000,
        last.timestamp_type,
        None,
        None,
        cast("Any", batch),
        None,
        0,
        0,
        tp,
        generation_id=generation,
    )


def record_of(raw: Any) -> Record:
    """A record as the pipeline knows it."""
    return Record(Partition(raw.topic, raw.partition), raw.offset, raw.key, raw.value, raw.headers)


class _App(faust.App):
    before_revoked: Callable[[], Awaitable[None]]

    def _create_directories(self) -> None:
        """Nothing is kept in files."""


def _app_of(kafka: KafkaSettings, group: str, partitions: int, replication_factor: int) -> Any:
    return _App(
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
