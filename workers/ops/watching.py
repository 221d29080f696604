"""Watches the consumers for the dashboard: a look at Kafka every few seconds, a sample a minute, news to who listens.

What was seen last is kept while Kafka is away, with the time it is from; nobody takes it for the present.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from workers.insight.consumers import GroupsReader, KafkaAwayError
from workers.insight.overview import Figures, keep_sample, read_figures
from workers.insight.pace import GroupNow, Pace
from workers.ops.asking import AwayError, Reader
from workers.settings import Settings

log = structlog.get_logger()
LOOK_EVERY_S: Final = 5.0
MOST_LISTENERS: Final = 50
_FRESH_S: Final = 1.0
"""Pages that are drawn within it share one reading of PostgreSQL."""
_SHARE: Final = 0.02
"""Of one connection's time that is spent on what everybody asks for."""
_LONGEST_S: Final = 30.0


def kept_for(took_s: float, least_s: float) -> float:
    """How long what took so long to read is kept, in seconds: half a minute at most.

    Where much stands open it is read more rarely, so that who looks at an outage doesn't make it worse; and still often
    enough that nobody's alerts lose sight of it.
    """
    return min(max(least_s, took_s / _SHARE), _LONGEST_S)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the consumers."""

    at: datetime | None = None
    """When Kafka last told; None: not yet."""
    away_since: datetime | None = None
    """Since when it doesn't answer; None: it does."""
    fault: str = ""
    groups: dict[str, GroupNow] = {}

    @property
    def known(self) -> bool:
        """Whether the groups are as they are now."""
        return self.at is not None and self.away_since is None

    def lag_s(self) -> dict[str, float | None] | None:
        """How long messages wait, by worker; None where Kafka is away."""
        return {worker: group.lag_s for worker, group in self.groups.items()} if self.known else None


class TooManyError(Exception):
    """Nobody else may listen."""


class Watch:
    """One a process."""

    def __init__(
        self,
        settings: Settings,
        reader: Reader,
        *,
        every_s: float = LOOK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seen = Seen()
        self._clock = clock
        self._groups = GroupsReader(settings)
        self._reader = reader
        self._every_s = every_s
        self._pace = Pace()
        self._news = asyncio.Event()
        self._listeners = 0
        self._closed = False
        self._minute: datetime | None = None
        self._figures: Figures | None = None
        self._fresh_until_s = 0.0
        self._reading = asyncio.Lock()

    # ---------------------------------------------------------------- looking

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self.look()
                await self._sample()
                await asyncio.sleep(self._every_s)
        finally:
            await self._groups.close()

    async def look(self) -> None:
        """Ask Kafka once, and tell whoever listens."""
        try:
            look = await self._groups.look()
        except KafkaAwayError as error:
            self._miss(str(error))
        except Exception as error:
            # Whatever it is, old figures must not pass for new ones.
            log.exception("ops.look_failed", error=type(error).__name__)
            self._miss(type(error).__name__)
        else:
            if self.seen.away_since is not None:
                log.info("ops.kafka_back")
            self.seen = Seen(at=look.at, groups=self._pace.take(look))
        self._tell()

    def _miss(self, fault: str) -> None:
        if self.seen.away_since is None:
            log.warning("ops.kafka_away", error=fault)
        since = self.seen.away_since or datetime.now(UTC)
        self.seen = msgspec.structs.replace(self.seen, away_since=since, fault=fault)

    async def _sample(self) -> None:
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        if minute == self._minute:
            return
        try:
            figures = await self.figures()
            async with self._reader.transaction() as connection:
                await keep_sample(connection, figures, self.seen.lag_s())
        except AwayError as error:
            log.warning("ops.sample_delayed", error=str(error))
        except Exception as error:
            # A minute is missing; the looks go on.
            log.exception("ops.sample_failed", error=type(error).__name__)
        else:
            self._minute = minute

    # ---------------------------------------------------------------- telling

    async def figures(self) -> Figures:
        """What PostgreSQL knows, as old as `kept_for` allows. Raises AwayError."""
        async with self._reading:
            began_s = self._clock()
            if self._figures is None or began_s > self._fresh_until_s:
                async with self._reader.snapshot() as connection:
                    self._figures = await read_figures(connection)
                ended_s = self._clock()
                self._fresh_until_s = ended_s + kept_for(ended_s - began_s, _FRESH_S)
            return self._figures

    def forget(self) -> None:
        """Something was changed here: what was read before is not shown any more."""
        self._figures = None

    def listen(self) -> "Listening":
        """A stream of news; to be left with `leave`. Raises TooManyError."""
        if self._listeners >= MOST_LISTENERS or self._closed:
            raise TooManyError
        self._listeners += 1
        return Listening(self)

    def left(self) -> None:
        """Somebody listens no more."""
        self._listeners -= 1

    async def next_look(self) -> bool:
        """Wait until Kafka was asked once more; False where there is no more to come."""
        if not self._closed:
            await self._news.wait()
        return not self._closed

    def close(self) -> None:
        """Let everybody go who listens."""
        self._closed = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Listening:
    """One listener's place. Given back once, when the stream ends or was never begun."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._leave: Callable[[], None] | None = watch.left

    def leave(self) -> None:
        """Give the place back."""
        if self._leave is not None:
            leave, self._leave = self._leave, None
            leave()

    async def looks(self) -> AsyncIterator[dict[str, str]]:
        """An event each time Kafka was asked."""
        try:
            while await self._watch.next_look():
                yield {"event": "look", "data": f"{datetime.now(UTC):%H:%M:%S}"}
        finally:
            self.leave()
