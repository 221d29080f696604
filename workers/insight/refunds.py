"""One refund closely: what it is, what is known of it, what a person may do with it now."""

from datetime import datetime
from typing import Any, Final

import msgspec

from workers.actions.asking import list_actions
from workers.actions.preview import preview
from workers.actions.rules import KINDS, Rules
from workers.domain.refund_types import Refund
from workers.store.queries import sql

_MOST_STEPS: Final = 200


class Possible(msgspec.Struct, frozen=True, kw_only=True):
    """An action: whether it would be carried out now, and if not why."""

    kind: str
    refused: str | None
    why: str | None
    needs_second: bool


class RefundView(msgspec.Struct, frozen=True, kw_only=True):
    """What `annul refund show` tells. `steps` are the latest ones, the newest first."""

    refund: Refund
    looked_at_again: datetime | None
    facts: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    actions: list[dict[str, Any]]
    disputes: list[dict[str, Any]]
    """The open ones about its payment: while there are any, nothing of it is sent to the provider."""
    possible: list[Possible]


async def show_refund(connection: Any, rules: Rules, refund_id: str) -> RefundView | None:
    """The refund; None where there is none. What is possible is played, so the connection must be allowed to write."""
    row = await connection.fetchrow(sql("read_refund"), refund_id)
    if row is None:
        return None
    refund = Refund(**row)
    possible = []
    for kind in KINDS:
        # With evidence at hand: whether there is some is known when the action is asked for.
        shown = await preview(connection, rules, refund_id, kind, evidence="to be given", revision=refund.revision)
        possible.append(Possible(kind=kind, refused=shown.refused, why=shown.why, needs_second=shown.needs_second))
    return RefundView(
        refund=refund,
        looked_at_again=await connection.fetchval(sql("read_refund_due"), refund_id),
        facts=[dict(one) for one in await connection.fetch(sql("read_facts"), [refund_id])],
        claims=[dict(one) for one in await connection.fetch(sql("read_claims"), [refund_id])],
        steps=[dict(one) for one in await connection.fetch(sql("read_refund_history"), refund_id, _MOST_STEPS)],
        actions=await list_actions(connection, refund_id=refund_id),
        disputes=[dict(one) for one in await connection.fetch(sql("read_open_disputes"), refund_id)],
        possible=possible,
    )
