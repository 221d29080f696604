"""`annul audit list`: who did what, for people and machines."""

from typing import Any

from workers.commands.output import cell, console, print_json, table
from workers.insight.audit import list_audit
from workers.settings import Settings


async def list_(settings: Settings, *, subject: str | None, actor: str | None, limit: int, as_json: bool) -> bool:
    """Print entries; always True: that there are none is no fault."""
    found = await list_audit(settings, subject=subject, actor=actor, limit=limit)
    if as_json:
        print_json(found)
        return True
    out = console()
    if not found["entries"]:
        out.print("No such entry.")
        return True
    names = ("seq", "at", "actor", "what", "subject")
    rows = [(*(one[name] for name in names), _text_of(one["detail"])) for one in found["entries"]]
    out.print(table("Audit chain", ("no.", "at (UTC)", "who", "what", "subject", "detail"), rows, numbers=("no.",)))
    out.print(cell(f"Head: {found['head']['seq']} {found['head']['hash']}"))
    return True


def _text_of(detail: Any) -> str:
    if not isinstance(detail, dict):
        return str(detail)
    return "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in detail.items() if value is not None)
