"""Everything Annul needs around it, for as long as a block lasts."""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from workers.local import home, reaper
from workers.local.home import StackFolder
from workers.local.kafka import LocalKafka
from workers.local.postgres import LocalPostgres
from workers.local.processes import Supervisor

log = structlog.get_logger()

_ENDING_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


class LocalStack:
    """Kafka and PostgreSQL (those not given), a supervisor for processes, and a folder for their data.

    Leaving the block ends all of them and deletes the data, after Ctrl-C and SIGTERM too: the block then sees
    CancelledError. The logs stay with `keep`, or when the block fails; `logs` then says where.
    """

    def __init__(
        self,
        kind: str = "stack",
        *,
        kafka_bootstrap: str = "",
        database_url: str = "",
        postgres_settings: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> None:
        self.bootstrap = kafka_bootstrap
        self.dsn = database_url
        self.kafka: LocalKafka | None = None
        self.postgres: LocalPostgres | None = None
        self.logs: Path | None = None
        self._kind = kind
        self._postgres_settings = postgres_settings
        self._keep_logs = keep
        self._handled: list[signal.Signals] = []

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(home.sweep_stale)
        self.folder = StackFolder.create(self._kind)
        self.supervisor = Supervisor(self.folder)
        self._handle_signals()
        try:
            await self._start()
        except BaseException as error:
            await self._end(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end(error)

    async def _start(self) -> None:
        starts: list[Coroutine[Any, Any, None]] = []
        if not self.bootstrap:
            self.kafka = LocalKafka(self.folder)
            self.bootstrap = self.kafka.bootstrap
            starts.append(self.kafka.start())
        if not self.dsn:
            self.postgres = LocalPostgres(self.folder, settings=self._postgres_settings)
            self.dsn = self.postgres.dsn
            starts.append(self.postgres.start())
        # Both to their end, also when one fails: a half-started process is not left alone.
        for outcome in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        self.folder.state.kafka_bootstrap = self.bootstrap
        self.folder.state.database_url = self.dsn
        self.folder.save()

    async def _end(self, error: BaseException | None) -> None:
        # Failures leave their logs; Ctrl-C is no failure.
        keep_logs = self._keep_logs or isinstance(error, Exception)
        with _deaf_to_ctrl_c():
            try:
                await _to_the_end(self._clean_up(keep_logs=keep_logs))
            finally:
                self._leave_signals()
        if self.logs and error:
            error.add_note(f"the logs of the local stack are in {self.logs}")

    async def _clean_up(self, *, keep_logs: bool) -> None:
        stops: list[Coroutine[Any, Any, None]] = []
        if self.kafka:
            stops.append(self.kafka.stop(discard=True))
        if self.postgres:
            stops.append(self.postgres.stop(discard=True))
        # First those who still have something to finish with the other two.
        outcomes = [
            *await asyncio.gather(self.supervisor.stop(), return_exceptions=True),
            *await asyncio.gather(*stops, return_exceptions=True),
        ]
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                log.error("stack.stop_failed", folder=str(self.folder.path), exc_info=outcome)
        await asyncio.to_thread(reaper.end_all, self.folder.path, self.folder.state.children)
        self.logs = await asyncio.to_thread(self.folder.remove, keep_logs=keep_logs)
        if self.logs:
            log.info("stack.logs_kept", folder=str(self.logs))

    def _handle_signals(self) -> None:
        """SIGTERM and a closed terminal cancel the block's task, unless the program has its own way with them."""
        task = asyncio.current_task()
        if task is None or threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING_SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                asyncio.get_running_loop().add_signal_handler(number, self._interrupt, task, number)
                self._handled.append(number)

    def _interrupt(self, task: asyncio.Task[Any], number: signal.Signals) -> None:
        if task.cancel():
            return
        # Entered by a task that has ended, as a test's fixture is: nobody is left to tell.
        self._leave_signals()
        signal.raise_signal(number)

    def _leave_signals(self) -> None:
        while self._handled:
            asyncio.get_running_loop().remove_signal_handler(self._handled.pop())


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await it whole; a cancellation that comes meanwhile is raised afterwards."""
    task = asyncio.ensure_future(work)
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            interruption = error
    task.result()
    if interruption:
        raise interruption


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A second Ctrl-C would end the event loop, and with it the cleaning up; that is bounded in time as it is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
