"""Sending what was decided, until Kafka has it."""

from collections.abc import Sequence

import structlog

from workers.pipeline.ports import BrokerError, Clock, Outgoing, Producer

log = structlog.get_logger()
_LONGEST_WAIT_S = 5.0


class Emitter:
    """Sends messages again and again until all are acknowledged; each may arrive more than once, under one id."""

    def __init__(self, producer: Producer, clock: Clock) -> None:
        self._producer = producer
        self._clock = clock

    async def connect(self) -> None:
        """Returns once Kafka answers."""
        wait_s = 0.2
        while True:
            try:
                await self._producer.start()
            except BrokerError as error:
                log.warning("producer.start_delayed", error=str(error)[:200])
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                return

    async def emit(self, messages: Sequence[Outgoing]) -> None:
        """Returns once every message is acknowledged. Ends only so, or by cancellation."""
        wait_s = 0.1
        while messages:
            try:
                await self._producer.send_all(messages)
            except BrokerError as error:
                log.warning("messages.emit_delayed", count=len(messages), error=str(error)[:200])
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                return

    async def close(self) -> None:
        """Disconnect."""
        await self._producer.stop()
