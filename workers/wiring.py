"""The one place where parts meet: settings in, running workers out."""

import asyncio
import gc
import os
import random
import secrets
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import structlog
from aiohttp import web

from workers.adapter import Adapter
from workers.cancellations import Cancellations
from workers.consumers import group_of
from workers.insight.seller_api import seller_routes
from workers.notifications import Notifications
from workers.pauses import Pauses
from workers.payouts import Payouts
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.holding import Hold, PersonsHold
from workers.pipeline.kafka import KafkaConsumer, KafkaProducer
from workers.pipeline.messages import Handler
from workers.pipeline.run import Limits, Pipeline
from workers.pipeline.watchdog import Watchdog
from workers.providers.card import CardProvider
from workers.providers.http import AiohttpTransport, Transport
from workers.providers.paypal import PayPalProvider
from workers.providers.port import Provider
from workers.reconcile.worker import Reconciler, Timing
from workers.refunds import Refunds
from workers.settings import Settings, SettingsError, secret
from workers.store.database import Database
from workers.telemetry import Metrics
from workers.timers import Timers
from workers.tracing.switch import Tracing
from workers.wallet import Wallet
from workers.webhooks.checks import Check, PayPalCheck, StripeCheck
from workers.webhooks.door import Door, DoorLimits
from workers.webhooks.news import Sender
from workers.webhooks.signatures import secrets_in
from workers.webhooks.translator import Translator
from workers.webhooks.worker import Webhooks

log = structlog.get_logger()


class Worker(Protocol):
    """Something that runs until it is stopped."""

    name: str
    ready: asyncio.Event

    def stop(self) -> None: ...
    async def run(self) -> None: ...


class Process:
    """The parts that all workers of a process share."""

    def __init__(self, settings: Settings) -> None:
        settings.need("kafka_bootstrap_servers", "database_url")
        settings.need_login()
        # Batches make many objects that all go together; looking for cycles among them every 700 costs a tenth of the
        # time.
        gc.set_threshold(50_000, 20, 50)
        self.settings = settings
        self.policy = settings.policy()
        self.clock = SystemClock()
        self.metrics = Metrics()
        self.randomness = random.Random(secrets.randbits(64))  # noqa: S311 - spreads retries, keeps no secret
        self.process = settings.instance_id or f"{socket.gethostname()}-{os.getpid()}"
        self._databases: list[Database] = []
        self._emitters: list[Emitter] = []
        self.tracing = Tracing(settings, self.randomness, self.metrics, self.process)
        self.routes: list[web.RouteDef] = []
        """What the process's health port answers besides."""

    def database(self, max_connections: int = 3) -> Database:
        """A pool of a worker's own, closed with the process."""
        made = Database(self.settings.database_url.get_secret_value(), max_connections=max_connections)
        self._databases.append(made)
        return made

    def emitter(self) -> Emitter:
        """A producer of a worker's own, closed with the process."""
        made = Emitter(KafkaProducer(self.settings.kafka()), self.clock)
        self._emitters.append(made)
        return made

    def pipeline(self, handler: Handler, emitter: Emitter | None = None) -> Pipeline:
        """A handler on its way."""
        topics = [topic.name for topic in handler.topics]
        kafka = self.settings.kafka(self.settings.instance_id)
        group = group_of(handler.name, self.settings.topic_prefix)
        database = self.database()
        return Pipeline(
            group,
            handler,
            KafkaConsumer(kafka, group, topics),
            emitter or self.emitter(),
            database,
            self.clock,
            self.metrics,
            prefix=self.settings.topic_prefix,
            limits=Limits(batch_records=self.settings.batch_records),
            watchdog=Watchdog(
                self.clock,
                limit_s=self.settings.stuck_after_s,
                # A group that lost a member deals its partitions again only once that one's session has run out.
                renew_after_s=max(self.settings.stuck_after_s / 3, self.settings.kafka_session_timeout_s * 1.5),
            ),
            hold=self.hold(handler.name, database),
            traces=self.tracing.traces(handler.name, handler.topics),
        )

    def hold(self, worker: str, database: Database) -> Hold:
        """Whether a person paused a worker."""
        return PersonsHold(worker, database, self.clock)

    def adapter(self, worker: str, provider: Callable[[Transport], Provider]) -> Pipeline:
        """A provider's adapter on its way."""
        given = self.settings
        emitter = self.emitter()
        made = provider(self.tracing.transport(worker))
        pauses = Pauses(
            made,
            self.database(1),
            self.clock,
            self.metrics,
            probe_every_s=given.provider_probe_s,
            deadline_s=given.provider_deadline_s,
        )
        adapter = Adapter(
            made,
            emitter,
            self.clock,
            self.metrics,
            pauses,
            process=self.process,
            concurrency=given.provider_concurrency,
            deadline_s=given.provider_deadline_s,
            lease_s=given.refund_lease_s,
            key_kept=self.policy.refunds.key_kept(made.name),
            traces=self.tracing.traces(worker),
        )
        return self.pipeline(adapter, emitter)

    async def close(self) -> None:
        """Disconnect from everything; what was traced is sent meanwhile."""
        flushing = asyncio.create_task(self.tracing.close())
        for emitter in self._emitters:
            await emitter.close()
        for database in self._databases:
            await database.close()
        await flushing


def _cancellations(process: Process) -> Worker:
    return process.pipeline(Cancellations(process.policy))


