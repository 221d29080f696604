"""Worker `cancellations`: every order event, and all that must follow when an order is cancelled."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schemas.orders import OrderCancelled, OrderPlaced
from schemas.sellers import SellerOutcome
from workers.consumers import CONSUMERS
from workers.domain.order_types import Conversation, Known, Order, OrderDecision, Seller
from workers.domain.orders import decide_order_event
from workers.domain.policy import Policy
from workers.domain.seller import numbered, told
from workers.handler import DatabaseHandler
from workers.pipeline.messages import Incoming, Verdict
from workers.store.database import columns
from workers.store.queries import sql
from workers.store.recording import Agenda, insert, insert_outcomes, lock, lock_sellers, store


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
        for message in batch:
            work.decide(message)
        await work.store(connection)
        # Last, since many orders share a seller: its row is locked for a moment instead of the whole transaction.
        outcomes = await work.number(connection)
        if cancelled := work.cancelled():
            await connection.execute(sql("count_cancellations"), cancelled)
        return [
            Verdict(one.label, (*one.emissions, *(told(outcome, now) for outcome in of_one)), one.fault)
            for one, of_one in zip(work.decisions, outcomes, strict=True)
        ]


class _Work:
    """What a batch knows and changes."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        self._policy = policy
        self._now = now
        self.decisions: list[OrderDecision] = []
        self._agenda = Agenda()
        self._changed_orders: dict[str, Order] = {}
        self._changed_chats: dict[str, Conversation] = {}
        self._changed_sellers: dict[str, Seller] = {}

    async def load(self, connection: Any, batch: Sequence[Incoming]) -> None:
        """Lock and read all that the batch is about, in the order that everyone keeps."""
        events = [message.data for message in batch]
        chats = {event.conversation_id for event in events if isinstance(event, OrderPlaced | OrderCancelled)}
        self._orders = await lock(connection, "lock_orders", Order, {event.order_id for event in events})
        self._chats = await lock(connection, "lock_conversations", Conversation, chats)

    def decide(self, message: Incoming) -> None:
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
        self.decisions.append(decision)

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
            seller=None if seller_id is None else self._changed_sellers.get(seller_id) or Seller(seller_id=seller_id),
        )

    async def store(self, connection: Any) -> None:
        """Write what changed. Orders come first: their key is where two that took an order for absent meet."""
        await store(connection, "orders", self._changed_orders, self._orders)
        await store(connection, "conversations", self._changed_chats, self._chats)
        decisions = self.decisions
        await insert(connection, "refunds", [row for one in decisions for row in one.refunds])
        await insert(connection, "ledger_transfers", [row for one in decisions for row in one.transfers])
        # A new refund's id and a conversation's next revision are in them: nobody wrote these rows before.
        await self._agenda.store(connection, fresh=True)

    def cancelled(self) -> int:
        """How many orders are cancelled now that were not before."""
        known = self._orders
        return sum(
            order.cancelled_at is not None and (order_id not in known or known[order_id].cancelled_at is None)
            for order_id, order in self._changed_orders.items()
        )

    async def number(self, connection: Any) -> list[list[SellerOutcome]]:
        """Number what counts for sellers and write it: each seller's row is locked, then its next numbers given."""
        sellers = await lock_sellers(connection, self._changed_sellers)
        outcomes = [
            [numbered(outcome, sellers[outcome.seller_id]) for outcome in one.outcomes] for one in self.decisions
        ]
        ends = [(one.seller_id, sellers[one.seller_id] + one.seq) for one in self._changed_sellers.values()]
        await insert_outcomes(connection, [outcome for of_one in outcomes for outcome in of_one])
        if ends:
            await connection.execute(sql("update_sellers"), *columns(ends, 2))
        return outcomes
