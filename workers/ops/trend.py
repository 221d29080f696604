"""The last hours as lines: samples of each minute put into equal steps."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from workers.insight.overview import TREND, Figures, Sample
from workers.ops.charts import line_chart
from workers.ops.language import Speech

_STEP: Final = timedelta(minutes=5)
_STEPS: Final = TREND // _STEP
_WIDTH: Final = 380
"""Of a phone, nearly: three of them lie side by side on a screen, and their texts stay readable."""
_MOST_GAP: Final = timedelta(minutes=5)


def charts_of(figures: Figures, say: Speech) -> list[tuple[str, Markup]]:
    """The heading and the plot of each line; none before there are two samples."""
    if len(figures.samples) < 2:  # noqa: PLR2004 - a line has two ends
        return []
    begin = figures.at - TREND
    lines: list[tuple[str, list[float | None]]] = [
        ("overview.trend.cancellations", steps_of(_rates(figures.samples), begin)),
        ("overview.trend.lag", steps_of([(one.at, longest_lag(one)) for one in figures.samples], begin)),
        ("overview.trend.waiting", steps_of([(one.at, float(one.waiting)) for one in figures.samples], begin)),
    ]
    first, last = f"{begin:%H:%M}", f"{figures.at:%H:%M}"
    return [(say.text(key), _drawn(say.text(key), line, say, first, last)) for key, line in lines]


def steps_of(points: Sequence[tuple[datetime, float | None]], begin: datetime) -> list[float | None]:
    """The highest of each step; None where nothing is known of it."""
    found: list[float | None] = [None] * _STEPS
    for at, value in points:
        place = (at - begin) // _STEP
        if value is not None and 0 <= place < _STEPS:
            found[place] = max(value, found[place] or 0.0)
    return found


def longest_lag(sample: Sample) -> float | None:
    """Of all consumers; None where Kafka was away, or where of one that may lag longest it wasn't known."""
    known = [value for value in (sample.lag_s or {}).values() if value is not None]
    return max(known, default=None)


def _rates(samples: Sequence[Sample]) -> list[tuple[datetime, float | None]]:
    """Cancellations a minute between one sample and the next; unknown over a gap."""
    found: list[tuple[datetime, float | None]] = []
    for before, after in pairwise(samples):
        span = after.at - before.at
        count = max(after.cancellations - before.cancellations, 0)
        found.append((after.at, count / (span / timedelta(minutes=1)) if span <= _MOST_GAP else None))
    return found


def _drawn(title: str, line: list[float | None], say: Speech, first: str, last: str) -> Markup:
    known = [value for value in line if value is not None]
    told: Callable[[float | None], str] = lambda value: "-" if value is None else say.number(round(value, 1))  # noqa: E731
    says = say.text(
        "overview.trend.says",
        now=told(line[-1] if line[-1] is not None else line[-2]),
        most=told(max(known, default=None)),
        first=first,
        last=last,
    )
    return line_chart(line, title=title, description=says, first=first, last=last, write=say.number, width=_WIDTH)
