"""Worker `refunds`: the only place that changes a refund's state, whatever way the news came."""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from schemas.base import Fault
from schemas.refunds import RefundDue, RefundResult
from workers.consumers import CONSUMERS
from workers.domain.ledger import credit_id
from workers.domain.order_types import Order
from workers.domain.policy import RefundPolicy
from workers.domain.refund import RefundDecision, Situation, decide_due, decide_result
from workers.domain.refund_types import Claim, Refund
from workers.domain.settlement import settle_order
from workers.handler import DatabaseHandler
from workers.pipeline.messages import Incoming, Verdict
from workers.store.database import columns
from workers.store.queries import sql
from workers.store.recording import Agenda, insert, lock, store, update_refunds


class Refunds(DatabaseHandler):
    """Decides results and due rows of refunds under the lock of their order."""

    name = "refunds"
    topics = CONSUMERS["refunds"]

    def __init__(self, policy: RefundPolicy, randomness: random.Random) -> None:
        self._policy = policy
        self._randomness = randomness

    async def record(self, connection: Any, batch: Sequence[Incoming], now: datetime) -> Sequence[Verdict]:
        """One verdict a message."""
        work = _Work(now, self._policy, self._randomness)
        await work.load(connection, batch)
        verdicts = [work.decide(message) for message in batch]
        await work.store(connection)
        return verdicts


class _Work:
    """What a batch knows and changes."""

    def __init__(self, now: datetime, policy: RefundPolicy, randomness: random.Random) -> None:
        self._situation = Situation(now=now, policy=policy, jitter=0.0)
        self._randomness = randomness
        self._agenda = Agenda()
        self._changed: dict[str, Refund] = {}
        self._changed_orders: dict[str, Order] = {}
        self._decisions: list[RefundDecision] = []
        self._observations: list[tuple[Any, ...]] = []

    async def load(self, connection: Any, batch: Sequence[Incoming]) -> None:
        """Lock the orders, then their refunds; claims matter only to what waits for an answer."""
        order_ids = {message.data.order_id for message in batch}
        self._orders = await lock(connection, "lock_orders", Order, order_ids)
        self._refunds = await lock(connection, "lock_refunds", Refund, order_ids)
        self._of_order: dict[str, list[str]] = {}
        for refund in self._refunds.values():
            self._of_order.setdefault(refund.order_id, []).append(refund.refund_id)
        due = {message.data.refund_id for message in batch if isinstance(message.data, RefundDue)}
        asked = [
            (refund.refund_id, refund.attempt)
            for refund in self._refunds.values()
            if refund.refund_id in due and refund.state == "requested"
        ]
        wallets = [
            (refund.order_id, credit_id(refund.refund_id))
            for refund in self._refunds.values()
            if refund.provider == "wallet"
        ]
        found = await connection.fetch(sql("read_wallet_credits"), *columns(wallets, 2)) if wallets else ()
        self._credited = {row["refund_id"] for row in found}
        rows = await connection.fetch(sql("read_claims"), *columns(asked, 2)) if asked else ()
        self._claims = {row[0]: Claim(attempt=row[1], lease_until=row[2]) for row in rows}

    def decide(self, message: Incoming) -> Verdict:
        """Decide one observation on what is known, earlier ones of the batch included."""
        said: RefundResult | RefundDue = message.data
        refund = self._changed.get(said.refund_id) or self._refunds.get(said.refund_id)
        if refund is None or refund.order_id != said.order_id:
            return Verdict("parked", fault=Fault("unknown_refund", "refund_id", "no such refund of this order"))
        if isinstance(said, RefundResult) and said.provider != refund.provider:
            return Verdict("parked", fault=Fault("contradicts_recorded", "provider", "the refund is another's"))
        if refund.provider == "wallet" and isinstance(said, RefundResult) and not self._is_true_of_wallet(said):
            fault = Fault("contradicts_recorded", "outcome", "the ledger, which is the wallet, says otherwise")
            return Verdict("parked", fault=fault)
        at = replace(
            self._situation,
            jitter=self._randomness.random(),
            client_locale=self._orders[refund.order_id].client_locale,
            claim=self._claims.get(refund.refund_id),
        )
        if isinstance(said, RefundDue):
            decision = decide_due(refund, said, at)
        else:
            decision = decide_result(refund, said, at)
            self._observe(message, said, decision.refund)
        if decision.changed:
            self._changed[refund.refund_id] = decision.refund
        emissions = [*decision.emissions, *self._settle(refund.order_id, at.now)]
        self._agenda.note(decision.later, decision.withdrawn, message.envelope.traceparent)
        self._decisions.append(decision)
        moved = decision.changed or emissions or decision.later
        return Verdict("applied" if moved else "stale", emissions)

    def _is_true_of_wallet(self, said: RefundResult) -> bool:
        """A wallet's refund is its ledger line: a credit that isn't there was not given, one that is stays given."""
        credited = said.refund_id in self._credited
        return credited if said.outcome == "succeeded" else said.outcome == "not_found" and not credited

    def _settle(self, order_id: str, now: datetime) -> list[Any]:
        order = self._changed_orders.get(order_id) or self._orders[order_id]
        refunds = [self._changed.get(key) or self._refunds[key] for key in self._of_order[order_id]]
        settled, told = settle_order(order, refunds, now)
        if told is None:
            return []
        self._changed_orders[order_id] = settled
        return [told]

    def _observe(self, message: Incoming, said: RefundResult, after: Refund) -> None:
        self._observations.append(
            (
                said.refund_id,
                message.envelope.id,
                said.attempt,
                said.outcome,
                said.via,
                said.provider_refund_id,
                said.provider_code,
                said.message,
                said.look_up_no,
                said.observed_at,
                self._situation.now,
                after.state,
                after.revision,
            )
        )

    async def store(self, connection: Any) -> None:
        """Write what changed, and every observation, also of what changed nothing."""
        await store(connection, "orders", self._changed_orders, self._orders)
        await update_refunds(connection, list(self._changed.values()))
        if self._observations:
            await connection.execute(sql("insert_observations"), *columns(self._observations, 0))
        await insert(connection, "ledger_transfers", [row for one in self._decisions for row in one.transfers])
        await self._agenda.store(connection)
