"""Measured: the plain faust agent. `python -m workers.bench.sellers.faust_agent TOPIC GROUP FOLDER COUNT`.

As faust's documentation has it: one event at a time, the table written by each, all else as it is by default. Two
things are in its favour: values are packed, not made JSON, and it is started without faust's command line, whose
logging costs it a third.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

import faust

from workers.bench.sellers.fold import Counts, decode, fold, pack, unpack
from workers.insight.topic_reader import committed_offsets
from workers.settings import Settings


class Agent:
    """The agent in its app; `folded` is set once the last event is."""

    def __init__(self, settings: Settings, topic: str, group: str, folder: str, count: int) -> None:
        servers = settings.kafka_bootstrap_servers.split(",")
        self.app: Any = faust.App(
            group,
            broker=[f"kafka://{server}" for server in servers],
            web_enabled=False,
            datadir=folder,
            topic_partitions=settings.topic_partitions,
        )
        self.folded = asyncio.Event()
        self.started = self.began_cpu = 0.0
        nothing = pack(Counts())
        table = self.app.Table("counts", key_type=bytes, value_type=bytes, default=lambda: nothing)

        @self.app.agent(self.app.topic(topic, key_type=bytes, value_type=bytes, value_serializer="raw"))
        async def follow(stream: Any) -> None:
            left = count
            async for key, value in stream.items():
                if not self.started:
                    self.started, self.began_cpu = time.monotonic(), time.process_time()
                table[key] = pack(fold(unpack(table[key]), decode(value)))
                left -= 1
                if not left:
                    self.folded.set()


async def run(topic: str, group: str, folder: str, count: int) -> dict[str, float]:
    """From the first event in hand until all are folded and committed."""
    settings = Settings.read()
    agent = Agent(settings, topic, group, folder, count)
    await agent.app.start()
    await agent.folded.wait()
    # Committing at once is in its favour too: by itself it does so every 2.8 s.
    while sum((await committed_offsets(settings, group, topic)).values()) < count:
        await agent.app.producer.flush()
        await agent.app.consumer.commit()
    return {"seconds": time.monotonic() - agent.started, "cpu_s": time.process_time() - agent.began_cpu}


async def _measure() -> None:
    topic, group, folder, count = sys.argv[1:]
    sys.stdout.write(json.dumps(await run(topic, group, folder, int(count))) + "\n")
    sys.stdout.flush()
    os._exit(0)  # nothing is left to do, and faust takes its time


if __name__ == "__main__":
    asyncio.run(_measure())
