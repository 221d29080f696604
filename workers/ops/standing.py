"""What stands open, as gauges for Prometheus: where the consumers are, whose money waits, what is parked, what is late.

Each worker counts what it does; what nobody does is seen from outside only. The dashboard asks for it anyway, so it
tells it: on the `/metrics` of the worker `ops`. What can't be known just now is left out, never told as it was.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, get_args

import msgspec
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas.base import ProviderName
from schemas.refunds import RefundState
from workers.actions.holds import PAUSABLE, read_consumer_pauses
from workers.insight.overview import Figures, Unsettled
from workers.insight.pace import GroupNow
from workers.ops.asking import AwayError, Reader
from workers.ops.watching import kept_for
from workers.store.queries import sql

log = structlog.get_logger()
_READ_EVERY_S: Final = 10.0
_FRESH_S: Final = 60.0
_MOST: Final = 100_000
_SETTLED: Final = ("succeeded", "redirected", "settled_elsewhere")
_STATES: Final = tuple(state for state in get_args(RefundState) if state not in _SETTLED)


class Seen(Protocol):
    """What is known of the consumers; `groups` holds only while it is `known`."""

    @property
    def known(self) -> bool: ...
    @property
    def groups(self) -> Mapping[str, GroupNow]: ...


class Watched(Protocol):
    """Who watches the consumers, and knows what stands open as the dashboard shows it."""

    @property
    def seen(self) -> Seen: ...
    async def figures(self) -> Figures: ...


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    """What PostgreSQL knew when it was read; `at` is when, in Unix seconds."""

    at: float
    refunds: Sequence[Unsettled]
    parked: Sequence[Any]
    timers: Any
    actions: Any
    sellers: Any
    paused: frozenset[str]


class Standing(Collector):
    """Collected at each scrape; reads PostgreSQL on its own time, so that a scrape waits for nothing."""

    def __init__(self, registry: CollectorRegistry, reader: Reader, watch: Watched) -> None:
        self._reader = reader
        self._watch = watch
        self._open: _Open | None = None
        registry.register(self)

    async def run(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            began_s = clock()
            await self.read()
            await asyncio.sleep(kept_for(clock() - began_s, _READ_EVERY_S))

    async def read(self) -> None:
        """Ask PostgreSQL once. What it said before is forgotten after a minute."""
        try:
            figures = await self._watch.figures()
            async with self._reader.snapshot() as connection:
                pauses = await read_consumer_pauses(connection)
                self._open = _Open(
                    at=time.time(),
                    refunds=figures.unsettled,
                    parked=await connection.fetch(sql("standing_parked"), _MOST),
                    timers=await connection.fetchrow(sql("standing_timers"), _MOST),
                    actions=await connection.fetchrow(sql("standing_actions")),
                    sellers=await connection.fetchrow(sql("standing_sellers")),
                    paused=frozenset(worker for worker, pause in pauses.items() if pause.paused),
                )
        except AwayError as error:
            log.warning("ops.standing_delayed", error=str(error))

    def collect(self) -> Iterator[Metric]:
        """All of it that is known now; each family by name even where it holds nothing."""
        yield from _consumers(self._watch.seen.groups if self._watch.seen.known else {})
        known = self._open
        if known is not None and time.time() - known.at > _FRESH_S:
            known = None
        yield from _money(known)
        yield from _late(known)


def _family(name: str, told: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, labels=labels)


def _consumers(groups: Mapping[str, GroupNow]) -> Iterator[Metric]:
    where = ("worker", "topic", "partition")
    lag = _family("annul_consumer_lag_records", "Messages that the group has not committed yet", *where)
    lag_s = _family("annul_consumer_lag_seconds", "How long the oldest of them has waited", *where)
    members = _family("annul_consumer_members", "Processes in the worker's group", "worker")
    stuck = _family("annul_consumer_stuck", "1 while messages wait, somebody reads and nothing moves", "worker")
    for worker, group in groups.items():
        members.add_metric([worker], len(group.members))
        stuck.add_metric([worker], float(group.standing == "stuck"))
        for one in group.places:
            labels = [worker, one.place.topic, str(one.place.partition)]
            lag.add_metric(labels, one.place.lag)
            if one.lag_s is not None:
                lag_s.add_metric(labels, one.lag_s)
    yield from (lag, lag_s, members, stuck)


def _money(known: _Open | None) -> Iterator[Metric]:
    count = _family("annul_refunds_unsettled", "Refunds that are not settled", "provider", "state")
    minor = _family("annul_refunds_unsettled_minor", "Their money in the currency's minor unit", "provider", "currency")
    since = _family(
        "annul_refunds_oldest_timestamp_seconds", "Since when the first of them is in its state", "provider", "state"
    )
    if known is not None:
        counts = {(provider, state): 0 for provider in get_args(ProviderName) for state in _STATES}
        amounts: dict[tuple[str, str], int] = defaultdict(int)
        oldest: dict[tuple[str, str], float] = {}
        for row in known.refunds:
            place = (row.provider, row.state)
            counts[place] = counts.get(place, 0) + row.refunds
            amounts[row.provider, row.currency] += row.amount_minor
            oldest[place] = min(oldest.get(place, float("inf")), row.state_since.timestamp())
        for family, values in ((count, counts), (minor, amounts), (since, oldest)):
            for labels, value in values.items():
                family.add_metric(labels, value)
    yield from (count, minor, since)


def _late(known: _Open | None) -> Iterator[Metric]:
    parked = _family("annul_parked_open", "Parked messages that wait for a person", "reason")
    parked_since = _family("annul_parked_oldest_timestamp_seconds", "When the first of them was parked", "reason")
    timers = _family("annul_timers_overdue", "Scheduled messages whose time has come and that nobody has sent")
    timers_since = _family("annul_timers_overdue_timestamp_seconds", "When the first of them was due")
    actions = _family("annul_actions_open", "Actions of people that are not carried out yet")
    actions_since = _family("annul_actions_oldest_timestamp_seconds", "When the first of them was asked for")
    sellers = _family("annul_sellers_known", "Sellers in the table of statistics")
    caught_up = _family("annul_sellers_caught_up", "1 while the table holds all that was decided")
    paused = _family("annul_consumer_paused", "1 while a person has paused the worker", "worker")
    read_at = _family("annul_standing_timestamp_seconds", "When PostgreSQL was last asked for what stands open")
    if known is not None:
        for row in known.parked:
            parked.add_metric([row["reason"]], row["messages"])
            parked_since.add_metric([row["reason"]], row["since"].timestamp())
        for count, since, row in (
            (timers, timers_since, known.timers),
            (actions, actions_since, known.actions),
        ):
            count.add_metric([], row[0])
            if row["since"] is not None:
                since.add_metric([], row["since"].timestamp())
        sellers.add_metric([], known.sellers["sellers"])
        caught_up.add_metric([], float(known.sellers["caught_up"]))
        for worker in PAUSABLE:
            paused.add_metric([worker], float(worker in known.paused))
        read_at.add_metric([], known.at)
    yield from (parked, parked_since, timers, timers_since, actions, actions_since, sellers, caught_up, paused, read_at)
