"""The model's claim says of every case what the SQL says of it."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from kit.builders import tender
from kit.desk import Desk
from msgspec.structs import replace

from model.claiming import Asked, claim_of
from schemas.refunds import RefundIssue
from workers.claims import claim
from workers.domain.policy import RefundPolicy
from workers.domain.refund_types import TRANSITIONS
from workers.store.database import Database

NEWEST = 3
LEASE = timedelta(seconds=RefundPolicy().lease_s)
KEPT = RefundPolicy().key_kept("card")


@pytest.mark.parametrize("state", TRANSITIONS)
async def test_the_models_claim_is_the_claim(database: Database, observer: Any, state: str) -> None:
    """Whether newest, claimed, forgotten and disputed: a refund for each combination, all asked for in one batch."""
    desk = Desk(database)
    cases = [Asked(state, *case) for case in product((True, False), repeat=4)]
    commands = [await _command(desk, observer, f"ord_{number}", case) for number, case in enumerate(cases)]
    async with desk.transaction() as connection:
        answers = await claim(connection, commands, "one", LEASE, key_kept=KEPT)
    assert [answer.word for answer in answers] == [claim_of(case) for case in cases]


@pytest.mark.parametrize(("after_s", "word"), [(-2, "claimed"), (2, "key_forgotten")])
async def test_a_key_counts_as_forgotten_where_the_lease_and_a_stall_may_end_after_its_retention(
    database: Database, observer: Any, after_s: int, word: str
) -> None:
    """As in the model: claimed is refused from the key's first claim on, plus retention, less stall and lease."""
    policy = RefundPolicy()
    case = Asked("requested", is_newest=True, claimed=False, forgotten=False, disputed=False)
    age = policy.key_retention["card"] - policy.longest_stall - LEASE + timedelta(seconds=after_s)
    desk = Desk(database)
    command = await _command(desk, observer, "ord_1", case, age)
    async with desk.transaction() as connection:
        (answer,) = await claim(connection, [command], "one", LEASE, key_kept=KEPT)
    assert answer.word == word


async def _command(desk: Desk, observer: Any, order_id: str, case: Asked, age: timedelta | None = None) -> RefundIssue:
    """A refund as the case has it; the key was used before, by an earlier attempt."""
    reference = f"pi_{order_id}"
    (command,) = await desk.cancel(order_id, tender(reference=reference))
    await observer.execute(
        """UPDATE refunds SET state = $2, attempt = $3, revision = revision + 1, settled_at = annul_now()
            WHERE refund_id = $1""",
        command.refund_id,
        case.state,
        NEWEST,
    )
    asked_for = NEWEST if case.is_newest else NEWEST - 1
    first_used = timedelta(days=2 if case.forgotten else 0) if age is None else age
    for attempt in (1, asked_for) if case.claimed else (1,):
        await observer.execute(
            "INSERT INTO refund_attempts VALUES ($1, $2, 'another', annul_now() - $3::interval, annul_now())",
            command.refund_id,
            attempt,
            first_used,
        )
    if case.disputed:
        await observer.execute(
            "INSERT INTO disputes VALUES ('card', $1, $2, 'needs_response', true, annul_now())",
            f"dp_{order_id}",
            reference,
        )
    return replace(command, attempt=asked_for)
