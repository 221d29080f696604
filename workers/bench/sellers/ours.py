"""Measured: the worker `sellers`, whole. `python -m workers.bench.sellers.ours COUNT [profile]`."""

import asyncio
import cProfile
import io
import json
import pstats
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import uvloop

from schemas.topics import SELLERS_OUTCOMES
from workers.consumers import group_of
from workers.insight.topic_reader import committed_offsets
from workers.sellers.fold import Folder
from workers.settings import Settings
from workers.telemetry import Metrics
from workers.wiring import WORKERS, Process

_LOOK_S: Final = 0.01
_PROFILED: Final = 25


class _Stopwatch(Metrics):
    """Runs from the first batch in hand until `count` messages are folded, sent and committed."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count
        self.sends = self.rows = 0
        self.started = self.began_cpu = 0.0
        self.measured: dict[str, float] = {}
        self.ended = asyncio.Event()
        self._wait_for_the_first_batch()

    def messages(self, worker: str, labels: Sequence[tuple[str, str, str]], emitted: int) -> None:
        super().messages(worker, labels, emitted)
        self.left -= len(labels)
        self.sends += 1
        self.rows += emitted
        if self.left <= 0 and not self.measured:
            self.take()
            self.ended.set()

    def take(self) -> None:
        """It is now that all is done."""
        self.measured = {
            "seconds": time.monotonic() - self.started,
            "cpu_s": time.process_time() - self.began_cpu,
            "sends": self.sends,
            "rows": self.rows,
        }

    def _wait_for_the_first_batch(self) -> None:
        fold = Folder.fold

        async def first(*arguments: Any) -> None:
            self.started, self.began_cpu = time.monotonic(), time.process_time()
            setattr(Folder, "fold", fold)  # noqa: B010 - a method can't be assigned otherwise
            await fold(*arguments)

        setattr(Folder, "fold", first)  # noqa: B010


async def run(count: int) -> dict[str, float]:
    """The real worker, as wired."""
    settings = Settings.read()
    process = Process(settings)
    watch = process.metrics = _Stopwatch(count)
    worker = WORKERS["sellers"](process)
    running = asyncio.create_task(worker.run())
    ended = asyncio.create_task(watch.ended.wait())
    await asyncio.wait((running, ended), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    topic, group = settings.topic_prefix + SELLERS_OUTCOMES.name, group_of(worker.name, settings.topic_prefix)
    while sum((await committed_offsets(settings, group, topic)).values()) < count:
        await asyncio.sleep(_LOOK_S)  # a commit that failed is made up for by the next
        watch.take()
    worker.stop()
    await running
    await process.close()
    return watch.measured


def main() -> None:
    """Measure; with a profile, tell as well where the main thread spends its time."""
    count, profiled = int(sys.argv[1]), len(sys.argv) > 2  # noqa: PLR2004 - the one word more
    profile = cProfile.Profile()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured: dict[str, Any] = (
            dict(profile.runcall(runner.run, run(count))) if profiled else dict(runner.run(run(count)))
        )
    if profiled:
        told = io.StringIO()
        pstats.Stats(profile, stream=told).sort_stats("tottime").print_stats(_PROFILED)
        measured["profile"] = [line.rstrip() for line in told.getvalue().splitlines() if line.strip()]
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
