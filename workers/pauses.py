"""Pauses of providers: a row that all replicas and people see. While it stands nobody calls, and one replica probes.

Each process looks at its provider's row once a second, in the background: whether it is paused is then known without
asking, and a database that is away costs no call and no result; what was known last holds until it is back.
"""

import asyncio
import re
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from workers.domain.pause import Health, Sign, decide_pause
from workers.pipeline.ports import Clock
from workers.providers.answers import CONFIGURATION_FAULTS, TOKEN_UNAVAILABLE
from workers.providers.port import Answer, Provider
from workers.store.database import Database, is_passing
from workers.store.queries import sql
from workers.telemetry import Metrics

log = structlog.get_logger()
_LOOK_EVERY_S: Final = 1.0
_FIRST_PROBE_S: Final = 1.0
"""A false alarm should cost a second, not ten."""
_CODE_CHARACTERS: Final = 128
_GIVE_UP_S: Final = 1.0

_WAKE_WITHIN: Final = timedelta(seconds=5)
_WAKE_AT_MOST: Final = 10_000
_WAKE_ATTEMPTS: Final = 6
_WAKE_UNCERTAIN_BEFORE: Final = timedelta(minutes=10)

_AWAY: Final = re.compile(
    r"connection_refused|connection_lost|timeout|http_5\d\d|" + TOKEN_UNAVAILABLE +
    # the providers' own words in an answer of 5xx
    r"|api_error|INTERNAL_SERVER_ERROR|INTERNAL_SERVICE_ERROR|SERVICE_UNAVAILABLE"
)  # fmt: skip
_UNCLEAR: Final = frozenset({"unreadable", "rate_limit", "http_429", "RATE_LIMIT_REACHED", "lease_expired"})


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's latest pause, over or not. `lasted_s`: until it ended, or until now."""

    provider: str
    paused: bool
    code: str
    detail: str | None
    paused_at: datetime
    probe_at: datetime
    probes: int
    resumed_at: datetime | None
    by_person: str | None
    """Who paused it; a probe never ends that, and `detail` is their reason. None: nobody, it failed."""
    lasted_s: float


async def read(connection: Any) -> list[Pause]:
    """The latest pause of each provider that ever had one, by name."""
    return [Pause(**row) for row in await connection.fetch(sql("read_pauses"))]


async def wake(connection: Any, provider: str, paused_at: datetime) -> int:
    """Let go on what waited for a provider since then, within the transaction that ends its pause; how many."""
    woken: int = await connection.fetchval(
        sql("wake_refunds"), provider, paused_at, _WAKE_ATTEMPTS, _WAKE_UNCERTAIN_BEFORE, _WAKE_AT_MOST, _WAKE_WITHIN
    )
    return woken


def sign_of(answer: Answer) -> Sign:
    """What an answer says of the provider itself. We ask too often (429): that is no outage, and no good sign."""
    code = answer.code or ""
    if code in CONFIGURATION_FAULTS:
        return "refuses_us"
    if _AWAY.fullmatch(code):
        return "away"
    return "unclear" if code in _UNCLEAR else "good"


class _Alarm(msgspec.Struct, frozen=True):
    """A pause that this process wants and has not recorded yet; `began_s`: since when it has seen trouble."""

    code: str
    detail: str | None
    began_s: float


