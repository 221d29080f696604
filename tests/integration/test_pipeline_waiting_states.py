"""Whatever a refund waits for, the row that will wake it is written with it: a lost message leaves nothing for ever."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit.builders import cancelled, result, tender
from kit.database import set_clock
from kit.desk import Desk, commands_of, messages_of

from schemas.refunds import RefundDue, RefundIssue, RefundLookUp, RefundResult
from schemas.topics import REFUNDS_DUE
from workers.cancellations import Cancellations
from workers.claims import claim
from workers.domain.policy import RefundPolicy
from workers.pipeline.messages import Verdict, unpack_one
from workers.refunds import Refunds
from workers.store.database import Database

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
_decode = REFUNDS_DUE.decoders()["refund.due"].decode
WAITING = ("requested", "retrying", "uncertain", "pending", "succeeded", "declined", "bounced")


class Life:
    """One refund: what happens to it, and what wakes it."""

    def __init__(self, desk: Desk, observer: Any) -> None:
        self.desk = desk
        self.now = START
        self.waits = True
        """Off once nothing is waited for any more, though the state is one that may wait."""
        self._observer = observer
        self._revision = 0
        self._handler = Refunds(RefundPolicy(), random.Random(1))

    async def hear(self, outcome: str, **changes: Any) -> Verdict:
        """A provider's answer."""
        return await self._decide(result(outcome, **changes))

    async def wake(self) -> Verdict:
        """Let the time pass until the due row fires, and decide what it says."""
        ((due_at, message),) = await self._observer.fetch(
            "SELECT due_at, message FROM scheduled_messages WHERE subject LIKE 'rfd%' AND state = 'waiting'"
        )
        self.now = max(self.now, due_at)
        await set_clock(self._observer, self.now)
        return await self._decide(_decode(unpack_one(message).value or b""))

    async def _decide(self, said: RefundResult | RefundDue) -> Verdict:
        async with self.desk.transaction() as connection:
            (verdict,) = await self.desk.decide_in(connection, self._handler, said)
        await self.check()
        return verdict

    async def check(self) -> None:
        """What waits has a row to wake it, of its own revision, in the future, written by the same transaction."""
        rows = await self._observer.fetch(
            """SELECT r.state, r.revision, r.xmin::text AS written_by, s.xmin::text AS woken_by, s.due_at,
                      s.revision AS due_revision, s.state AS due_state
                 FROM refunds AS r LEFT JOIN scheduled_messages AS s ON s.schedule_id = 'refund:' || r.refund_id"""
        )
        assert rows
        for row in rows:
            if row["state"] in WAITING and self.waits:
                assert (row["due_state"], row["due_revision"]) == ("waiting", row["revision"])
                assert row["due_at"] > self.now
                assert self._revision == row["revision"] or row["woken_by"] == row["written_by"]
            elif self.waits:
                assert row["due_state"] == "withdrawn"
            self._revision = row["revision"]

    async def state(self) -> str:
        found: str = await self._observer.fetchval("SELECT state FROM refunds")
        return found

    async def gate(self) -> str | None:
        found: str | None = await self._observer.fetchval("SELECT gate FROM refunds")
        return found


@pytest.fixture
async def life(database_url: str, observer: Any) -> AsyncIterator[Life]:
    await set_clock(observer, START)
    database = Database(database_url)
    living = Life(Desk(database), observer)
    await living.desk.decide(Cancellations(living.desk.policy), cancelled(cancelled_at=START))
    await living.check()
    yield living
    await database.close()


@pytest.mark.parametrize("outcome", ["retryable", "uncertain", "pending", "succeeded"])
async def test_every_state_that_waits_is_woken(life: Life, outcome: str) -> None:
    await life.hear(outcome)
    assert await life.state() in WAITING


async def test_a_command_that_got_lost_is_sent_again_and_again(life: Life) -> None:
    for _ in range(5):
        verdict = await life.wake()
        assert [(type(one), one.attempt) for one in commands_of([verdict])] == [(RefundIssue, 1)]
    assert await life.state() == "requested"


