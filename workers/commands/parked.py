"""`annul parked list / show / redrive / discard` for people and machines."""

import sys
from datetime import timedelta
from typing import Any

import msgspec

from workers.commands.output import cell, console, print_json, table, when
from workers.insight.parked import NOBODY, Change, Which, discard, list_parked, read_raw, redrive, show_parked
from workers.insight.reading import named
from workers.settings import Settings


async def list_(
    settings: Settings, which: Which, *, status: str | None, since: timedelta | None, limit: int, as_json: bool
) -> bool:
    """Print the youngest of them; always True: that nothing is parked is good news."""
    found = await list_parked(settings, which, status=status, since=since, limit=limit)
    if as_json:
        print_json(found)
        return True
    rows = [
        (
            one["parked_id"],
            one["parked_at"],
            one["message_type"],
            one["order_id"],
            f"{one['reason']} ({one['field']})",
            f"{one['value_bytes']} B",
            one["status"] + (", again" if one["earlier_parked_id"] else ""),
        )
        for one in found["parked"]
    ]
    headings = ("id", "at (UTC)", "type", "order", "why", "size", "status")
    out = console()
    if rows:
        out.print(table(f"{len(rows)} of {found['total']} messages", headings, rows, numbers=("size",)))
    else:
        out.print("Nothing is parked here.")
    return True


async def show(settings: Settings, parked_id: str, *, as_json: bool) -> bool:
    """Print one closely; False, and one line on standard error, where there is none of that id."""
    found = await show_parked(settings, parked_id)
    if found is None:
        return _unknown(parked_id)
    if as_json:
        print_json(found)
        return True
    out = console()
    facts = [(name.replace("_", " "), found[name]) for name in _FACTS if found.get(name) is not None]
    facts += [("key", _sized(found["key"], "text")), ("value", _sized(found["value"], None))]
    out.print(table(f"Parked message {parked_id}", ("", ""), facts))
    headers = [(one["name"], one["bytes"], one["value"] or "***") for one in found["headers"]]
    out.print(table("Headers", ("name", "bytes", "value"), headers, numbers=("bytes",)))
    if found["value"]["json"] is not None:
        out.print("Its value, what may be personal left out (--raw prints the bytes as they are):")
        out.print(_json_text(found["value"]["json"]))
    _print_history(out, found)
    return True


_FACTS = (
    "reason",
    "field",
    "detail",
    "stage",
    "consumer_group",
    "topic",
    "partition",
    "offset",
    "message_id",
    "message_type",
    "order_id",
    "parked_at",
    "status",
    "status_at",
    "status_reason",
)


async def raw(settings: Settings, parked_id: str) -> bool:
    """Write the value's bytes, and nothing else, to standard output."""
    found = await read_raw(settings, parked_id)
    if found is None:
        return _unknown(parked_id)
    sys.stdout.buffer.write(found[0] or b"")
    sys.stdout.buffer.flush()
    return True


async def put_back(
    settings: Settings, which: Which, *, limit: int, dry_run: bool, as_json: bool, by: str = NOBODY
) -> bool:
    """Redrive and say what happens next; False where a message that was named can't be."""
    change = await redrive(settings, which, limit=limit, dry_run=dry_run, by=by)
    told = (
        "They are due now: the worker `timers` sends them. Marking and scheduling was one transaction, so none is put "
        "back twice or lost. What fails again is parked under a new id, with this one as its history."
    )
    return _tell(change, told if change.changed else "", as_json=as_json)


async def give_up(
    settings: Settings, which: Which, *, why: str, limit: int, dry_run: bool, as_json: bool, by: str = NOBODY
) -> bool:
    """Discard and say so; False where a message that was named can't be."""
    change = await discard(settings, which, why=why, limit=limit, dry_run=dry_run, by=by)
    return _tell(change, "They stay on record, with the reason." if change.changed else "", as_json=as_json)


def _tell(change: Change, told: str, *, as_json: bool) -> bool:
    if as_json:
        print_json(change)
        return change.ok
    out = console()
    done = f"{change.matched} would be {change.action}" if change.dry_run else f"{change.changed} {change.action}"
    if change.by:
        rows = [(one["reason"], one["topic"], one["count"]) for one in change.by]
        out.print(table(done, ("reason", "topic", "messages"), rows, numbers=("messages",)))
    else:
        out.print(f"Nothing {'would be' if change.dry_run else 'was'} {change.action}.")
    if told:
        out.print(told)
    left = change.matched - change.changed - sum(one["count"] for one in change.refused if "count" in one)
    if change.changed and left > 0:
        out.print(f"{left} more match; the same command goes on with them.")
    for one in change.refused:
        name = one.get("parked_id") or f"{one['count']} of {one['topic']}"
        sys.stderr.write(f"annul: {name}: {one['why']}\n")
    return change.ok


def _unknown(parked_id: str) -> bool:
    sys.stderr.write(f"annul: there is no parked message {named(parked_id)}\n")
    return False


def _sized(part: dict[str, Any], shown: str | None) -> str:
    if part["bytes"] is None:
        return "none"
    text = part[shown] if shown else None
    return f"{part['bytes']} bytes" + (f": {text}" if text is not None else "")


def _json_text(value: Any) -> Any:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    lines = [cell(line) for line in text.split("\n")]
    return type(lines[0])("\n").join(lines)


def _print_history(out: Any, found: dict[str, Any]) -> None:
    for title, name in (("Parked before, as", "earlier"), ("Parked again since, as", "again")):
        rows = [(one["parked_id"], one["parked_at"], one["reason"], one["status"]) for one in found[name]]
        if rows:
            out.print(table(title, ("id", "at (UTC)", "reason", "status"), rows))
    for one in found["sends"]:
        sent = f"sent {when(one['fired_at'])}" if one["fired_at"] else f"due {when(one['due_at'])}, {one['state']}"
        out.print(cell(f"Put back: {sent} UTC ({one['schedule_id']})."))
