"""Worker `payouts`: whether a seller may be paid for an order, under the lock that its cancellation takes too."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from workers.consumers import CONSUMERS
from workers.domain.order_types import Order
from workers.domain.payout import Payout, decide_payout
from workers.handler import DatabaseHandler
from workers.pipeline.messages import Incoming, Verdict
from workers.store.recording import insert, lock, store


class Payouts(DatabaseHandler):
    """Decides payout requests, one order at a time."""

    name = "payouts"
    topics = CONSUMERS["payouts"]

    async def record(self, connection: Any, batch: Sequence[Incoming], now: datetime) -> Sequence[Verdict]:
        """One verdict a request. An order nobody knew is recorded, so that its cancellation meets this decision."""
        orders = await lock(connection, "lock_orders", Order, {message.data.order_id for message in batch})
        decided = await lock(connection, "read_payouts", Payout, {message.data.payout_id for message in batch})
        changed: dict[str, Order] = {}
        new: list[Payout] = []
        verdicts = []
        for message in batch:
            request = message.data
            order = changed.get(request.order_id) or orders.get(request.order_id) or Order(order_id=request.order_id)
            decision = decide_payout(request, order, decided.get(request.payout_id), now)
            if decision.order is not order or request.order_id not in orders:
                changed[request.order_id] = decision.order
            if decision.payout is not None:
                decided[request.payout_id] = decision.payout
                new.append(decision.payout)
            verdicts.append(Verdict(decision.label, decision.emissions, decision.fault))
        await store(connection, "orders", changed, orders)
        await insert(connection, "payouts", new)
        return verdicts
