"""`annul providers list`: which provider is paused, since when and why."""

from typing import Any

from workers import pauses
from workers.commands.output import console, print_json, table
from workers.insight.reading import snapshot
from workers.settings import Settings


async def list_(settings: Settings, *, as_json: bool) -> bool:
    """Print the latest pause of each provider; always True: that there is none is good news."""
    async with snapshot(settings) as connection:
        found = await pauses.read(connection)
    if as_json:
        print_json({"providers": found})
        return True
    out = console()
    if found:
        headings = ("provider", "now", "why", "detail", "by", "paused at (UTC)", "lasted", "probes", "next probe (UTC)")
        out.print(table("The latest pause of each provider", headings, map(_row, found), numbers=("lasted", "probes")))
    else:
        out.print("No provider was ever paused.")
    return True


def _row(one: pauses.Pause) -> tuple[Any, ...]:
    return (
        one.provider,
        "paused" if one.paused else "open",
        one.code,
        one.detail,
        one.by_person,
        one.paused_at,
        f"{one.lasted_s:.0f} s",
        one.probes,
        one.probe_at if one.paused and one.by_person is None else None,
    )
