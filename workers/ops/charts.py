"""Plots as SVG, drawn here: no script, no style attribute, readable without seeing them."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from markupsafe import Markup

_LEFT: Final = 56
_RIGHT: Final = 12
_TOP: Final = 12
_BOTTOM: Final = 26
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)

Line = Sequence[float | None]


def line_chart(
    values: Line,
    *,
    title: str,
    description: str,
    first: str,
    last: str,
    unit: str = "",
    write: Callable[[float], str] = "{:g}".format,
    width: int = 640,
    height: int = 180,
) -> Markup:
    """One line over equal steps of time, from `first` to `last`; None leaves a gap.

    `write` writes the figures at the side. `title` and `description` are what a screen reader says: the description
    should hold the figures that matter.
    """
    known = [value for value in values if value is not None]
    top = _nice(max(known, default=0.0))
    inner_width, inner_height = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    step = inner_width / max(len(values) - 1, 1)

    def x_of(place: int) -> float:
        return _LEFT + place * step

    def y_of(value: float) -> float:
        return _TOP + inner_height * (1 - value / top)

    parts = [_grid(top, unit, write, width, y_of(0), y_of(top / 2), y_of(top))]
    for run in _runs(values):
        points = " ".join(f"{x_of(place):.1f},{y_of(value):.1f}" for place, value in run)
        ends = f"{x_of(run[-1][0]):.1f},{y_of(0):.1f} {x_of(run[0][0]):.1f},{y_of(0):.1f}"
        parts.append(f'<polygon class="chart-area" points="{points} {ends}"/>')
        parts.append(f'<polyline class="chart-line" points="{points}"/>')
        if len(run) == 1:
            parts.append(f'<circle class="chart-point" cx="{x_of(run[0][0]):.1f}" cy="{y_of(run[0][1]):.1f}" r="3"/>')
    parts.append(f'<text class="chart-text" x="{_LEFT}" y="{height - 6}">{escape(first)}</text>')
    parts.append(
        f'<text class="chart-text" x="{width - _RIGHT}" y="{height - 6}" text-anchor="end">{escape(last)}</text>'
    )
    return _figure(title, description, width, height, parts)


def bar_chart(
    counts: Sequence[int],
    *,
    title: str,
    description: str,
    first: str,
    last: str,
    marked: int | None = None,
    write: Callable[[float], str] = "{:g}".format,
    width: int = 640,
    height: int = 180,
) -> Markup:
    """Bars of equal width, from `first` to `last`; the one at `marked` stands out by its shape too."""
    top = _nice(float(max(counts, default=0)))
    inner_width, inner_height = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    step = inner_width / max(len(counts), 1)
    base = _TOP + inner_height
    parts = [_grid(top, "", write, width, base, _TOP + inner_height / 2, float(_TOP))]
    for place, count in enumerate(counts):
        tall = inner_height * count / top
        left = _LEFT + place * step
        kind = "chart-bar chart-marked" if place == marked else "chart-bar"
        parts.append(
            f'<rect class="{kind}" x="{left + 1:.1f}" y="{base - tall:.1f}" width="{max(step - 2, 1):.1f}" '
            f'height="{tall:.1f}"/>'
        )
        if place == marked:
            middle = left + step / 2
            parts.append(f'<path class="chart-mark" d="M{middle:.1f} {base - tall - 2:.1f}l-5 -8h10z"/>')
    parts.append(f'<text class="chart-text" x="{_LEFT}" y="{height - 6}">{escape(first)}</text>')
    parts.append(
        f'<text class="chart-text" x="{width - _RIGHT}" y="{height - 6}" text-anchor="end">{escape(last)}</text>'
    )
    return _figure(title, description, width, height, parts)


def _grid(top: float, unit: str, write: Callable[[float], str], width: int, *heights: float) -> str:
    labels = (f"{escape(write(value))}{escape(unit)}" for value in (0.0, top / 2, top))
    return "".join(
        f'<line class="chart-grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="chart-text" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        for label, y in zip(labels, heights, strict=True)
    )


def _runs(values: Line) -> list[list[tuple[int, float]]]:
    runs: list[list[tuple[int, float]]] = []
    before: float | None = None
    for place, value in enumerate(values):
        if value is not None:
            if before is None:
                runs.append([])
            runs[-1].append((place, value))
        before = value
    return runs


def _nice(most: float) -> float:
    """A round number at or above `most`, never 0."""
    if most <= 0:
        return 1.0
    size = 10.0 ** (len(str(int(most))) - 1) if most >= 1 else 0.1
    return next((step * size for step in _STEPS if step * size >= most), most)


def _figure(title: str, description: str, width: int, height: int, parts: Sequence[str]) -> Markup:
    # All that came from outside is escaped above.
    return Markup(  # noqa: S704
        f'<figure><svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(f"{title}. {description}")}">'
        f"{''.join(parts)}</svg></figure>"
    )