async def test_a_claim_without_a_result_is_swept_once_its_lease_has_run_out(life: Life, observer: Any) -> None:
    command = await command_of(observer)
    await set_clock(observer, START + timedelta(seconds=40))
    async with life.desk.transaction() as connection:
        await claim(connection, [command], "one", timedelta(seconds=30))
    assert messages_of([await life.wake()]) == []  # at 45 s the lease has 25 s left
    assert await life.state() == "requested"
    await life.wake()
    assert life.now > START + timedelta(seconds=70)
    assert await life.state() == "uncertain"


async def test_an_uncertain_refund_asks_until_it_knows_and_sends_again_what_was_not_found(life: Life) -> None:
    await life.hear("uncertain")
    asked = [commands_of([await life.wake()]) for _ in range(3)]
    (look_up,) = asked[-1]
    assert isinstance(look_up, RefundLookUp)
    await life.hear("not_found", via="look_up", look_up_no=look_up.look_up_no)
    assert await life.state() == "retrying"
    (again,) = commands_of([await life.wake()])
    assert isinstance(again, RefundIssue)
    assert again.attempt == 2


async def test_a_pending_refund_asks_until_it_knows(life: Life) -> None:
    await life.hear("pending", provider_refund_id="re_1")
    for _ in range(3):
        (look_up,) = commands_of([await life.wake()])
        assert isinstance(look_up, RefundLookUp)
    await life.hear("succeeded", provider_refund_id="re_1")
    assert await life.state() == "succeeded"


async def test_a_success_is_audited_four_times_and_then_left_alone(life: Life) -> None:
    await life.hear("succeeded", provider_refund_id="re_1")
    days = []
    for left in (3, 2, 1, 0):
        life.waits = left > 0
        (look_up,) = commands_of([await life.wake()])
        days.append((life.now - START).days)
        assert isinstance(look_up, RefundLookUp)
        await life.hear("succeeded", via="look_up", look_up_no=look_up.look_up_no, provider_refund_id="re_1")
    assert days == [1, 5, 14, 30]


async def test_what_a_person_must_look_at_waits_for_no_row(life: Life) -> None:
    await life.hear("rejected")
    assert await life.state() == "needs_review"


async def test_a_declined_refund_asks_until_nothing_can_be_alive_and_goes_another_way(
    life: Life,
) -> None:
    await life.hear("declined", provider_code="lost_or_stolen_card")
    asked = [commands_of([await life.wake()]) for _ in range(3)]
    (look_up,) = asked[-1]
    assert isinstance(look_up, RefundLookUp)
    verdict = await life.hear("not_found", via="look_up", look_up_no=look_up.look_up_no)
    (issue,) = commands_of([verdict])
    assert isinstance(issue, RefundIssue)
    assert issue.provider == "wallet"


async def test_a_refund_that_is_refused_until_its_key_is_forgotten_waits_at_the_gate_for_a_new_one(life: Life) -> None:
    for attempt in range(1, 200):
        await life.hear("retryable", attempt=attempt, retry_after_s=3600)
        if await life.gate() is not None:
            break
        await life.wake()
    assert await life.gate() == "renew"
    assert life.now < START + timedelta(days=1)  # a card's key is forgotten after that
    (look_up,) = commands_of([await life.wake()])
    assert isinstance(look_up, RefundLookUp)


async def test_every_tender_of_an_order_has_a_row_of_its_own(database: Database, observer: Any) -> None:
    tenders = [tender(f"tnd_{provider}", provider=provider) for provider in ("card", "paypal", "wallet")]
    await Desk(database).cancel("ord_1", *tenders)
    rows = await observer.fetch("SELECT count(*) FROM scheduled_messages WHERE schedule_id LIKE 'refund:%'")
    assert rows[0][0] == 3


async def command_of(observer: Any) -> RefundIssue:
    """The refund's first command."""
    (row,) = await observer.fetch("SELECT * FROM refunds")
    known = dict(row)
    return RefundIssue(**{name: known[name] for name in RefundIssue.__struct_fields__ if name in known})
