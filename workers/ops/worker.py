"""Worker `ops`: serves the dashboard until it is told to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
import uvicorn

from workers.ops.patience import MOST_HEAD_BYTES, Patient

log = structlog.get_logger()
_DRAIN_S: Final = 3


class _Server(uvicorn.Server):
    """Says when it listens, and leaves signals to the process, which runs other workers too."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._ready.set()
            log.info("ops.served", host=host, port=port)


class Ops:
    """A worker like the others. `duties` run beside the server: what the pages show that takes time to find out."""

    name = "ops"

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        *,
        duties: Callable[[], list[Awaitable[None]]],
        close: Callable[[], Awaitable[None]],
        stopping: Callable[[], None] = lambda: None,
    ) -> None:
        """`stopping` is told first: whoever holds a request open lets it go."""
        self.ready = asyncio.Event()
        self._server = _Server(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=_DRAIN_S,
                limit_concurrency=200,
                http=Patient,
                h11_max_incomplete_event_size=MOST_HEAD_BYTES,
                ws="none",
                # What a proxy says of who asks is believed where a setting says that there is one, and nowhere else.
                proxy_headers=False,
            ),
            self.ready,
        )
        self._duties = duties
        self._close = close
        self._stopping = stopping

    def stop(self) -> None:
        """Answer what was asked, and end."""
        self._stopping()
        self._server.should_exit = True

    async def run(self) -> None:
        """Until `stop`. Raises OSError where the port is taken."""
        duties = [asyncio.ensure_future(duty) for duty in self._duties()]
        try:
            await self._server.serve()
        except SystemExit as error:  # uvicorn's word for a port that it can't have
            raise OSError("the dashboard can't listen: is ANNUL_OPS_PORT taken?") from error
        finally:
            for task in duties:
                task.cancel()
            await asyncio.gather(*duties, return_exceptions=True)
            await self._close()
