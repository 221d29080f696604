"""faust's parts, made to carry batches: one message of faust's for all records of a partition fetched together.

A message carries the offset of the last of them. Offsets are committed only as far as `done` says, never because
something left an agent.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import IllegalStateError, KafkaError
from faust.stores import memory
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage

log = structlog.get_logger()
Parts = dict[int, dict[bytes, bytes]]


class Records(faust.Schema[Any, Any]):
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
        if not again and not cast("BatchConsumer", self.app.consumer).away:
            await self.taken(active_tps)


class Table(faust.Table[Any, Any]):
    """A table with a store of parts. `taken` is told which parts are here, once they are restored."""

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


class BatchConsumer(driver.Consumer):
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
            if self.app.consumer_generation_id != generation:
                break  # a rebalance began; its end reads from the committed offsets again
            tp = TP(*place)
            if batch and (active is None or tp in active or tp in self._buffered_partitions):
                if self._may_give(tp):
                    yield tp, _message_of(tp, batch, generation)
                else:
                    self._put_back(tp, batch[0].offset)
        if not self.flow_active:
            try:
                await self.perform_seek()
            except KafkaError as error:
                # The end of the rebalance seeks as well.
                log.warning("statistics.seek_delayed", error=type(error).__name__)

    def _may_give(self, tp: TP) -> bool:
        """The end of a rebalance clears the queues: what was given to the stream before it would be lost."""
        return self.flow_active and (not self.app.rebalancing or self._is_changelog_tp(tp))

    def _put_back(self, tp: TP, first: int) -> None:
        """Read it again, from the committed offset where that is earlier."""
        committed = self._committed_offset[tp]
        with suppress(IllegalStateError):  # it isn't here any more
            self._thread.seek(tp, first if committed is None else min(first, committed))

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
        await cast("App", self.app).before_revoked()
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


class App(faust.App):
    """`before_revoked` is awaited while the partitions are still here."""

    before_revoked: Callable[[], Awaitable[None]]

    def _create_directories(self) -> None:
        """Nothing is kept in files."""
