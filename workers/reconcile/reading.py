"""Our side of the comparison, read in sets."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from schemas.refunds import RefundState
from workers.domain.known_before import refunded_before
from workers.domain.refund_types import Fact, Standing
from workers.providers.port import ListedRefund
from workers.reconcile.types import Ours
from workers.store.database import Database
from workers.store.queries import sql

CHUNK: Final = 1_000
"""Rows and listed refunds at once: what bounds memory."""

_facts = msgspec.json.Decoder(tuple[Fact, ...])
_STANDS: Final[dict[RefundState, Standing]] = {
    "pending": "pending",
    "succeeded": "succeeded",
    "bounced": "failed",
    "declined": "failed",
    "redirected": "failed",
}


async def read_named(database: Database, provider: str, listed: Sequence[ListedRefund]) -> list[Ours]:
    """Ours that these may be about, by any of their names."""
    return await _read(
        database,
        provider,
        [one.refund_id for one in listed if one.refund_id is not None],
        [one.provider_refund_id for one in listed],
        [one.reference for one in listed if one.reference is not None],
    )


async def read_refunds(database: Database, provider: str, refund_ids: Sequence[str]) -> dict[str, Ours]:
    """Refunds of a provider by their ids."""
    found = {}
    for start in range(0, len(refund_ids), CHUNK):
        for ours in await _read(database, provider, list(refund_ids[start : start + CHUNK]), [], []):
            found[ours.refund_id] = ours
    return found


async def read_expected(
    database: Database, provider: str, since: datetime, until: datetime
) -> AsyncIterator[list[tuple[Ours, str]]]:
    """Ours that the list has to hold, and the provider's ids of them; in chunks."""
    async with database.transaction() as connection:
        cursor = await connection.cursor(sql("reconcile_expected"), provider, since, until)
        while rows := await cursor.fetch(CHUNK):
            known = await read_refunds(database, provider, [row["refund_id"] for row in rows])
            yield [(known[row["refund_id"]], row["provider_refund_id"]) for row in rows if row["refund_id"] in known]


async def _read(
    database: Database, provider: str, refund_ids: list[str], provider_refund_ids: list[str], references: list[str]
) -> list[Ours]:
    rows = await database.fetch("reconcile_named", provider, refund_ids, provider_refund_ids, references)
    return [_ours(row) for row in rows]


def _ours(row: Any) -> Ours:
    given = dict(row)
    escrow, facts, since = given.pop("escrow"), given.pop("facts"), given.pop("state_since")
    known = _facts.decode(facts) if facts is not None else ()
    held_id, standing = given["provider_refund_id"], _STANDS.get(given["state"])
    if held_id is not None and standing is not None and all(one.provider_refund_id != held_id for one in known):
        # Known from before facts were kept apart from the refund.
        fact = Fact(
            refund_id=given["refund_id"], provider_refund_id=held_id, standing=standing, code=None, heard_at=since
        )
        known = (*known, fact)
    return Ours(**given, facts=known, refunded_before_minor=refunded_before(escrow, given["tender_id"]))
