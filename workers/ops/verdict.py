"""Whether all is well, and what isn't, the worst first. Pure: what is known goes in, texts come out as keys."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from workers.actions.holds import ConsumerPause
from workers.consumers import CONSUMERS
from workers.insight.overview import MOST_PARKED, Figures
from workers.insight.pace import GroupNow
from workers.ops.watching import Seen
from workers.pauses import Pause

BEHIND_S: Final = 60.0
"""Messages that wait longer are late: who cancels expects the money at once."""
UNCERTAIN_FOR: Final = timedelta(minutes=15)
"""A refund is uncertain for a moment whenever a provider stumbles; longer than this a person wants to know."""

Standing = Literal["running", "behind", "stuck", "no_members", "paused", "held_back", "unknown"]
Grade = Literal["bad", "warn"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that isn't well: the key of its text and what goes into it, since when, and where to see more."""

    key: str
    grade: Grade
    values: dict[str, str | int]
    since: datetime | None
    link: str
    lag_s: float | None = None
    money: Mapping[str, int] = {}
    """What it holds, in minor units by currency."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer as it is shown."""

    worker: str
    standing: Standing
    group: GroupNow | None
    pause: ConsumerPause | None
    provider_pause: Pause | None

    @property
    def grade(self) -> Literal["good", "warn", "bad"]:
        """How bad that is."""
        if self.standing == "running":
            return "good"
        return "bad" if self.standing in ("stuck", "no_members") else "warn"


def rows_of(seen: Seen, figures: Figures) -> list[Row]:
    """Every consumer with what people and probes say of it."""
    provider_pauses = {one.provider: one for one in figures.provider_pauses if one.paused}
    rows = []
    for worker in CONSUMERS:
        pause = figures.consumer_pauses.get(worker)
        held = pause if pause is not None and pause.paused else None
        by_provider = provider_pauses.get(worker)
        group = seen.groups.get(worker)
        rows.append(
            Row(
                worker=worker,
                standing=_standing(group if seen.known else None, held, by_provider),
                group=group,
                pause=held,
                provider_pause=by_provider,
            )
        )
    return rows


def _standing(group: GroupNow | None, held: ConsumerPause | None, by_provider: Pause | None) -> Standing:
    # A person's pause explains that nothing moves; that nobody is there to be paused is another matter.
    if group is None:
        return "paused" if held is not None else "unknown"
    if group.standing == "no_members":
        return "no_members"
    if held is not None:
        return "paused"
    if by_provider is not None:
        return "held_back"
    if group.standing == "running" and (group.lag_s or 0.0) > BEHIND_S:
        return "behind"
    return group.standing


def problems_of(seen: Seen, figures: Figures) -> list[Problem]:
    """What isn't well, the worst first."""
    found = [
        *_of_kafka(seen),
        *_of_consumers(rows_of(seen, figures), figures, known=seen.known),
        *_of_pauses(figures),
        *_of_figures(figures),
    ]
    return sorted(found, key=lambda one: (one.grade != "bad", _ORDER.index(one.key)))


_ORDER: Final = (
    "overview.kafka_away",
    "overview.no_members",
    "overview.stuck",
    "overview.timers_late",
    "overview.provider_failing",
    "overview.review",
    "overview.no_topic",
    "overview.behind",
    "overview.provider_held",
    "overview.consumer_paused",
    "overview.uncertain",
    "overview.parked",
    "overview.unknown",
    "overview.unasked",
)


def _of_kafka(seen: Seen) -> Iterator[Problem]:
    if seen.at is None and seen.away_since is None:
        yield Problem(key="overview.unasked", grade="warn", values={}, since=None, link="/consumers")
    if seen.away_since is not None:
        yield Problem(key="overview.kafka_away", grade="bad", values={}, since=seen.away_since, link="/consumers")


def _of_consumers(rows: list[Row], figures: Figures, *, known: bool) -> Iterator[Problem]:
    for row in rows:
        since = _since(row)
        link = f"/consumers/{row.worker}"
        values: dict[str, str | int] = {"worker": row.worker}
        group = row.group
        if row.standing in ("stuck", "no_members", "behind") and group is not None:
            grade: Grade = "warn" if row.standing == "behind" or (group.lag == 0) else "bad"
            key = f"overview.{row.standing}"
            held = figures.money_at(row.worker)
            yield Problem(key=key, grade=grade, values=values, since=since, link=link, lag_s=group.lag_s, money=held)
        if known and group is None:
            yield Problem(key="overview.unknown", grade="warn", values=values, since=None, link=link)
        if group is not None and group.missing:
            told = {**values, "topics": ", ".join(group.missing)}
            yield Problem(key="overview.no_topic", grade="bad", values=told, since=None, link=link)


def _since(row: Row) -> datetime | None:
    group = row.group
    if group is None:
        return None
    return group.quiet_since if row.standing == "stuck" else group.waiting_since


def _of_pauses(figures: Figures) -> Iterator[Problem]:
    for worker, held in figures.consumer_pauses.items():
        if held.paused:
            told: dict[str, str | int] = {"worker": worker, "person": held.by_person}
            yield Problem(
                key="overview.consumer_paused",
                grade="warn",
                values=told,
                since=held.since,
                link=f"/consumers/{worker}",
                money=figures.money_at(worker),
            )
    for one in figures.provider_pauses:
        if one.paused:
            key = "overview.provider_failing" if one.by_person is None else "overview.provider_held"
            grade: Grade = "bad" if one.by_person is None else "warn"
            values: Mapping[str, str | int] = {
                "provider": one.provider,
                "code": one.code,
                "person": one.by_person or "",
            }
            yield Problem(
                key=key,
                grade=grade,
                values=dict(values),
                since=one.paused_at,
                link=f"/providers/{one.provider}",
                money=figures.money_at(one.provider),
            )


def _of_figures(figures: Figures) -> Iterator[Problem]:
    if figures.timers_late_since is not None:
        yield Problem(
            key="overview.timers_late", grade="bad", values={}, since=figures.timers_late_since, link="/chats"
        )
    if in_review := figures.refunds("needs_review"):
        yield Problem(
            key="overview.review",
            grade="bad",
            values={"count": in_review},
            since=figures.since("needs_review"),
            link="/refunds?state=needs_review",
            money=figures.money("needs_review"),
        )
    uncertain_since = figures.since("uncertain")
    if uncertain_since is not None and figures.at - uncertain_since > UNCERTAIN_FOR:
        yield Problem(
            key="overview.uncertain",
            grade="warn",
            values={"count": figures.refunds("uncertain")},
            since=uncertain_since,
            link="/refunds?state=uncertain",
            money=figures.money("uncertain"),
        )
    if figures.parked:
        count = f"{MOST_PARKED}+" if figures.parked > MOST_PARKED else figures.parked
        yield Problem(
            key="overview.parked", grade="warn", values={"count": count}, since=figures.parked_since, link="/parked"
        )
