"""`annul disputes`: what is disputed, and closing it by hand, for people and machines."""

import sys

from workers.actions.disputes import close_dispute, list_disputes
from workers.actions.rules import ActionError
from workers.commands.output import cell, console, print_json, table
from workers.insight.reading import connected, snapshot
from workers.settings import Settings, SettingsError


async def list_(settings: Settings, *, only_open: bool, limit: int, as_json: bool) -> bool:
    """Print disputes; always True: that there are none is good news."""
    async with snapshot(settings) as connection:
        found = await list_disputes(connection, only_open=only_open, limit=limit)
    if as_json:
        print_json({"disputes": found})
        return True
    if not found:
        console().print("No open dispute." if only_open else "No dispute.")
        return True
    rows = [
        (
            one["dispute_id"],
            one["provider"],
            one["reference"],
            one["status"],
            "open" if one["is_open"] else "closed",
            one["heard_at"],
            ", ".join(one["refunds"]),
        )
        for one in found
    ]
    headings = ("dispute", "provider", "payment", "status", "", "heard at (UTC)", "refunds")
    console().print(table("Disputes", headings, rows))
    return True


async def close(settings: Settings, dispute_id: str, by: str, reason: str, *, as_json: bool) -> bool:
    """Close it; False, and one line on standard error, where that can't be. Raises SettingsError for a bad reason."""
    try:
        async with connected(settings) as connection:
            closed = await close_dispute(connection, dispute_id, by, reason)
    except ActionError as error:
        if error.code.startswith("bad_"):
            raise SettingsError(str(error)) from None
        sys.stderr.write(f"annul: {error}\n")
        return False
    if as_json:
        print_json({"closed": closed})
        return True
    payments = ", ".join(f"{one.provider} {one.reference}" for one in closed)
    console().print(cell(f"Closed dispute {dispute_id} about {payments}. Refunds in review stay there: retry them."))
    return True
