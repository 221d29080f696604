"""The translator: events of providers become results and flags of our refunds, each event once.

It decides no refund. Who sends the event again within the signature's tolerance, or redelivers it, finds its id in
PostgreSQL. A parked event leaves no id behind: put back, it is read afresh.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from schemas.base import Fault
from schemas.webhooks import ProviderWebhook
from workers.consumers import CONSUMERS
from workers.domain.emission import Emission
from workers.handler import DatabaseHandler
from workers.pipeline.messages import Incoming, Verdict
from workers.pipeline.ports import Record
from workers.store.database import columns
from workers.store.queries import sql
from workers.telemetry import Metrics
from workers.webhooks.news import (
    PROVIDER_OF,
    SENDERS,
    DisputeNews,
    News,
    RefundNews,
    Sender,
    at_seconds,
    at_text,
    believable,
    usable_id,
)
from workers.webhooks.paypal_events import decode_paypal
from workers.webhooks.refund_news import UNKNOWN_REFUND, Cause, Heard, Index, decide_refund_news, flag
from workers.webhooks.stripe_events import decode_stripe

log = structlog.get_logger()

PROVIDER_HEADER: Final = "annul_provider"
_DECODERS: Final[dict[Sender, Callable[[ProviderWebhook], list[News]]]] = {
    "stripe": decode_stripe,
    "paypal": decode_paypal,
}

DisputeKey = tuple[str, str, str]
"""Provider, dispute, payment."""


class Alarm(msgspec.Struct, frozen=True):
    """A provider refunded something that nobody asked it for."""

    sender: Sender
    kind: str
    event_id: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could be read, and its news."""

    sender: Sender
    kind: str
    cause: Cause
    news: list[News]

    @property
    def key(self) -> tuple[str, str]:
        """What makes it this event."""
        return self.sender, self.cause.event_id


class Translator(DatabaseHandler):
    """Reads what the door kept."""

    name = "webhooks"
    topics = CONSUMERS["webhooks"]

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        metrics.expect_unknown_refunds(SENDERS)

    async def record(self, connection: Any, batch: Sequence[Incoming], now: datetime) -> Sequence[Verdict]:
        """One verdict an event."""
        work = _Work([_read(message, now) for message in batch])
        await work.load(connection, now)
        verdicts = [work.decide(event) for event in work.events]
        await work.store(connection)
        return verdicts

    def perform(self, effects: Iterable[Any]) -> None:
        """Raise the alarm, now that it is recorded."""
        for alarm in effects:
            self._metrics.unknown_refund(alarm.sender)
            log.error("webhook.unknown_refund", provider=alarm.sender, kind=alarm.kind, event_id=alarm.event_id)


