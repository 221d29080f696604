"""`annul bench ops` for people and machines."""

import statistics
from collections.abc import Sequence
from typing import Final

from workers.bench.ops.beside import Pair
from workers.bench.ops.pages import Page
from workers.bench.ops.run import Report, Wishes, bench_ops
from workers.commands.output import cell, console, print_json, table

_WANTED_MS: Final = 300
_HEADINGS: Final = ("page", "median ms", "95 % ms", "KB", "rows read", "read from end to end")


async def run(wishes: Wishes, *, as_json: bool) -> None:
    """Measure and print."""
    terminal = console()

    def told(what: str) -> None:
        if not as_json:
            terminal.print(cell(what), style="dim")

    report = await bench_ops(wishes, told)
    if as_json:
        print_json(report)
        return
    title = ", ".join(f"{size:,} {name}" for name, size in report.sizes.items())
    terminal.print(table(title, _HEADINGS, [_row(page) for page in report.pages], numbers=_HEADINGS[1:5]))
    for line in _lines(report):
        terminal.print(cell(line), soft_wrap=True)


def _row(page: Page) -> tuple[str, ...]:
    scanned = ", ".join(f"{name} ({rows:,})" for name, rows in page.scanned.items())
    size = f"{page.size_bytes / 1000:.0f}"
    return (page.path, f"{page.median_ms:.1f}", f"{page.p95_ms:.1f}", size, f"{page.rows_read:,}", scanned)


def _lines(report: Report) -> list[str]:
    slow = [page.path for page in report.pages if page.median_ms > _WANTED_MS]
    whole = [page.path for page in report.pages if page.scanned]
    return [
        f"{len(report.pages)} pages, {report.requests} requests each; filled in {report.filled_s:.0f} s",
        f"slower than {_WANTED_MS} ms at the median: {', '.join(slow) or 'none'}",
        f"with a table read from end to end: {', '.join(whole) or 'none'}",
        *(f"left out: {path}: {why}" for path, why in report.left_out.items()),
        *_cost(report.pairs),
    ]


def _cost(pairs: Sequence[Pair]) -> list[str]:
    if not pairs:
        return []
    alone, watched = ([getattr(pair, name) for pair in pairs] for name in ("alone_per_s", "watched_per_s"))
    costs = [pair.cost for pair in pairs]
    line = (
        f"cancellations with people at the dashboard: {statistics.median(watched):,.0f}/s, without: "
        f"{statistics.median(alone):,.0f}/s; lost: {statistics.median(costs):.1%} at the median of {len(pairs)} pairs "
        f"({min(costs):.1%} to {max(costs):.1%})"
    )
    return [line]
