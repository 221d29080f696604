"""What the benchmarks share: a stack of their own, measured processes, offsets set back."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import IO, Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from workers.local.stack import LocalStack

_LONGEST_S: Final = 1_800.0
_COMPLAINT_BYTES: Final = 4_000
_LINE_BYTES: Final = 1_048_576  # a profile's text is one line of JSON


@asynccontextmanager
async def bench_stack() -> AsyncIterator[LocalStack]:
    """Kafka and PostgreSQL for as long as the block lasts; settings of this process lead there."""
    async with LocalStack("bench") as stack:
        os.environ.update(
            ANNUL_KAFKA_BOOTSTRAP_SERVERS=stack.bootstrap,
            ANNUL_DATABASE_URL=stack.dsn,
            ANNUL_TOPIC_REPLICATION_FACTOR="1",
        )
        yield stack


async def measure(
    module: str,
    *arguments: str,
    environment: Mapping[str, str] = MappingProxyType({}),
    python: str = sys.executable,
) -> dict[str, Any]:
    """Run a measured process and give what it prints as a line of JSON.

    Raises RuntimeError where it fails, with what it complained of last; TimeoutError where it takes longer than half an
    hour. What it says otherwise on standard error is a library's and of no use.
    """
    with tempfile.TemporaryFile() as complaints:
        line, code = await _run((python, "-m", module, *arguments), environment, complaints)
        complaints.seek(-min(complaints.tell(), _COMPLAINT_BYTES), os.SEEK_END)
        told = complaints.read().decode(errors="replace")
    if code or not line:
        raise RuntimeError(f"the measured process {' '.join((module, *arguments))!r} ended with {code}:\n{told}")
    measured: dict[str, Any] = json.loads(line)
    return measured


async def _run(command: Sequence[str], environment: Mapping[str, str], complaints: IO[bytes]) -> tuple[bytes, int]:
    """The first line that it prints and that is an object, and its exit code."""
    child = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=complaints,
        limit=_LINE_BYTES,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(_LONGEST_S):
            line = await _told(child.stdout)
            await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return line, child.returncode or 0


async def _told(output: asyncio.StreamReader) -> bytes:
    """What a library says before is passed over."""
    async for line in output:
        if line.startswith(b"{"):
            return line
    return b""


async def rewind(bootstrap: str, topic: str, *groups: str) -> None:
    """These groups read the topic from its beginning again."""
    for group in groups:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            await consumer._client.set_topics([topic])  # noqa: SLF001 - without joining the group
            numbers = consumer.partitions_for_topic(topic) or set()
            places = [TopicPartition(topic, number) for number in numbers]
            consumer.assign(places)
            await consumer.commit(dict.fromkeys(places, 0))
        finally:
            await consumer.stop()
