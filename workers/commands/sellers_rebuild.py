"""`annul sellers rebuild`: the table of statistics is made again from PostgreSQL by the workers that hold it."""

import asyncio
import sys
from datetime import datetime
from typing import Any, Final

import msgspec

from workers.commands.output import cell, console, print_json, table
from workers.insight.reading import connected
from workers.settings import Settings
from workers.store.queries import sql

_LOOK_EVERY_S: Final = 0.5


class Part(msgspec.Struct, frozen=True):
    """One partition, made again."""

    partition: int
    process: str
    sellers: int
    differing: int
    finished_at: datetime


class Rebuild(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    rebuild_id: int
    partitions: int
    finished: bool
    sellers: int
    differing: int
    parts: list[Part]


async def run(settings: Settings, *, timeout_s: float, as_json: bool) -> bool:
    """Ask for it and wait; True once every partition is made again.

    Readers notice nothing: each seller's row is told again as it is, or as it should have been.
    """
    async with connected(settings) as connection:
        asked = await connection.fetchrow(sql("ask_for_rebuild"))
        if asked is None:
            sys.stderr.write("annul: no worker `sellers` has ever had the table; it is made when one starts\n")
            return False
        rebuild = await _wait(connection, asked["rebuild_id"], asked["partitions"], timeout_s, as_json=as_json)
    if as_json:
        print_json(rebuild)
    else:
        _print(rebuild)
    if not rebuild.finished:
        sys.stderr.write(
            f"annul: {len(rebuild.parts)} of {rebuild.partitions} partitions were made again within {timeout_s:g} s; "
            "the workers `sellers` go on with the rest, or begin once they run\n"
        )
    return rebuild.finished


async def _wait(connection: Any, rebuild_id: int, partitions: int, timeout_s: float, *, as_json: bool) -> Rebuild:
    end = asyncio.get_running_loop().time() + timeout_s
    told = 0
    while True:
        parts = [Part(*row) for row in await connection.fetch(sql("read_rebuild_parts"), rebuild_id)]
        if not as_json:
            for part in sorted(parts, key=lambda one: one.finished_at)[told:]:
                console().print(f"partition {part.partition}: {part.sellers:,} sellers, {part.differing:,} differed")
        told = len(parts)
        if told >= partitions or asyncio.get_running_loop().time() >= end:
            return Rebuild(
                rebuild_id=rebuild_id,
                partitions=partitions,
                finished=told >= partitions,
                sellers=sum(part.sellers for part in parts),
                differing=sum(part.differing for part in parts),
                parts=parts,
            )
        await asyncio.sleep(_LOOK_EVERY_S)


def _print(rebuild: Rebuild) -> None:
    rows = [(part.partition, part.sellers, part.differing, part.process, part.finished_at) for part in rebuild.parts]
    out = console()
    out.print(
        table(
            f"Rebuild {rebuild.rebuild_id}",
            ("partition", "sellers", "differed", "by", "at (UTC)"),
            rows,
            numbers=("partition", "sellers", "differed"),
        )
    )
    out.print(cell(f"{rebuild.sellers} sellers made again from PostgreSQL; {rebuild.differing} differed."))
