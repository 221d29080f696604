"""`annul chaos` for people and machines."""

import asyncio
import sys

import msgspec
from rich.console import Console

from workers.chaos.proving import Proof
from workers.chaos.run import Report, Wishes
from workers.chaos.run import run as run_chaos
from workers.commands.output import cell


async def run(wishes: Wishes, *, as_json: bool) -> bool:
    """Prove it; True only if there is no difference anywhere."""
    console = Console(stderr=as_json, highlight=False)
    try:
        report = await run_chaos(wishes, lambda line: console.print(cell(line)))
    except asyncio.CancelledError:  # SIGTERM
        console.print("ended before anything was proved")
        return False
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _print(report, console)
    return report.ok


def _print(report: Report, console: Console) -> None:
    done = ", ".join(f"{count} x {kind}" for kind, count in sorted(report.acts.items()))
    unasked = ", ".join(f"{count} with code {code}" for code, count in report.ended_unasked.items())
    lines = [
        f"Seed {report.seed}: {report.outcomes:,} outcomes of {report.sellers:,} sellers, {report.sent:,} records sent",
        f"Processes: {done}; {report.rebalances} rebalances seen, at most {report.most_members} members",
        f"Ended unasked: {unasked or 'none'}; the longest leave took {report.longest_leave_s:.1f} s",
        f"Rows: {report.rows_on_the_way:,}, {report.wrong_on_the_way} wrong, {report.late_on_the_way} after newer ones",
        "Warnings and worse in the workers' logs:",
        *(f"  {count:6} {event}" for event, count in sorted(report.log_events.items())),
    ]
    for line in lines:
        console.print(cell(line))
    for proof in report.proofs:
        _print_proof(proof, console)
    if report.logs:
        console.print(cell(f"Logs: {report.logs}"))
    well = "[green]zero differences[/green]" if report.ok else "[red]not equal[/red]"
    console.print(f"{well}; {report.seconds:.0f} s in all")


def _print_proof(proof: Proof, console: Console) -> None:
    if proof.equal_s is not None:
        word = f"table = rows = SQL for {proof.sellers:,} sellers after {proof.equal_s:.1f} s"
    else:
        word = f"{proof.differing:,} differ"
    console.print(cell(f"After {proof.after}: {word}"), style="green" if proof.equal_s is not None else "red")
    for one in proof.differences:
        console.print(cell(f"  {one.where} {one.seller_id} {one.what}: {one.found}, not {one.expected}"))
