"""Whether traces are on, for the workers of a process. OpenTelemetry is loaded with the first that asks."""

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from schemas.topics import Topic
from workers.consumers import group_of
from workers.providers.http import AiohttpTransport, Transport
from workers.settings import Settings, SettingsError
from workers.telemetry import Metrics
from workers.tracing.port import Traces

if TYPE_CHECKING:
    from workers.tracing.export import Export

_FLUSH_S: Final = 1.2


class Tracing:
    """On where an endpoint is set."""

    def __init__(self, settings: Settings, randomness: random.Random, metrics: Metrics, process: str) -> None:
        self._settings = settings
        self._randomness = randomness
        self._metrics = metrics
        self._process = process
        self._export: Export | None = None

    def traces(self, worker: str, topics: Iterable[Topic] = ()) -> Traces | None:
        """A worker's; what comes from outside may begin some. Raises SettingsError."""
        if (export := self._on()) is None:
            return None
        prefix = self._settings.topic_prefix
        begins = {prefix + topic.name for topic in topics if topic.direction == "in"}
        return export.traces(worker, group_of(worker, prefix), begins)

    def transport(self, worker: str) -> Transport:
        """A worker's way to its provider. Raises SettingsError."""
        made = AiohttpTransport(concurrency=self._settings.provider_concurrency)
        return made if (export := self._on()) is None else export.transport(worker, made)

    async def close(self) -> None:
        """Send what waits, as far as that goes in a moment."""
        if self._export is not None:
            await self._export.close(_FLUSH_S)

    def _on(self) -> "Export | None":
        endpoint = self._settings.traces_endpoint
        if self._export is None and endpoint is not None:
            from workers.tracing.export import Export  # noqa: PLC0415 - takes time and memory; only where traces are on

            ratio = self._settings.traces_ratio
            try:
                self._export = Export(endpoint, ratio, self._randomness, self._metrics, process=self._process)
            except ValueError as error:
                raise SettingsError(f"a setting OTEL_…: {error}") from None
        return self._export
