"""Measured: the fold in bare aiokafka. `python -m workers.bench.sellers.bare TOPIC GROUP CHANGELOG COUNT`.

getmany, a dict, the touched keys of a batch sent to a changelog and acknowledged, then the offsets committed.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from workers.bench.sellers.fold import Counts, decode, fold, pack
from workers.settings import Settings

_BATCH: Final = 4_000  # as many as ours takes at once; with 1,000 it is a quarter slower
_SEND_BYTES: Final = 256 * 1024


async def run(topic: str, group: str, changelog: str, count: int) -> dict[str, float]:
    """Seconds from the first batch in hand until all `count` records are folded and committed."""
    client = Settings.read().kafka().client()
    consumer = AIOKafkaConsumer(topic, **client, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(**client, acks="all", max_batch_size=_SEND_BYTES)
    await producer.start()
    await consumer.start()
    table: dict[bytes, Counts] = {}
    started, began_cpu, taken, batches = 0.0, 0.0, 0, 0
    while taken < count:
        found = await consumer.getmany(timeout_ms=250, max_records=_BATCH)
        if not found:
            continue
        if not started:
            started, began_cpu = time.monotonic(), time.process_time()
        touched: dict[int, dict[bytes, Counts]] = {}
        for place, records in found.items():
            changed = touched.setdefault(place.partition, {})
            for record in records:
                key = record.key
                changed[key] = table[key] = fold(table.get(key) or Counts(), decode(record.value))
            taken += len(records)
        await _send(producer, changelog, touched)
        await consumer.commit()
        batches += 1
    seconds, cpu_s = time.monotonic() - started, time.process_time() - began_cpu
    await consumer.stop()
    await producer.stop()
    return {"seconds": seconds, "cpu_s": cpu_s, "sends": batches}


async def _send(producer: Any, topic: str, touched: Mapping[int, Mapping[bytes, Counts]]) -> None:
    pending = []
    for partition, changed in touched.items():
        pending += [await producer.send_batch(one, topic, partition=partition) for one in _filled(producer, changed)]
    await asyncio.gather(*pending)


def _filled(producer: Any, changed: Mapping[bytes, Counts]) -> Iterable[Any]:
    batch = producer.create_batch()
    for key, counts in changed.items():
        value = pack(counts)
        if batch.append(key=key, value=value, timestamp=None) is None:
            yield batch
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    yield batch


def main() -> None:
    """Measure."""
    topic, group, changelog, count = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(run(topic, group, changelog, int(count)))
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