def _refunds(process: Process) -> Worker:
    return process.pipeline(Refunds(process.policy.refunds, process.randomness, process.metrics))


def _wallet(process: Process) -> Worker:
    return process.pipeline(Wallet(process.process, timedelta(seconds=process.settings.refund_lease_s)))


def card_provider(given: Settings, transport: Transport) -> CardProvider:
    """Raises SettingsError where there are no credentials."""
    given.need("stripe_api_key")
    key = secret(given.stripe_api_key) or ""
    return CardProvider(transport, given.stripe_api_base, key, given.provider_deadline_s)


def paypal_provider(given: Settings, transport: Transport) -> PayPalProvider:
    """Raises SettingsError where there are no credentials."""
    given.need("paypal_client_id", "paypal_client_secret")
    client, password = given.paypal_client_id or "", secret(given.paypal_client_secret) or ""
    return PayPalProvider(transport, given.paypal_api_base, client, password, given.provider_deadline_s)


PROVIDERS: dict[str, Callable[[Settings, Transport], Provider]] = {
    "card": card_provider,
    "paypal": paypal_provider,
}


def providers_of(given: Settings) -> dict[str, Provider | None]:
    """Every provider by its name; None where its credentials are not set."""
    made: dict[str, Provider | None] = {}
    for name, make in PROVIDERS.items():
        try:
            made[name] = make(given, AiohttpTransport(concurrency=given.provider_concurrency))
        except SettingsError:
            made[name] = None
    return made


def _card(process: Process) -> Worker:
    return process.adapter("card", lambda transport: card_provider(process.settings, transport))


def _paypal(process: Process) -> Worker:
    return process.adapter("paypal", lambda transport: paypal_provider(process.settings, transport))


def _reconcile(process: Process) -> Worker:
    given, policy = process.settings, process.policy.refunds
    lag = timedelta(seconds=given.reconcile_lag_s)
    timing = Timing(
        every=given.reconcile_every,
        lag=lag,
        # A call that stalled until the key was forgotten pays anew: by then it is in the list.
        overlap=policy.key_retention["card"] + policy.longest_stall + lag,
        sample=given.reconcile_sample,
        uncertain_after=timedelta(seconds=policy.look_up_max_s),
        pending_after=timedelta(seconds=policy.pending_look_up_s),
    )
    return Reconciler(process.database(), providers_of(given), process.clock, process.metrics, timing)


def _payouts(process: Process) -> Worker:
    return process.pipeline(Payouts())


def _notifications(process: Process) -> Worker:
    return process.pipeline(Notifications(process.settings.help_url))


def _timers(process: Process) -> Worker:
    database = process.database()
    hold = process.hold("timers", database)
    return Timers(database, process.emitter(), process.clock, process.metrics, hold=hold)


def _sellers(process: Process) -> Worker:
    from workers.sellers.worker import Sellers  # noqa: PLC0415 - faust takes long to load; only here

    given = process.settings
    process.routes += seller_routes(process.database(2), partitions=given.topic_partitions)
    database = process.database()
    return Sellers(
        given.kafka(given.instance_id),
        database,
        process.emitter(),
        process.clock,
        process.metrics,
        process=process.process,
        partitions=given.topic_partitions,
        replication_factor=given.topic_replication_factor,
        help_url=given.help_url,
        check_every_s=given.sellers_check_every.total_seconds(),
        hold=process.hold("sellers", database),
    )


def _ops(process: Process) -> Worker:
    from workers.ops.assembly import assemble  # noqa: PLC0415 - a web server and templates; only here

    return assemble(process.settings, process.metrics)


def _webhooks(process: Process) -> Worker:
    given = process.settings
    checks = _checks(process)
    door = Door(
        checks,
        KafkaProducer(given.kafka()),
        process.clock,
        process.metrics,
        host=given.webhooks_host,
        port=given.webhooks_port,
        limits=DoorLimits(per_s=given.webhooks_per_s),
        traces=process.tracing.traces("webhooks"),
    )
    return Webhooks(door, process.pipeline(Translator(process.metrics)))


def _checks(process: Process) -> dict[Sender, Check]:
    given, checks = process.settings, dict[Sender, Check]()
    if given.stripe_webhook_secret is not None:
        signing = secrets_in(given.stripe_webhook_secret.get_secret_value())
        if not signing:
            raise SettingsError("ANNUL_STRIPE_WEBHOOK_SECRET holds no secret")
        checks["stripe"] = StripeCheck(signing, process.clock)
    if given.paypal_webhook_id is not None:
        given.need("paypal_client_id", "paypal_client_secret")
        checks["paypal"] = PayPalCheck(
            process.tracing.transport("webhooks"),
            given.paypal_api_base,
            given.paypal_client_id or "",
            secret(given.paypal_client_secret) or "",
            given.paypal_webhook_id,
            deadline_s=given.provider_deadline_s,
            clock=process.clock.monotonic,
        )
    if not checks:
        raise SettingsError("ANNUL_STRIPE_WEBHOOK_SECRET or ANNUL_PAYPAL_WEBHOOK_ID must be set")
    return checks


WORKERS: dict[str, Callable[[Process], Worker]] = {
    "cancellations": _cancellations,
    "refunds": _refunds,
    "wallet": _wallet,
    "paypal": _paypal,
    "card": _card,
    "timers": _timers,
    "sellers": _sellers,
    "payouts": _payouts,
    "notifications": _notifications,
    "webhooks": _webhooks,
    "reconcile": _reconcile,
    "ops": _ops,
}
