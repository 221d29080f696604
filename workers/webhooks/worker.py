"""Worker `webhooks`: the door and the translator side by side in one process."""

import asyncio

from workers.pipeline.run import Pipeline
from workers.webhooks.door import Door


class Webhooks:
    """Ready when both are; where one ends, the other is stopped."""

    name = "webhooks"

    def __init__(self, door: Door, translator: Pipeline) -> None:
        self._parts = (door, translator)
        self.ready = asyncio.Event()

    def stop(self) -> None:
        """Take nothing more, at the door or from Kafka."""
        for part in self._parts:
            part.stop()

    async def run(self) -> None:
        """Until `stop`; raises what ended a part."""
        runs = [asyncio.create_task(part.run()) for part in self._parts]
        telling = asyncio.create_task(self._tell_ready())
        try:
            await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED)
            self.stop()
            await asyncio.wait(runs)
            for ended in runs:
                ended.result()
        finally:
            for task in (*runs, telling):
                task.cancel()
            await asyncio.gather(*runs, telling, return_exceptions=True)

    async def _tell_ready(self) -> None:
        for part in self._parts:
            await part.ready.wait()
        self.ready.set()
