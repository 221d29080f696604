"""One order's refunds on a real PostgreSQL, step by step, at a time of the test's: for stories about money."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kit import builders
from kit.clock import VirtualClock
from kit.database import set_clock
from kit.desk import Desk, commands_of, results_of
from kit.provider import PlayedProvider, pauses_of
from schemas.base import Message
from schemas.orders import Tender
from schemas.refunds import RefundAction, RefundFlagged, RefundIssue, RefundLookUp, RefundResult
from schemas.topics import REFUNDS_DUE, REFUNDS_RESULTS
from workers.adapter import Adapter
from workers.claims import claim, refused
from workers.domain.policy import RefundPolicy
from workers.pipeline.emit import Emitter
from workers.pipeline.messages import Verdict, unpack_one
from workers.pipeline.ports import Outgoing
from workers.refunds import Refunds
from workers.store.database import Database
from workers.store.queries import names, sql
from workers.telemetry import Metrics
from workers.wallet import Wallet

START: Final = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LEASE: Final = timedelta(seconds=RefundPolicy().lease_s)
STALL: Final = RefundPolicy().longest_stall
_decode_due = REFUNDS_DUE.decoders()["refund.due"].decode
_decode_result = REFUNDS_RESULTS.decoders()["refund.result"].decode


class Life:
    """What happens to the refunds of an order. What was emitted is kept, the newest last."""

    def __init__(self, database: Database, observer: Any, policy: RefundPolicy | None = None) -> None:
        self.policy = policy or RefundPolicy()
        self.desk = Desk(database)
        self.handler = Refunds(self.policy, random.Random(1))
        self.now = START
        self.told: list[str] = []
        """Types of all events and commands."""
        self._observer = observer

    async def begin(self, *tenders: Tender) -> RefundIssue:
        """An order is cancelled; the command of its first refund."""
        await set_clock(self._observer, self.now)
        (command, *_) = await self.desk.cancel(builders.ORDER, *tenders)
        return command

    async def later(self, after: timedelta) -> None:
        """Time passes."""
        self.now += after
        await set_clock(self._observer, self.now)

    async def decide(self, said: Message) -> Verdict:
        """Whoever decides refunds hears something."""
        (verdict,) = await self.desk.decide(self.handler, said)
        self.told += [emission.type for emission in verdict.emissions]
        return verdict

    async def hear(self, outcome: str, **changes: Any) -> Verdict:
        """A provider's answer, of the first refund where nothing else is said."""
        return await self.decide(builders.result(outcome, observed_at=self.now, **changes))

    async def wake(self, refund_id: str = builders.REFUND) -> Verdict:
        """Let the time pass until a refund's due row fires, and decide what it says."""
        row = await self._observer.fetchrow(
            "SELECT due_at, message FROM scheduled_messages WHERE schedule_id = $1 AND state = 'waiting'",
            f"refund:{refund_id}",
        )
        assert row is not None, "nothing will wake it"
        await self.later(max(row["due_at"] - self.now, timedelta(0)))
        await self._observer.execute(
            "UPDATE scheduled_messages SET state = 'fired', fired_at = annul_now() WHERE schedule_id = $1",
            f"refund:{refund_id}",
        )
        return await self.decide(_decode_due(unpack_one(row["message"]).value or b""))

    async def wake_until(self, state: str, refund_id: str = builders.REFUND) -> None:
        """Let it wake until it is in a state."""
        for _ in range(20):
            if (await self.refund(refund_id))["state"] == state:
                return
            await self.wake(refund_id)
        raise AssertionError(f"it never is {state}")

    async def flag(self, code: str = "odd") -> Verdict:
        """Something doesn't add up."""
        return await self.decide(
            RefundFlagged(refund_id=builders.REFUND, order_id=builders.ORDER, code=code, observed_at=self.now)
        )

    async def click(self, kind: str, action_id: str, revision: int, refund_id: str = builders.REFUND) -> RefundAction:
        """A person asks for something, on a refund as they saw it; the message that tells of it."""
        await self._observer.execute(
            """INSERT INTO manual_actions (action_id, refund_id, order_id, kind, revision, actor, reason, evidence,
                                           asked_at, needs_second)
               VALUES ($1, $2, $3, $4, $5, 'ana', 'the client asked', 'a receipt', annul_now(), false)""",
            action_id,
            refund_id,
            builders.ORDER,
            kind,
            revision,
        )
        return RefundAction(refund_id=refund_id, order_id=builders.ORDER, action_id=action_id)

    async def act(self, kind: str, action_id: str = "act_1") -> Verdict:
        """A person asks for something on the refund as it is now, and it is decided."""
        return await self.decide(await self.click(kind, action_id, (await self.refund())["revision"]))

    async def claim(self, command: RefundIssue) -> str:
        """An adapter takes a command; the word that it gets."""
        kept = self.policy.key_kept(command.provider)
        async with self.desk.transaction() as connection:
            (answer,) = await claim(connection, [command], "one", LEASE, key_kept=kept)
        return answer.word

    async def refusal_of(self, command: RefundIssue) -> RefundResult:
        """What an adapter says of a command that it may not carry out."""
        kept = self.policy.key_kept(command.provider)
        async with self.desk.transaction() as connection:
            (answer,) = await claim(connection, [command], "one", LEASE, key_kept=kept)
        (result,) = results_of([refused(command, answer, self.now)])
        return result

    async def credit(self, command: RefundIssue, *, heard: bool = True) -> None:
        """The wallet takes a command, and what it says is heard, or not yet."""
        for said in results_of(await self.desk.decide(Wallet("wallet", LEASE), command)):
            if heard:
                await self.decide(said)

    async def refund(self, refund_id: str = builders.REFUND) -> Any:
        """Its row."""
        return await self._observer.fetchrow("SELECT * FROM refunds WHERE refund_id = $1", refund_id)

    async def successor(self) -> Any:
        """The row of the refund that took the first one's place; None where none did."""
        return await self._observer.fetchrow("SELECT * FROM refunds WHERE redirected_from = $1", builders.REFUND)

    async def lines(self) -> list[str]:
        """The kinds of the ledger's lines, in order of time, but for the opening of escrow."""
        rows = await self._observer.fetch(
            """SELECT kind FROM ledger_transfers WHERE kind NOT IN ('captured', 'refunded_before', 'refund_requested')
                ORDER BY posted_at, kind"""
        )
        return [row["kind"] for row in rows]

    async def balance(self, account: str) -> int:
        """What is in an account of the ledger."""
        found: int = await self._observer.fetchval(
            """SELECT COALESCE(sum(CASE WHEN credit_account = $1 THEN amount_minor ELSE -amount_minor END), 0)
                 FROM ledger_transfers WHERE $1 IN (credit_account, debit_account)""",
            account,
        )
        return found

    async def check(self) -> None:
        """What `annul verify` asks the tables holds."""
        for name in names("verify_i"):
            if "$2" not in sql(name):
                assert not await self._observer.fetch(sql(name), 100), name


class Sent:
    """A producer that keeps what it is given."""

    def __init__(self) -> None:
        self.results: list[RefundResult] = []

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send_all(self, records: Sequence[Outgoing]) -> None:
        self.results += [_decode_result(record.value or b"") for record in records]


def by_hand(provider: PlayedProvider, sent: Sent, clock: VirtualClock, database: Database) -> Adapter:
    """An adapter without a pipeline."""
    return Adapter(
        provider,
        Emitter(sent, clock),
        clock,
        Metrics(),
        pauses_of(provider, database, clock),
        process="one",
        concurrency=5,
        deadline_s=10,
        lease_s=LEASE.total_seconds(),
    )


def issue_in(verdict: Verdict) -> RefundIssue:
    """The one command that a verdict sends."""
    (command,) = commands_of([verdict])
    assert isinstance(command, RefundIssue)
    return command


def look_up_in(verdict: Verdict) -> RefundLookUp:
    """The one look-up that a verdict asks for."""
    (command,) = commands_of([verdict])
    assert isinstance(command, RefundLookUp)
    return command
