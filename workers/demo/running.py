"""Everything on one machine: Kafka, PostgreSQL, simulated providers, and every worker as a process of its own."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from workers.local.ports import free_port, is_free
from workers.local.stack import LocalStack
from workers.settings import Settings
from workers.store.migrate import migrate
from workers.topics import prepare_topics
from workers.wiring import WORKERS

_READY_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.1
PROVIDERS = "providers"
_SIGNING_SECRET = "whsec_simulated"  # noqa: S105 - signs what a simulation sends
_WEBHOOK_ID = "WH-SIMULATED"


class NotReadyError(Exception):
    """Something did not come up in time; says what, and where its log is."""


class RunningAnnul:
    """Async context manager. Settings in the environment win over `defaults`; external Kafka, PostgreSQL and
    providers named there are used instead of local ones.
    """

    def __init__(
        self,
        kind: str,
        defaults: Mapping[str, str],
        *,
        simulation: Mapping[str, str] | None = None,
        keep_logs: bool = False,
    ) -> None:
        self._defaults = dict(defaults)
        self._kind = kind
        self._simulation = dict(simulation or {})
        given = Settings.read()
        self.stack = LocalStack(
            kind,
            kafka_bootstrap=given.kafka_bootstrap_servers,
            database_url=given.database_url.get_secret_value(),
            keep=keep_logs,
        )
        self.environment: dict[str, str] = {}
        self.health: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        await self.stack.__aenter__()
        try:
            await self._start()
        except BaseException as error:
            await self.stack.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stack.__aexit__(kind, error, traceback)

    def settings(self) -> Settings:
        """What the workers run with."""
        return Settings.read(self.environment)

    async def _start(self) -> None:
        own = {
            "ANNUL_KAFKA_BOOTSTRAP_SERVERS": self.stack.bootstrap,
            "ANNUL_DATABASE_URL": self.stack.dsn,
            "ANNUL_TOPIC_REPLICATION_FACTOR": "1",
        }
        for name, value in {**self._defaults, **own}.items():
            self.environment[name] = os.environ.get(name) or value
        self.environment.update(_webhook_settings())
        self.environment["ANNUL_OPS_PORT"] = _ops_port(self._kind)
        self.environment.update(await self._start_providers())
        settings = self.settings()
        await migrate(settings.database_url.get_secret_value())
        await prepare_topics(settings)
        for name in WORKERS:
            self.health[name] = free_port()
            await self.stack.supervisor.add(
                name,
                [sys.executable, "-m", "workers", "worker", name],
                {
                    **self.environment,
                    "ANNUL_INSTANCE_ID": f"local-{name}",
                    "ANNUL_HEALTH_PORT": str(self.health[name]),
                },
            )
        state = self.stack.folder.state
        state.settings = self.environment
        self.stack.folder.save()
        await self.wait_ready()

    async def _start_providers(self) -> dict[str, str]:
        if os.environ.get("ANNUL_STRIPE_API_BASE") and os.environ.get("ANNUL_PAYPAL_API_BASE"):
            return {}
        file = self.stack.folder.path / "providers.json"
        options = [f"--{name}={value}" for name, value in self._simulation.items()]
        # Ports of its own choice would be others after a restart.
        ports = [f"--stripe-port={free_port()}", f"--paypal-port={free_port()}", f"--ports-file={file}"]
        door = f"http://127.0.0.1:{self.environment['ANNUL_WEBHOOKS_PORT']}/webhooks"
        webhooks = [
            f"--stripe-webhook-url={door}/stripe",
            f"--stripe-webhook-secret={_SIGNING_SECRET}",
            f"--paypal-webhook-url={door}/paypal",
            f"--paypal-webhook-id={os.environ.get('ANNUL_PAYPAL_WEBHOOK_ID') or _WEBHOOK_ID}",
        ]
        argv = [sys.executable, "-m", "workers.providers.simulated", *ports, *webhooks, *options]
        await self.stack.supervisor.add(PROVIDERS, argv)
        urls = await self._read_when_there(file)
        self.stack.folder.state.provider_urls = {name: urls[name] for name in ("stripe", "paypal")}
        simulated = {
            "ANNUL_STRIPE_API_BASE": urls["stripe"],
            "ANNUL_STRIPE_API_KEY": "sk_test_simulated",
            "ANNUL_PAYPAL_API_BASE": urls["paypal"],
            "ANNUL_PAYPAL_CLIENT_ID": "simulated-client",
            "ANNUL_PAYPAL_CLIENT_SECRET": "simulated-secret",
            "ANNUL_PAYPAL_WEBHOOK_ID": _WEBHOOK_ID,
        }
        given = {name: os.environ.get(name) or value for name, value in simulated.items()}
        if theirs := os.environ.get("ANNUL_STRIPE_WEBHOOK_SECRET"):
            given["ANNUL_STRIPE_WEBHOOK_SECRET"] = f"{theirs},{_SIGNING_SECRET}"  # either holds
        return given

    async def _read_when_there(self, file: Path) -> dict[str, str]:
        until = time.monotonic() + _READY_WITHIN_S
        while (text := await asyncio.to_thread(_text_of, file)) is None:
            if time.monotonic() > until:
                raise NotReadyError(f"the simulated providers did not start; see {self.stack.folder.path}")
            await asyncio.sleep(_LOOK_EVERY_S)
        urls: dict[str, str] = json.loads(text)
        return urls

    async def wait_ready(self) -> None:
        """Until every worker says that it is ready. Raises NotReadyError."""
        until = time.monotonic() + _READY_WITHIN_S
        waiting = set(self.health)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while waiting:
                for name in sorted(waiting):
                    if await _is_ready(session, self.health[name]):
                        waiting.discard(name)
                if waiting and time.monotonic() > until:
                    raise NotReadyError(f"not ready: {', '.join(sorted(waiting))}; logs in {self.stack.folder.path}")
                if waiting:
                    await asyncio.sleep(_LOOK_EVERY_S)


def _webhook_settings() -> dict[str, str]:
    """Where webhooks come in: known before the providers start, and the same after a restart."""
    port = os.environ.get("ANNUL_WEBHOOKS_PORT")
    given = {"ANNUL_WEBHOOKS_PORT": port if port and int(port) else str(free_port())}
    if not os.environ.get("ANNUL_STRIPE_WEBHOOK_SECRET"):
        # Where the providers are others, too: without any secret the worker `webhooks` doesn't start.
        given["ANNUL_STRIPE_WEBHOOK_SECRET"] = _SIGNING_SECRET
    return given


def _ops_port(kind: str) -> str:
    """Where the dashboard is: where people look for it, unless somebody else is there or it is a test's."""
    port = os.environ.get("ANNUL_OPS_PORT")
    if port and int(port):
        return port
    usual = Settings.model_fields["ops_port"].default
    return str(usual if kind != "test" and is_free(usual) else free_port())


def _text_of(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


async def _is_ready(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
