"""`annul bench` for people and machines."""

import sys

import msgspec
from rich.console import Console
from rich.table import Table

from workers.bench.cancellations import Report, bench_cancellations


async def run(*, messages: int, rounds: int, as_json: bool) -> None:
    """Measure and print."""
    report = await bench_cancellations(messages, rounds)
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _print(report)


def _print(report: Report) -> None:
    table = Table(title=f"{report.messages:,} cancellations, end to end, one process each")
    for heading in ("round", "Annul /s", "bare getmany → COPY /s", "ratio", "records a batch"):
        table.add_column(heading, justify="right")
    for number, one in enumerate(report.rounds, 1):
        table.add_row(
            str(number),
            f"{one.annul_per_s:,.0f}",
            f"{one.bare_per_s:,.0f}",
            f"{one.annul_per_s / one.bare_per_s:.3f}",
            f"{one.records_per_batch:.0f}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"cancellations: {report.annul_per_s:,.0f}/s end to end (Kafka in, recorded, commands out, offset committed); "
        f"bare loop: {report.bare_per_s:,.0f}/s; ratio {report.ratio:.3f} (medians)"
    )
