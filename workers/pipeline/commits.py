"""Telling Kafka how far a group is. PostgreSQL's offset decides, so that may come late; but it must come."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from workers.pipeline.ports import BrokerError, Clock, Consumer, Partition
from workers.pipeline.record import Recorder

log = structlog.get_logger()
_AGAIN_AFTER_S: Final = 1.0


class Commits:
    """Commits, and commits later what could not be: with no message to follow, the group would seem to lag for good."""

    def __init__(self, group: str, consumer: Consumer, recorder: Recorder, clock: Clock) -> None:
        self._group = group
        self._consumer = consumer
        self._recorder = recorder
        self._clock = clock
        self._owed: dict[Partition, int] = {}
        self._one_at_a_time = asyncio.Lock()

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Of messages that are sent."""
        async with self._one_at_a_time:
            self._owed.update(offsets)
            try:
                ours = self._consumer.assignment()
                # What went to another member is for that one to tell. Of what is new the broker itself says so.
                due = {place: offset for place, offset in self._owed.items() if place in ours or place in offsets}
                done = not due or await self._consumer.commit(due)
            except BrokerError as error:
                log.warning("offsets.commit_delayed", group=self._group, error=str(error)[:200])
                return
            if done:
                self._recorder.note_committed(due)
                self._owed.clear()

    async def catch_up(self) -> None:
        """Until cancelled: commit again what could not be."""
        while True:
            await self._clock.sleep(_AGAIN_AFTER_S)
            if self._owed:
                await self.commit({})

    def forget(self, place: Partition) -> None:
        """It was taken over, and Kafka was told of that."""
        self._owed.pop(place, None)
