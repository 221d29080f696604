"""Order events decided one after the other, what they cause kept in memory the way the store keeps it."""

from collections.abc import Iterable
from datetime import datetime

from schemas.orders import OrderEvent, OrderPlaced
from schemas.sellers import SellerOutcome
from workers.domain.emission import Emission, Later
from workers.domain.ledger import Transfer
from workers.domain.order_types import Conversation, Known, Order, OrderDecision, Seller
from workers.domain.orders import decide_order_event
from workers.domain.policy import Policy
from workers.domain.refund_types import Refund
from workers.domain.seller import told


class OrdersInMemory:
    """The worker `cancellations` without broker and database."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.orders: dict[str, Order] = {}
        self.conversations: dict[str, Conversation] = {}
        self.sellers: dict[str, Seller] = {}
        self.refunds: dict[str, Refund] = {}
        self.transfers: dict[tuple[str, str], Transfer] = {}
        self.outcomes: list[SellerOutcome] = []
        self.waiting: dict[str, Later] = {}
        self.emitted: list[Emission] = []

    def take(self, event: OrderEvent, now: datetime) -> OrderDecision:
        """Decide one event and keep what follows from it; a key that is taken is an error, as in the store."""
        decision = decide_order_event(event, self.known_to(event), now, self.policy)
        after = decision.known
        self.orders[after.order.order_id] = after.order
        if after.conversation is not None:
            self.conversations[after.conversation.conversation_id] = after.conversation
        if after.seller is not None:
            self.sellers[after.seller.seller_id] = after.seller
        for refund in decision.refunds:
            assert refund.refund_id not in self.refunds, "two refunds with one id"
            self.refunds[refund.refund_id] = refund
        self.post(decision.transfers)
        self.outcomes += decision.outcomes
        for schedule_id in decision.withdrawn:
            self.waiting.pop(schedule_id, None)
        for later in decision.later:
            self.waiting[later.schedule_id] = later
        self.emitted += [*decision.emissions, *(told(outcome, now) for outcome in decision.outcomes)]
        return decision

    def post(self, transfers: Iterable[Transfer]) -> None:
        """Add lines to the ledger."""
        for transfer in transfers:
            key = (transfer.order_id, transfer.transfer_id)
            assert key not in self.transfers, "two transfers with one id"
            self.transfers[key] = transfer

    def known_to(self, event: OrderEvent) -> Known:
        """What is known as `event` is decided."""
        chat_id = getattr(event, "conversation_id", None)
        seller_id = None if isinstance(event, OrderPlaced) else getattr(event, "seller_id", None)
        return Known(
            order=self.orders.get(event.order_id) or Order(order_id=event.order_id),
            conversation=None
            if chat_id is None
            else self.conversations.get(chat_id) or Conversation(conversation_id=chat_id),
            seller=None if seller_id is None else self.sellers.get(seller_id) or Seller(seller_id=seller_id),
        )

    def sent(self, type_: str) -> list[Emission]:
        """What was emitted of one type."""
        return [emission for emission in self.emitted if emission.type == type_]
