"""`annul bench sellers` for people and machines."""

import statistics
from typing import Final

from rich.table import Table

from workers.bench.sellers.run import OURS, Report, Wishes, bench_sellers
from workers.commands.output import cell, console, print_json

_NAMES: Final = {
    OURS: "Annul",
    "faust": "plain faust agent",
    "bare": "bare aiokafka",
    "quixstreams": "quixstreams",
}
_WANTED: Final = 3


async def run(wishes: Wishes, *, as_json: bool) -> None:
    """Measure and print."""
    report = await bench_sellers(wishes)
    if as_json:
        print_json(report)
    else:
        _print(report)


def _print(report: Report) -> None:
    terminal = console()
    terminal.print(_table(report))
    rows = statistics.mean(one.rows for one in report.rounds)
    sends = statistics.mean(one.sends for one in report.rounds)
    ratios = "; ".join(f"Annul to {_NAMES[name]} {ratio:.2f}" for name, ratio in report.ratios.items())
    others = "the others fold and write their changelog, nothing more"
    lines = [
        f"{ratios} (medians of the rounds; wanted to the plain faust agent: {_WANTED})",
        f"Annul sent {rows:,.0f} rows of statistics a round besides, in {sends:.0f} goes; {others}.",
        "Each folded everything: as many sellers and counts as were sent.",
        *(f"{_NAMES[name]}: {why}" for name, why in report.left_out.items()),
    ]
    if (restored := report.restored) is not None:
        lines.append(
            f"Restored {restored.sellers:,} sellers of {restored.value_bytes:.0f} bytes each: ready "
            f"{restored.seconds:.1f} s after the start ({restored.empty_s:.1f} s with an empty table), "
            f"{restored.resident_mb:,.0f} MB of memory"
        )
    for line in [*lines, *report.profile]:
        terminal.print(cell(line), soft_wrap=True)


def _table(report: Report) -> Table:
    table = Table(
        title=f"{report.messages:,} outcomes of {report.sellers:,} sellers, one process each: updates a second"
    )
    table.add_column("round", justify="right")
    names = [name for name in _NAMES if name in report.medians]
    for name in names:
        table.add_column(_NAMES[name], justify="right")
    for number, one in enumerate(report.rounds, 1):
        table.add_row(str(number), *(f"{one.rates[name].per_s:,.0f}" for name in names))
    table.add_section()
    table.add_row("median", *(f"{report.medians[name].per_s:,.0f}" for name in names))
    table.add_row("µs CPU", *(f"{report.medians[name].cpu_us:.1f}" for name in names))
    return table
