"""Refunds as rows and as a provider lists them, and a provider that tells what a test gives it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.refunds import RefundIssue, RefundLookUp
from workers.domain.refund_types import Fact
from workers.pipeline.messages import unpack_one
from workers.pipeline.ports import Outgoing
from workers.providers.port import Answer, ListedRefund, ListFailed
from workers.reconcile.run import Plan
from workers.reconcile.types import Ours

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=30)
LAG = timedelta(hours=6)
CUTOFF = NOW - LAG
PERIOD = timedelta(days=2)


def fact(provider_refund_id: str = "re_1", **changes: Any) -> Fact:
    """A refund of the provider's that succeeded long ago, as we hold it."""
    fields = {"refund_id": "rfd_1", "standing": "succeeded", "code": None, "heard_at": LONG_AGO}
    return Fact(provider_refund_id=provider_refund_id, **{**fields, **changes})


def ours(refund_id: str = "rfd_1", *facts: Fact, **changes: Any) -> Ours:
    """A card refund of 45.00 EUR that succeeded long ago, unless `changes` and `facts` say otherwise."""
    fields: dict[str, Any] = {
        "order_id": f"ord_{refund_id}",
        "tender_id": "tnd_1",
        "provider": "card",
        "reference": f"pi_{refund_id}",
        "amount_minor": 4500,
        "currency": "EUR",
        "idempotency_key": f"annul-{refund_id}",
        "state": "succeeded",
        "attempt": 1,
        "look_up_no": 1,
        "first_issued_at": LONG_AGO,
        "asked_at": LONG_AGO,
        "issued_at": LONG_AGO,
        "provider_refund_id": facts[0].provider_refund_id if facts else None,
        "refunded_before_minor": 0,
    }
    return Ours(refund_id=refund_id, facts=facts, **{**fields, **changes})


def listed(provider_refund_id: str = "re_1", **changes: Any) -> ListedRefund:
    """The same, as the provider lists it."""
    fields: dict[str, Any] = {
        "reference": "pi_rfd_1",
        "refund_id": "rfd_1",
        "standing": "succeeded",
        "amount_minor": 4500,
        "currency": "EUR",
        "made_at": LONG_AGO,
    }
    return ListedRefund(provider_refund_id=provider_refund_id, **{**fields, **changes})


def plan(**changes: Any) -> Plan:
    """The two days before `NOW`, and no samples."""
    fields: dict[str, Any] = {
        "period_from": NOW - PERIOD,
        "period_to": NOW,
        "lag": LAG,
        "sample": 0,
        "uncertain_after": timedelta(minutes=5),
        "pending_after": timedelta(hours=1),
    }
    return Plan(**{**fields, **changes})


class TellingProvider:
    """Fills the provider's port: its list is `refunds`, and a look-up finds what is in it."""

    def __init__(self, name: str = "card", *refunds: ListedRefund) -> None:
        self.name = name
        self.refunds = list(refunds)
        self.asked: list[RefundLookUp] = []
        self.periods: list[tuple[datetime, datetime]] = []
        self.breaks_after: int | None = None
        self.answer: Answer | None = None
        """What every look-up comes to; None: what the list says."""
        self.hold: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.closed = False

    async def issue(self, command: RefundIssue) -> Answer:
        raise AssertionError("reconciliation moves no money")

    async def look_up(self, command: RefundLookUp) -> Answer:
        self.asked.append(command)
        if self.answer is not None:
            return self.answer
        for one in self.refunds:
            if one.provider_refund_id == command.provider_refund_id or (
                command.provider_refund_id is None and one.refund_id == command.refund_id
            ):
                outcome: Any = "declined" if one.standing == "failed" else one.standing
                code = "lost_or_stolen_card" if outcome == "declined" else None
                return Answer(outcome=outcome, provider_refund_id=one.provider_refund_id, code=code)
        return Answer(outcome="not_found")

    async def probe(self) -> Answer:
        return Answer(outcome="succeeded")

    async def list_refunds(self, since: datetime, until: datetime) -> AsyncIterator[ListedRefund]:
        self.periods.append((since, until))
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        for number, one in enumerate(self.refunds):
            if number == self.breaks_after:
                raise ListFailed("http_503")
            if since <= one.made_at < until:
                yield one

    async def close(self) -> None:
        self.closed = True


async def insert_refund(observer: Any, refund_id: str = "rfd_1", *facts: Fact, **changes: Any) -> None:
    """Write a refund of `ours` and its order as rows."""
    one = msgspec.structs.asdict(ours(refund_id, *facts))
    del one["facts"], one["refunded_before_minor"], one["asked_at"]
    state = changes.get("state", one["state"])
    more: dict[str, Any] = {
        "client_id": "cli_1",
        "state_since": LONG_AGO,
        "give_up_at": LONG_AGO + timedelta(days=5),
        "settled_at": LONG_AGO if state in ("succeeded", "bounced") else None,
        "revision": 3,
    }
    refunded_minor = changes.pop("refunded_minor", 0)
    row = {**one, **more, **changes}
    tender = {
        "tender_id": row["tender_id"],
        "provider": row["provider"],
        "reference": row["reference"],
        "captured_minor": row["amount_minor"] + refunded_minor,
        "refunded_minor": refunded_minor,
    }
    escrow = msgspec.json.encode({"currency": row["currency"], "tenders": [tender]})
    await observer.execute(
        """INSERT INTO orders (order_id, client_id, cancelled_at, currency, escrow, revision)
           VALUES ($1, 'cli_1', $2, $3, $4, 1) ON CONFLICT DO NOTHING""",
        row["order_id"],
        LONG_AGO,
        row["currency"],
        escrow,
    )
    names = list(row)
    marks = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    await observer.execute(f"INSERT INTO refunds ({', '.join(names)}) VALUES ({marks})", *row.values())
    for one_fact in facts:
        await observer.execute(
            "INSERT INTO refund_facts VALUES ($1, $2, $3, $4, $5)",
            refund_id,
            one_fact.provider_refund_id,
            one_fact.standing,
            one_fact.code,
            one_fact.heard_at,
        )


async def insert_due(observer: Any, refund_id: str, due_at: datetime, state: str = "waiting") -> None:
    """The row that will look at a refund again."""
    await observer.execute(
        "INSERT INTO scheduled_messages (schedule_id, subject, due_at, revision, message, state, firing_since) "
        "VALUES ('refund:' || $1::text, $1, $2, 3, '', $3, CASE WHEN $3 = 'firing' THEN $2::timestamptz END)",
        refund_id,
        due_at,
        state,
    )


async def told(observer: Any) -> list[dict[str, Any]]:
    """What reconciliation wants to be sent, as data with its type, id and topic."""
    rows = await observer.fetch(
        "SELECT message FROM scheduled_messages WHERE schedule_id LIKE 'reconcile:%' ORDER BY schedule_id"
    )
    return sorted((_data(unpack_one(row["message"])) for row in rows), key=lambda one: (one["type"], one["id"]))


def _data(sent: Outgoing) -> dict[str, Any]:
    headers = dict(sent.headers)
    data: dict[str, Any] = msgspec.json.decode(sent.value or b"")
    return {
        **data,
        "type": headers["ce_type"].decode(),
        "id": headers["ce_id"].decode(),
        "topic": sent.topic,
        "key": (sent.key or b"").decode(),
    }


async def money_rows(observer: Any) -> list[Sequence[Any]]:
    """All that only who decides refunds may change."""
    return [
        await observer.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")
        for table in ("refunds", "refund_facts", "refund_observations", "ledger_transfers", "orders")
    ]