class _Work:
    """What a batch of events says, knows and changes."""

    def __init__(self, events: list[Event | Fault]) -> None:
        self.events = events
        self._readable = [event for event in events if isinstance(event, Event)]
        self._parked: set[tuple[str, str]] = set()
        self._seen: set[tuple[str, str]] = set()

    async def load(self, connection: Any, now: datetime) -> None:
        """Take the events that are new; then find what they are about."""
        kinds = {event.key: event.kind for event in self._readable}
        rows = [(*key, kinds[key]) for key in sorted(kinds)]
        found = await connection.fetch(sql("add_provider_events"), *columns(rows, 3), now) if rows else ()
        self._new = {(row["provider"], row["event_id"]) for row in found}
        self._index = await _load_refunds(connection, [event for event in self._readable if event.key in self._new])
        await self._record_disputes(connection)

    async def _record_disputes(self, connection: Any) -> None:
        """Of several events of one dispute the latest counts; only one that opens it is told to refunds."""
        latest: dict[DisputeKey, tuple[Event, DisputeNews]] = {}
        for event in self._readable:
            for one in event.news if event.key in self._new else ():
                if isinstance(one, DisputeNews):
                    for key in _keys(event, one):
                        if key not in latest or _outdoes(event, one, *latest[key]):
                            latest[key] = event, one
        rows = [
            (*key, one.status, one.is_open, event.cause.at) for key, (event, one) in sorted(latest.items(), key=_first)
        ]
        found = await connection.fetch(sql("upsert_disputes"), *columns(rows, 6)) if rows else ()
        self._moved = {(row[0], row[1], row[2]): latest[row[0], row[1], row[2]][0].key for row in found}
        opened = sorted({(row["provider"], row["reference"]) for row in found if row["opened"]})
        self._opened = {(row[0], row[1], row[2]) for row in found if row["opened"]}
        touched = await connection.fetch(sql("read_disputed_refunds"), *columns(opened, 2)) if opened else ()
        self._disputed: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for row in touched:
            of_payment = self._disputed.setdefault((row["provider"], row["reference"]), [])
            of_payment.append((row["refund_id"], row["order_id"]))

    def decide(self, event: Event | Fault) -> Verdict:
        """One event. A copy of it within the batch is a duplicate too, unless the first was parked."""
        if isinstance(event, Fault):
            return Verdict("parked", fault=event)
        if event.key not in self._new or event.key in self._seen:
            return Verdict("duplicate")
        if not event.news:
            self._seen.add(event.key)
            return Verdict("ignored")
        emissions: dict[str, Emission] = {}
        faults: list[Fault] = []
        moved = False
        for one in event.news:
            if isinstance(one, RefundNews):
                outcome = decide_refund_news(one, self._index, event.cause)
                emissions.update((told.id, told) for told in outcome.emissions)
                faults += [outcome.fault] if outcome.fault else []
            else:
                told_of = self._flags(event, one)
                emissions.update((told.id, told) for told in told_of)
                moved = moved or any(self._moved.get(key) == event.key for key in _keys(event, one))
        if faults:
            return self._park(event, list(emissions.values()), faults)
        self._seen.add(event.key)
        return Verdict("applied" if emissions or moved else "stale", list(emissions.values()))

    def _park(self, event: Event, emissions: list[Emission], faults: list[Fault]) -> Verdict:
        """What it says of refunds that we know is told all the same."""
        self._parked.add(event.key)
        unknown = any(fault.reason == UNKNOWN_REFUND for fault in faults)
        alarm = Alarm(event.sender, event.kind, event.cause.event_id) if unknown else None
        return Verdict("parked", emissions, faults[0], alarm)

    def _flags(self, event: Event, dispute: DisputeNews) -> list[Emission]:
        return [
            flag(refund_id, order_id, dispute.code, event.cause)
            for key in _keys(event, dispute)
            if key in self._opened and self._moved.get(key) == event.key
            for refund_id, order_id in self._disputed.get((key[0], key[2]), ())
        ]

    async def store(self, connection: Any) -> None:
        """What was parked was not seen."""
        if self._parked:
            await connection.execute(sql("forget_provider_events"), *columns(sorted(self._parked), 2))


def _read(message: Incoming, now: datetime) -> Event | Fault:
    """An event with its news, or why it can't be read."""
    event: ProviderWebhook = message.data
    try:
        sender = _sender(message.record)
        event_id = _event_id(event)
        own = at_seconds(event.created) if sender == "stripe" else at_text(event.create_time)
        cause = Cause(provider=PROVIDER_OF[sender], event_id=event_id, at=believable(own, now), now=now)
        kind = event.type if sender == "stripe" else event.event_type
        return Event(sender=sender, kind=usable_id(kind) or "other", cause=cause, news=_DECODERS[sender](event))
    except Fault as fault:
        return fault


def _event_id(event: ProviderWebhook) -> str:
    found = usable_id(event.id)
    if found is None:
        raise Fault("invalid_field", "id", "no usable id")
    return found


def _sender(record: Record) -> Sender:
    for name, value in record.headers:
        for sender in SENDERS:
            if name == PROVIDER_HEADER and value == sender.encode():
                return sender
    raise Fault("bad_envelope", PROVIDER_HEADER, f"none of {', '.join(SENDERS)}")


async def _load_refunds(connection: Any, events: Iterable[Event]) -> Index:
    news = [one for event in events for one in event.news if isinstance(one, RefundNews)]
    if not news:
        return Index()
    ours = {one.refund_id for one in news if one.refund_id is not None}
    theirs = {one.provider_refund_id for one in news}
    references = {name for one in news for name in one.references}
    rows = await connection.fetch(sql("read_refunds_heard_of"), sorted(ours), sorted(theirs), sorted(references))
    return Index(Heard(**row) for row in rows)


def _keys(event: Event, dispute: DisputeNews) -> list[DisputeKey]:
    return [(event.cause.provider, dispute.dispute_id, reference) for reference in dispute.references]


def _outdoes(event: Event, news: DisputeNews, other: Event, known: DisputeNews) -> bool:
    """As the table has it: the later event, of two of one second the one that closes."""
    if event.cause.at != other.cause.at:
        return event.cause.at > other.cause.at
    return known.is_open and not news.is_open


def _first(item: tuple[DisputeKey, Any]) -> DisputeKey:
    return item[0]
