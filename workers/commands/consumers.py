"""`annul consumers list`, `pause` and `resume`: where every group stands, and letting one take nothing for a while."""

import sys
from typing import Any

import msgspec

from workers.actions.holds import (
    PAUSABLE,
    ConsumerPause,
    HoldError,
    hold_consumer,
    hold_provider,
    read_consumer_pauses,
)
from workers.actions.rules import ActionError
from workers.commands.output import console, print_json, table
from workers.consumers import CONSUMERS
from workers.insight.consumers import GroupsReader, KafkaAwayError
from workers.insight.groups import Look
from workers.insight.pace import GroupNow, Pace
from workers.insight.reading import connected, snapshot
from workers.settings import Settings, SettingsError


async def list_(settings: Settings, *, as_json: bool) -> bool:
    """Print every consumer; False where one has no members while messages wait, or where Kafka can't be asked."""
    async with snapshot(settings) as connection:
        held = await read_consumer_pauses(connection)
    groups, away = await _look(settings)
    found = [_told(worker, groups.get(worker), held.get(worker)) for worker in PAUSABLE]
    if as_json:
        print_json({"kafka": away or "answers", "consumers": found})
    else:
        out = console()
        if away:
            out.print(f"Kafka does not answer ({away}): nothing is known of the groups.")
        headings = ("consumer", "now", "members", "waiting", "for", "paused by", "since (UTC)", "why")
        rows = [tuple(_shown(one)) for one in found]
        out.print(table("Consumers", headings, rows, numbers=("members", "waiting", "for")))
    return not away and not any(one["lag"] and not one["members"] and not one["paused"] for one in found)


async def hold(settings: Settings, kind: str, name: str, *, by: str, reason: str, paused: bool) -> bool:
    """Pause or resume a consumer or a provider; the same functions as the dashboard's.

    False where it stands so already. Raises SettingsError where the call is bad.
    """
    async with connected(settings) as connection:
        try:
            if kind == "consumer":
                await hold_consumer(connection, name, by, reason, paused=paused)
                woken = 0
            else:
                woken = await hold_provider(connection, name, by, reason, paused=paused)
        except ActionError as error:
            raise SettingsError(str(error)) from None
        except HoldError as error:
            if error.code.startswith("unknown_"):
                raise SettingsError(str(error)) from None
            sys.stderr.write(f"annul: {error}\n")
            return False
    more = f", {woken} refunds woken" if woken else ""
    console().print(f"{kind} {name}: {'paused' if paused else 'resumed'}{more}")
    return True


async def _look(settings: Settings) -> tuple[dict[str, GroupNow], str | None]:
    reader = GroupsReader(settings)
    try:
        look: Look = await reader.look()
    except KafkaAwayError as error:
        return {}, str(error)
    finally:
        await reader.close()
    return Pace().take(look), None


def _told(worker: str, group: GroupNow | None, pause: ConsumerPause | None) -> dict[str, Any]:
    held = pause if pause is not None and pause.paused else None
    told: dict[str, Any] = {
        "consumer": worker,
        "reads_topics": worker in CONSUMERS,
        "paused": held is not None,
        "pause": msgspec.to_builtins(held) if held is not None else None,
        "members": None,
        "lag": None,
        "lag_s": None,
    }
    if group is not None:
        told |= {"members": len(group.members), "lag": None if group.missing else group.lag, "lag_s": group.lag_s}
    return told


def _shown(one: dict[str, Any]) -> list[Any]:
    """A row; what isn't known is not shown as 0."""
    if one["paused"]:
        now = "paused"
    elif not one["reads_topics"]:
        now = "not paused"
    elif one["members"] is None:
        now = "unknown"
    else:
        now = "running" if one["members"] else "no members"
    pause = one["pause"] or {}
    waits = None if one["lag_s"] is None else f"{one['lag_s']:.0f} s"
    return [one["consumer"], now, one["members"], one["lag"], waits, *(pause.get(key) for key in _OF_PAUSE)]


_OF_PAUSE = ("by_person", "since", "reason")
