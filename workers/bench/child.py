"""One measured process: `python -m workers.bench.child annul|bare COUNT`. Prints one line of JSON.

Both read the same topic with the same client and end when the last offset is committed. The clock runs from the first
batch in hand to the last commit, so that starting up counts for neither.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer

from schemas.topics import ORDERS_EVENTS
from workers.cancellations import Cancellations
from workers.settings import Settings
from workers.telemetry import Metrics
from workers.wiring import Process

BARE_GROUP = "bench.bare"
_BARE_BATCH = 1_000


class _Stopwatch(Metrics):
    """Runs from the first batch until `count` messages are sent and committed."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count
        self.batches = 0
        self.started = 0.0
        self.ended = asyncio.Event()
        self.seconds = 0.0

    def batch(self, worker: str, seconds: float) -> None:
        super().batch(worker, seconds)
        self.batches += 1
        self.started = self.started or time.monotonic() - seconds

    def messages(self, worker: str, labels: Sequence[tuple[str, str, str]], emitted: int) -> None:
        super().messages(worker, labels, emitted)
        self.left -= len(labels)
        if self.left <= 0:
            self.seconds = time.monotonic() - self.started
            self.ended.set()


async def run_annul(count: int) -> dict[str, float]:
    """The real worker: decide, record, send, commit."""
    process = Process(Settings.read())
    watch = process.metrics = _Stopwatch(count)
    pipeline = process.pipeline(Cancellations(process.policy))
    running = asyncio.create_task(pipeline.run())
    ended = asyncio.create_task(watch.ended.wait())
    await asyncio.wait((running, ended), return_when=asyncio.FIRST_COMPLETED)
    pipeline.stop()
    await running
    await process.close()
    return {"seconds": watch.seconds, "batches": watch.batches}


async def run_bare(count: int) -> dict[str, float]:
    """What one would write first: getmany, COPY, commit. It decides nothing and sends nothing."""
    settings = Settings.read()
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS bare (topic text, partition int, record_offset bigint, value bytea)"
    )
    consumer = AIOKafkaConsumer(
        ORDERS_EVENTS.name,
        **settings.kafka().client(),
        group_id=BARE_GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    started, taken, batches = 0.0, 0, 0
    while taken < count:
        found = await consumer.getmany(timeout_ms=250, max_records=_BARE_BATCH)
        rows = [(r.topic, r.partition, r.offset, r.value) for batch in found.values() for r in batch]
        if not rows:
            continue
        started = started or time.monotonic()
        await connection.copy_records_to_table("bare", records=rows)
        await consumer.commit()
        taken += len(rows)
        batches += 1
    seconds = time.monotonic() - started
    await consumer.stop()
    await connection.close()
    return {"seconds": seconds, "batches": batches}


def main() -> None:
    """Measure one kind."""
    kind, count = sys.argv[1], int(sys.argv[2])
    work = {"annul": run_annul, "bare": run_bare}[kind](count)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.write(json.dumps(runner.run(work)) + "\n")


if __name__ == "__main__":
    main()
