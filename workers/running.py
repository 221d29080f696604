"""Running workers: from their start to the signal that ends them."""

import asyncio
import signal
from typing import Any, Final

import structlog

from workers.pipeline.watchdog import watch_loop
from workers.settings import Settings, SettingsError
from workers.telemetry import serve_health
from workers.wiring import WORKERS, Process

log = structlog.get_logger()
_DRAIN_S: Final = 8.0
_LAST_S: Final = 1.5


async def run_workers(names: list[str], settings: Settings) -> None:
    """Run workers until SIGTERM or SIGINT; drains, and returns within 10 s of the signal.

    Raises SettingsError, and whatever ended a worker that can't be waited out.
    """
    process = Process(settings)
    workers = [WORKERS[name](process) for name in names]
    loop = asyncio.get_running_loop()
    watch_loop(loop, limit_s=settings.stuck_after_s)

    def stop() -> None:
        for worker in workers:
            worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    health = await serve_health(
        process.metrics,
        lambda: all(worker.ready.is_set() for worker in workers),
        settings.health_host,
        settings.health_port,
        process.routes,
    )
    log.info("process.started", workers=names, process=process.process)
    tasks = [asyncio.create_task(worker.run(), name=worker.name) for worker in workers]
    try:
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        if pending:
            stop()
            await asyncio.wait(pending, timeout=_DRAIN_S)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _within(_LAST_S, health.cleanup())
        await _within(_LAST_S, process.close())
    log.info("process.stopped", workers=names)


async def _within(seconds: float, ending: Any) -> None:
    try:
        await asyncio.wait_for(ending, seconds)
    except Exception as error:  # noqa: BLE001 - on the way out; what isn't closed ends with the process
        log.warning("process.close_failed", error=type(error).__name__)


def worker_names(given: list[str], settings: Settings) -> list[str]:
    """The names that were given; `all` is all that can run: without a secret to check any webhook by, not that one.

    Raises SettingsError for a name that is unknown.
    """
    if given == ["all"]:
        deaf = settings.stripe_webhook_secret is None and settings.paypal_webhook_id is None
        if deaf:
            log.warning("worker.left_out", worker="webhooks", why="no webhook secret and no webhook id is set")
        return [name for name in WORKERS if not (deaf and name == "webhooks")]
    for name in given:
        if name not in WORKERS:
            raise SettingsError(f"unknown worker {name!r}; known: {', '.join(WORKERS)}, all")
    return list(dict.fromkeys(given))
