"""Worker `cancellations`: every order event, and all that must follow when an order is cancelled."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schemas.orders import OrderCancelled, OrderPlaced, OrderReactivationRequested
from workers.consumers import CONSUMERS
from workers.domain.order_types import Conversation, Known, Order, OrderDecision, Seller
from workers.domain.orders import decide_order_event
from workers.domain.policy import Policy
from workers.handler import DatabaseHandler
from workers.pipeline.messages import Incoming, Verdict
from workers.store.recording import Agenda, insert, insert_outcomes, lock, store


class Cancellations(DatabaseHandler):
    """Decides order events, one order, conversation and seller at a time under their locks."""

    name = "cancellations"
    topics = CONSUMERS["cancellations"]

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def record(self, connection: Any, batch: Sequence[Incoming], now: datetime) -> Sequence[Verdict]:
        """One verdict a message."""
        work = _Work(self._policy, now)
        await work.load(connection, batch)
        verdicts = [work.decide(message) for message in batch]
        await work.store(connection)
        return verdicts


class _Work:
    """What a batch knows and changes."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        self._policy = policy
        self._now = now
        self._decisions: list[OrderDecision] = []
        self._agenda = Agenda()
        self._changed_orders: dict[str, Order] = {}
        self._changed_chats: dict[str, Conversation] = {}
        self._changed_sellers: dict[str, Seller] = {}

    async def load(self, connection: Any, batch: Sequence[Incoming]) -> None:
        """Lock and read all that the batch is about, in the order that everyone keeps."""
        events = [message.data for message in batch]
        chats = {event.conversation_id for event in events if isinstance(event, OrderPlaced | OrderCancelled)}
        counted = {
            event.seller_id for event in events if not isinstance(event, OrderPlaced | OrderReactivationRequested)
        }
        self._orders = await lock(connection, "lock_orders", Order, {event.order_id for event in events})
        self._chats = await lock(connection, "lock_conversations", Conversation, chats)
        self._sellers = await lock(connection, "lock_sellers", Seller, counted)

    def decide(self, message: Incoming) -> Verdict:
        """Decide one event on what is known, earlier events of the batch included."""
        event = message.data
        known = self._known(event)
        decision = decide_order_event(event, known, self._now, self._policy)
        after = decision.known
        if after.order is not known.order:
            self._changed_orders[after.order.order_id] = after.order
        if after.conversation is not None and after.conversation is not known.conversation:
            self._changed_chats[after.conversation.conversation_id] = after.conversation
        if after.seller is not None and after.seller is not known.seller:
            self._changed_sellers[after.seller.seller_id] = after.seller
        self._agenda.note(decision.later, decision.withdrawn, message.envelope.traceparent)
        self._decisions.append(decision)
        return Verdict(decision.label, decision.emissions, decision.fault)

    def _known(self, event: Any) -> Known:
        order_id = event.order_id
        order = self._changed_orders.get(order_id) or self._orders.get(order_id) or Order(order_id=order_id)
        chat_id = getattr(event, "conversation_id", None)
        seller_id = None if isinstance(event, OrderPlaced) else getattr(event, "seller_id", None)
        return Known(
            order=order,
            conversation=None
            if chat_id is None
            else self._changed_chats.get(chat_id) or self._chats.get(chat_id) or Conversation(conversation_id=chat_id),
            seller=None
            if seller_id is None
            else self._changed_sellers.get(seller_id) or self._sellers.get(seller_id) or Seller(seller_id=seller_id),
        )

    async def store(self, connection: Any) -> None:
        """Write what changed. Orders come first: their key is where two that took an order for absent meet."""
        await store(connection, "orders", self._changed_orders, self._orders)
        await store(connection, "conversations", self._changed_chats, self._chats)
        await store(connection, "sellers", self._changed_sellers, self._sellers)
        decisions = self._decisions
        await insert(connection, "refunds", [row for one in decisions for row in one.refunds])
        await insert(connection, "ledger_transfers", [row for one in decisions for row in one.transfers])
        await insert_outcomes(connection, [row for one in decisions for row in one.outcomes])
        await self._agenda.store(connection)
