"""Logs (JSON, event names noun.verb), metrics and each process's health port."""

import logging
import sys
from collections import Counter as TallyOf
from collections.abc import Callable, Iterable, Sequence
from itertools import product

import structlog
from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

log = structlog.get_logger()
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LATE_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800)
_RECORDS = (1, 5, 20, 50, 100, 200, 500, 1_000)


def start_logging(level: str = "info") -> None:
    """JSON lines on standard output, a library's warnings among them. Never a message's content."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(_Rarely())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


class _Rarely(logging.Filter):
    """Lets a library say the same thing once in ten seconds: aiokafka tells each of its retries, many a second."""

    _EVERY_S = 10.0
    _KNOWN = 1_000

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place = (record.name, str(record.msg))
        if record.created - self._told.get(place, 0.0) < self._EVERY_S:
            return False
        if len(self._told) >= self._KNOWN:
            self._told.clear()
        self._told[place] = record.created
        return True


def quiet_logging() -> None:
    """For a person's command: its output is the answer, and only what went wrong is told, on standard error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    # aiokafka tells as errors what it tries again by itself.
    logging.basicConfig(level=logging.CRITICAL)


class Metrics:
    """What every worker counts. Labels are bounded: worker, topic, type, label, provider, outcome.

    Documented, one by one, in deploy/metrics.md.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._ready = Gauge(
            "annul_process_ready", "1 while every worker of the process is ready", registry=self.registry
        )
        self._messages = Counter(
            "annul_messages",
            "Messages decided, by what became of them",
            ("worker", "topic", "type", "label"),
            registry=self.registry,
        )
        self._emitted = Counter(
            "annul_emitted_messages", "Messages sent and acknowledged", ("worker",), registry=self.registry
        )
        self._batches = Histogram(
            "annul_batch_record_seconds",
            "Time to decide and record a batch",
            ("worker",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._taken = Histogram(
            "annul_batch_records",
            "Records of a batch that was decided, sent and committed",
            ("worker",),
            buckets=_RECORDS,
            registry=self.registry,
        )
        self._committed = Gauge(
            "annul_commit_timestamp_seconds",
            "When the worker last committed offsets",
            ("worker",),
            registry=self.registry,
        )
        self._transitions = Counter(
            "annul_refund_transitions",
            "Steps of refunds, by the state that they led to",
            ("provider", "state"),
            registry=self.registry,
        )
        self._calls = Histogram(
            "annul_provider_call_seconds",
            "Time of a provider call, by what it came to",
            ("provider", "outcome"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._paused = Gauge(
            "annul_provider_paused",
            "1 while nothing is sent to a provider because it is down or refuses us",
            ("provider",),
            registry=self.registry,
        )
        self._alarms = Counter(
            "annul_alarms",
            "What a person must hear of at once",
            ("event", "provider"),
            registry=self.registry,
        )
        self._fired = Counter("annul_timers_fired", "Scheduled messages sent", registry=self.registry)
        self._late = Histogram(
            "annul_timers_late_seconds",
            "How long after its due time a scheduled message was sent",
            buckets=_LATE_SECONDS,
            registry=self.registry,
        )
        self._webhooks = Counter(
            "annul_webhooks",
            "Webhooks that came, by provider and the word that they were answered with",
            ("provider", "end"),
            registry=self.registry,
        )
        self._unknown = Counter(
            "annul_webhooks_of_unknown_refunds",
            "Webhooks about refunds that nobody asked the provider for",
            ("provider",),
            registry=self.registry,
        )
        self._differences = Counter(
            "annul_reconcile_differences",
            "What was found where a provider's word was held against ours, by kind; a run repeats what still differs",
            ("provider", "kind"),
            registry=self.registry,
        )
        self._checked_sellers = Counter(
            "annul_sellers_checked",
            "Sellers whose statistics were held against PostgreSQL, and of them those that had to be repaired",
            ("found",),
            registry=self.registry,
        )
        self._sellers_sent = Counter("annul_sellers_rows", "Rows of statistics that were told", registry=self.registry)
        self._sellers_sending = Histogram(
            "annul_sellers_send_seconds",
            "Time to send what was folded: rows, changelog, offsets",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._sellers_folding = Histogram(
            "annul_sellers_fold_seconds",
            "Time to fold a batch of outcomes, with what had to be read from PostgreSQL",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._renewed = Counter(
            "annul_consumers_renewed",
            "Consumers made anew because they read nothing though records waited",
            ("worker",),
            registry=self.registry,
        )
        self._spans = Counter(
            "annul_trace_spans",
            "Spans of traces, by what became of them",
            ("end",),
            registry=self.registry,
        )
        self._reconciled = Gauge(
            "annul_reconcile_finished_timestamp_seconds",
            "When a reconciliation was last finished, as this process knows; 0: it knows of none",
            registry=self.registry,
        )

    def messages(self, worker: str, labels: Sequence[tuple[str, str, str]], emitted: int) -> None:
        """A batch was decided, sent and committed."""
        for (topic, kind, label), count in TallyOf(labels).items():
            self._messages.labels(worker, topic, kind, label).inc(count)
        self._emitted.labels(worker).inc(emitted)
        self._taken.labels(worker).observe(len(labels))
        self._committed.labels(worker).set_to_current_time()

    def ready(self, ready: Callable[[], bool]) -> None:
        """Who is asked at each scrape whether the process is ready."""
        self._ready.set_function(lambda: float(ready()))

    def transition(self, provider: str, state: str) -> None:
        """A refund came to another state."""
        self._transitions.labels(provider, state).inc()

    def batch(self, worker: str, seconds: float) -> None:
        """A batch was recorded."""
        self._batches.labels(worker).observe(seconds)

    def consumer_renewed(self, worker: str) -> None:
        """A consumer was made anew."""
        self._renewed.labels(worker).inc()

    def provider_call(self, provider: str, outcome: str, seconds: float) -> None:
        """A provider answered, or didn't."""
        self._calls.labels(provider, outcome).observe(seconds)

    def provider_paused(self, provider: str, *, paused: bool) -> None:
        """Whether a provider is paused, as this process sees it."""
        self._paused.labels(provider).set(int(paused))

    def expect_alarms(self, events: Iterable[str], providers: Iterable[str]) -> None:
        """They may come: a counter that appears with its first count shows no increase to anybody."""
        for event, provider in product(events, providers):
            self._alarms.labels(event, provider)

    def expect_differences(self, providers: Iterable[str], kinds: Iterable[str]) -> None:
        """The same of what a reconciliation may find."""
        for provider, kind in product(providers, kinds):
            self._differences.labels(provider, kind)

    def expect_unknown_refunds(self, providers: Iterable[str]) -> None:
        """The same of webhooks about refunds that nobody asked for."""
        for provider in providers:
            self._unknown.labels(provider)

    def alarm(self, event: str, provider: str) -> None:
        """Something that a person must hear of at once."""
        self._alarms.labels(event, provider).inc()

    def fired(self, late_s: Sequence[float]) -> None:
        """Scheduled messages were sent, each so long after its due time."""
        self._fired.inc(len(late_s))
        for seconds in late_s:
            self._late.observe(seconds)

    def folded(self, seconds: float) -> None:
        """A batch of sellers' outcomes was folded."""
        self._sellers_folding.observe(seconds)

    def sellers_sent(self, rows: int, seconds: float) -> None:
        """What was folded was sent and committed."""
        self._sellers_sent.inc(rows)
        self._sellers_sending.observe(seconds)

    def webhook(self, provider: str, end: str) -> None:
        """A provider's webhook was answered."""
        self._webhooks.labels(provider, end).inc()

    def unknown_refund(self, provider: str) -> None:
        """A provider told of a refund that nobody asked it for."""
        self._unknown.labels(provider).inc()

    def difference(self, provider: str, kind: str) -> None:
        """A reconciliation found something that differs."""
        self._differences.labels(provider, kind).inc()

    def checked_sellers(self, sellers: int, differing: int, behind: int) -> None:
        """The table of statistics was held against PostgreSQL."""
        for found, count in (("compared", sellers), ("differing", differing), ("outcomes_lost", behind)):
            self._checked_sellers.labels(found).inc(count)

    def spans(self, end: str, count: int) -> None:
        """Spans reached the endpoint for traces, or were lost."""
        self._spans.labels(end).inc(count)

    def reconciled(self, at: float) -> None:
        """A reconciliation was finished, by this process or another, at Unix seconds."""
        self._reconciled.set(at)


async def serve_health(
    metrics: Metrics, ready: Callable[[], bool], host: str, port: int, routes: Iterable[web.RouteDef] = ()
) -> web.AppRunner:
    """Serve /healthz, /readyz and /metrics, and `routes`; port 0 takes a free one and the log says which."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def readyz(_: web.Request) -> web.Response:
        return web.json_response({"ready": ready()}, status=200 if ready() else 503)

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    metrics.ready(ready)
    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", scrape), *routes])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    address = runner.addresses[0]
    log.info("health.served", host=address[0], port=address[1])
    return runner