class Pauses:
    """Whether one provider is paused, as far as this process knows."""

    def __init__(
        self,
        provider: Provider,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        *,
        probe_every_s: float,
        deadline_s: float,
    ) -> None:
        self._provider = provider
        self._name = provider.name
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._probe_every_s = probe_every_s
        self._deadline_s = deadline_s
        self._paused: bool | None = None
        self._resumed_s = 0.0
        """When the last pause was seen to end (monotonic); what was asked before says nothing of the time after it."""
        self._health = Health()
        self._alarm: _Alarm | None = None
        self._roused = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    @property
    def paused(self) -> bool:
        """Whether nothing is to be sent; so too while nothing is known yet."""
        return self._paused is not False

    def watch(self) -> None:
        """Begin to watch the row, once. Raises what ended the watch: an error that doesn't pass by itself."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        elif self._watching.done():
            self._watching.result()

    def note(self, answer: Answer, began_s: float) -> None:
        """The end of a call that began at `began_s` (monotonic); where it is one failure too many, a pause begins."""
        if self.paused or began_s < self._resumed_s:
            return
        self._health, too_many = decide_pause(self._health, sign_of(answer), began_s)
        if too_many:
            code = (answer.code or answer.outcome)[:_CODE_CHARACTERS]
            self._alarm = _Alarm(code, answer.detail, self._health.began_s)
            self._know(paused=True)
            self._roused.set()

    async def stop(self) -> None:
        """Watch no more; an alarm that is not recorded yet is raised by whoever calls next."""
        if self._watching is None:
            return
        self._watching.cancel()
        _, hung = await asyncio.wait((self._watching,), timeout=_GIVE_UP_S)
        if hung:
            self._database.abandon()

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("provider.pause_delayed", provider=self._name, error=type(error).__name__)
            with suppress(TimeoutError):
                await self._clock.wait_for(self._roused.wait(), _LOOK_EVERY_S)
            self._roused.clear()

    async def _look(self) -> None:
        if self._alarm is not None:
            await self._begin(self._alarm)
        rows = await self._database.fetch("read_pause", self._name)
        self._know(paused=bool(rows) or self._alarm is not None)
        if rows and rows[0]["probe_due"]:
            await self._probe()

    def _know(self, *, paused: bool) -> None:
        if self._paused and not paused:
            self._resumed_s = self._clock.monotonic()
            self._health = Health()
        self._paused = paused
        self._metrics.provider_paused(self._name, paused=paused)

    async def _begin(self, alarm: _Alarm) -> None:
        first_probe = timedelta(seconds=min(_FIRST_PROBE_S, self._probe_every_s))
        seen_for = timedelta(seconds=self._clock.monotonic() - alarm.began_s)
        rows = await self._database.fetch("begin_pause", self._name, alarm.code, alarm.detail, first_probe, seen_for)
        self._alarm = None
        if rows:
            log.warning("provider.paused", provider=self._name, code=alarm.code)

    async def _probe(self) -> None:
        # Held for as long as a probe may take, so that no two run at once.
        held = timedelta(seconds=max(self._probe_every_s, self._deadline_s))
        rows = await self._database.fetch("claim_probe", self._name, held)
        if not rows:
            return
        paused_at, claimed_at = rows[0]
        answer = await self._ask()
        if answer.outcome == "succeeded":
            await self._resume(paused_at)
            return
        code = (answer.code or answer.outcome)[:_CODE_CHARACTERS]
        every = timedelta(seconds=self._probe_every_s)
        await self._database.execute("note_probe", self._name, paused_at, claimed_at, every, code, answer.detail)

    async def _ask(self) -> Answer:
        try:
            return await self._clock.wait_for(self._provider.probe(), self._deadline_s)
        except TimeoutError:
            return Answer(outcome="uncertain", code="timeout")
        except Exception as error:  # noqa: BLE001 - a bug in a probe must not end the process, nor the pause
            log.error("provider.probe_failed", provider=self._name, error=type(error).__name__)  # noqa: TRY400
            return Answer(outcome="uncertain", code="probe_failed")

    async def _resume(self, paused_at: datetime) -> None:
        """End the pause and wake what waited, in one transaction: a crash does both or neither."""
        woken = 0
        async with self._database.transaction() as connection:
            seconds = await connection.fetchval(sql("end_pause"), self._name, paused_at)
            if seconds is not None:
                woken = await wake(connection, self._name, paused_at)
        if seconds is not None:
            self._know(paused=False)
            log.warning("provider.resumed", provider=self._name, seconds=round(seconds, 1), woken=woken)
