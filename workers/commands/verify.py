"""`annul verify` for people and machines."""

from typing import Any

from workers.commands.output import cell, console, print_json, table
from workers.insight.verify import Report, verify
from workers.insight.violations import MOST_VIOLATIONS
from workers.settings import Settings


async def run(settings: Settings, *, topics: bool, books: bool, as_json: bool) -> bool:
    """Check and print; True where every invariant holds."""
    report = await verify(settings, topics=topics, books=books)
    if as_json:
        print_json({"ok": report.ok, "counts": report.counts, "violations": report.violations, "checks": report.checks})
    else:
        _print(report)
    return report.ok


def _print(report: Report) -> None:
    out = console()
    rows = [(check.invariant, check.holds_to, _found(check.found)) for check in report.checks]
    out.print(table("Invariants", ("", "holds to", "violations"), rows, numbers=("violations",)))
    if report.violations:
        broken = [(one.invariant, one.subject, one.detail) for one in report.violations]
        out.print(table("Violations", ("", "subject", "detail"), broken))
    out.print(cell("; ".join(_counted(name, count) for name, count in report.counts.items())))
    out.print("All hold." if report.ok else f"{len(report.violations)} violation(s).")


def _found(count: int) -> str:
    return f"{count} or more" if count >= MOST_VIOLATIONS else str(count)


def _counted(name: str, count: Any) -> str:
    if isinstance(count, dict):
        count = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in sorted(count.items())) or "none"
    return f"{name.replace('_', ' ')}: {count}"
