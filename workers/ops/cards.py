"""The six cards of the overview: a figure each, and a line beside it."""

from datetime import timedelta
from typing import Final, Literal

import msgspec

from workers.insight.overview import MOST_CHATS, MOST_PARKED, Figures
from workers.ops.language import Speech
from workers.ops.verdict import BEHIND_S, UNCERTAIN_FOR, Row
from workers.ops.watching import Seen

_NOW: Final = timedelta(minutes=5)
_HOUR: Final = timedelta(hours=1)
Grade = Literal["", "warn", "bad"]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. `lines`: the figure, several where money is in several currencies."""

    name: str
    link: str
    lines: tuple[str, ...]
    beside: str
    grade: Grade = ""


def cards_of(seen: Seen, figures: Figures, rows: list[Row], say: Speech) -> list[Card]:
    """All six, in the order of the page."""
    return [
        _cancellations(figures, say),
        _money(figures, say),
        _lag(seen, rows, say),
        _parked(figures, say),
        _doubt(figures, say),
        _chats(figures, say),
    ]


def _cancellations(figures: Figures, say: Speech) -> Card:
    name, link = "cancellations", "/consumers/cancellations"
    lately, hour = figures.rate(_NOW), figures.rate(_HOUR)
    if lately is None or hour is None:
        unknown = (say.text("overview.unknown_figure"),)
        return Card(name=name, link=link, lines=unknown, beside=say.text("overview.card.cancellations.unknown"))
    if hour[1] - lately[1] < timedelta(minutes=1):
        beside = say.text("overview.card.cancellations.over", span=say.span(lately[1]))
    else:
        rate = say.number(round(hour[0], 1))
        beside = say.text("overview.card.cancellations.hour", span=say.span(hour[1]), rate=rate)
    return Card(name=name, link=link, lines=(say.number(round(lately[0], 1)),), beside=beside)


def _money(figures: Figures, say: Speech) -> Card:
    lines = tuple(say.money(minor, currency) for currency, minor in figures.money().items())
    oldest_at = figures.oldest_at()
    if oldest_at is None:
        none, beside = (say.text("overview.card.money.none"),), say.text("overview.card.money.settled")
        return Card(name="money", link="/refunds", lines=none, beside=beside)
    span = say.span(figures.at - oldest_at)
    beside = say.text("overview.card.money.oldest", count=say.number(figures.refunds()), span=span)
    return Card(name="money", link="/refunds", lines=lines, beside=beside)


def _lag(seen: Seen, rows: list[Row], say: Speech) -> Card:
    unknown = (say.text("overview.unknown_figure"),)
    groups = [row.group for row in rows if row.group is not None]
    known = [(group.lag_s, group) for group in groups if group.lag_s is not None]
    longest = max(known, key=lambda one: one[0], default=None)
    if not seen.known:
        beside = say.text("overview.card.lag.away" if seen.away_since else "overview.unasked")
        if longest is not None and seen.at is not None:
            was = say.text("overview.card.lag.was", span=say.span(longest[0]), at=f"{seen.at:%H:%M:%S}")
            beside = f"{beside}; {was}"
        return Card(name="lag", link="/consumers", lines=unknown, beside=beside, grade="bad" if seen.away_since else "")
    untold = [row.worker for row in rows if row.group is None or row.group.lag_s is None]
    if longest is None or (untold and longest[0] == 0):
        beside = say.text("overview.card.lag.partly", worker=", ".join(untold))
        return Card(name="lag", link="/consumers", lines=unknown, beside=beside, grade="warn")
    lag_s, group = longest
    if lag_s == 0:
        beside = say.text("overview.card.lag.none")
    else:
        beside = say.text("overview.card.lag.of", worker=group.worker, count=say.number(group.lag))
    grade: Grade = "warn" if lag_s > BEHIND_S else ""
    return Card(name="lag", link="/consumers", lines=(say.span(lag_s),), beside=beside, grade=grade)


def _parked(figures: Figures, say: Speech) -> Card:
    name, link = "parked", "/parked"
    if figures.parked_since is None:
        return Card(name=name, link=link, lines=(say.number(0),), beside=say.text("overview.card.parked.none"))
    beside = say.text("overview.card.parked.oldest", span=say.span(figures.at - figures.parked_since))
    return Card(name=name, link=link, lines=(_capped(figures.parked, MOST_PARKED, say),), beside=beside, grade="warn")


def _doubt(figures: Figures, say: Speech) -> Card:
    uncertain, review = figures.refunds("uncertain"), figures.refunds("needs_review")
    since = figures.since("uncertain")
    grade: Grade = "warn" if since is not None and figures.at - since > UNCERTAIN_FOR else ""
    if uncertain + review == 0:
        beside = say.text("overview.card.doubt.none")
    else:
        told = {"uncertain": say.number(uncertain), "review": say.number(review)}
        beside = say.text("overview.card.doubt.both", **told)
    state = "needs_review" if review else "uncertain"
    return Card(
        name="doubt",
        link=f"/refunds?state={state}",
        lines=(say.number(uncertain + review),),
        beside=beside,
        grade="bad" if review else grade,
    )


def _chats(figures: Figures, say: Speech) -> Card:
    name, link, lines = "chats", "/chats", (_capped(figures.chats, MOST_CHATS, say),)
    if figures.next_chat_at is None:
        return Card(name=name, link=link, lines=lines, beside=say.text("overview.card.chats.none"))
    if figures.timers_late_since is not None and figures.chats_overdue:
        beside = say.text("overview.card.chats.late", count=_capped(figures.chats_overdue, MOST_CHATS, say))
        return Card(name=name, link=link, lines=lines, beside=beside, grade="bad")
    left = max(figures.next_chat_at - figures.at, timedelta(0))
    return Card(name=name, link=link, lines=lines, beside=say.text("overview.card.chats.next", span=say.span(left)))


def _capped(count: int, most: int, say: Speech) -> str:
    return f"{say.number(most)}+" if count > most else say.number(count)
