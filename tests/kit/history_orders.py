"""The orders of a random history: what the order service and finance send, in any order and more than once."""

from datetime import timedelta
from typing import Any, Final

import msgspec

from kit import builders
from kit.history_provider import FakeProvider
from kit.history_truth import Truth, Truths
from kit.history_world import START, World
from schemas.orders import OrderCancelled, Tender
from schemas.payouts import PayoutRequested
from schemas.topics import ORDERS_EVENTS, PAYOUTS_REQUESTED

_PROVIDERS: Final = ("card", "paypal", "wallet")


class Orders:
    """Begins a history."""

    def __init__(self, world: World, truths: Truths) -> None:
        self._world = world
        self._source = world.source
        self._truths = truths
        self._providers: dict[str, FakeProvider] = truths.providers

    def place(self) -> None:
        """One order, or a few of one seller."""
        for number in range(self._source.choices((1, 2, 3), (70, 24, 6))[0]):
            self._place(number)

    def _place(self, number: int) -> None:
        world, source = self._world, self._source
        order_id, seller_id = f"h{world.seed}.o{number}", f"h{world.seed}.s"
        conversation_id = f"h{world.seed}.c{source.randrange(2)}"
        self._truths.orders.append(order_id)
        if conversation_id not in world.subjects:
            world.subjects.append(conversation_id)
        tenders = [self._tender(order_id, at) for at in range(source.choices((0, 1, 2, 3), (3, 60, 27, 10))[0])]
        for tender in tenders:
            self._truths.of[order_id, tender.tender_id] = Truth(tender)
        event = builders.cancelled(
            order_id,
            seller_id=seller_id,
            conversation_id=conversation_id,
            client_id=f"h{world.seed}.b",
            escrow=builders.escrow(*tenders, currency=source.choice(("EUR", "EUR", "JPY", "TND"))),
            cancelled_at=START - timedelta(minutes=source.uniform(1, 30)),
            stage=source.choice(("awaiting_acceptance", "in_progress", "delivered")),
        )
        is_paid_out = source.random() < 0.1
        self._cancel(event, late=is_paid_out)
        if is_paid_out:
            done = builders.completed(order_id, seller_id=seller_id, occurred_at=event.cancelled_at)
            self._send("order.completed", done)
        self._lead_a_life(order_id, seller_id)
        if is_paid_out or source.random() < 0.25:
            self._ask_for_payout(event)

    def _tender(self, order_id: str, number: int) -> Tender:
        source = self._source
        provider = source.choices(_PROVIDERS, (45, 42, 13))[0]
        captured = source.choice((1000, 4500, 12_000))
        before = source.choices((0, 500, captured), (85, 10, 5))[0]
        reference = f"pi_{order_id}.{number}"
        if provider != "wallet":
            # A payment may be of more than this tender: then the provider's own bound stops nobody.
            self._providers[provider].room[reference] = captured - before if source.random() < 0.35 else None
            if before:
                self._providers[provider].refunded_before.add(reference)
        return builders.tender(
            f"tnd_{number}", provider=provider, reference=reference, captured_minor=captured, refunded_minor=before
        )

    def _cancel(self, event: OrderCancelled, *, late: bool) -> None:
        self._send("order.cancelled", event, late=late)
        if self._source.random() < 0.3:
            self._send("order.cancelled", event, late=True)
        if self._source.random() < 0.08 and event.escrow.tenders:
            first, *others = event.escrow.tenders
            more = msgspec.structs.replace(first, captured_minor=first.captured_minor + 7)
            other = builders.escrow(more, *others, currency=event.escrow.currency)
            self._send("order.cancelled", msgspec.structs.replace(event, escrow=other), late=True)

    def _lead_a_life(self, order_id: str, seller_id: str) -> None:
        source = self._source
        for share, type_, make in (
            (0.3, "order.accepted", builders.accepted),
            (0.15, "order.delivered", builders.delivered),
            (0.12, "order.completed", builders.completed),
        ):
            at = START - timedelta(minutes=source.uniform(-30, 90))
            if source.random() < share:
                self._send(type_, make(order_id, seller_id=seller_id, occurred_at=at), late=True)
        if source.random() < 0.1:
            self._send("order.reactivation_requested", builders.reactivation(order_id))

    def _send(self, type_: str, event: Any, *, late: bool = False) -> None:
        world = self._world
        delay = world.span()
        if late and self._source.random() < 0.5:
            delay += timedelta(seconds=self._source.uniform(0, 90_000))
        world.post(ORDERS_EVENTS.name, type_, f"evt_{self._source.randrange(10**12)}", event, delay)

    def _ask_for_payout(self, event: OrderCancelled) -> None:
        for number in range(self._source.choice((1, 1, 2))):
            asked = PayoutRequested(
                payout_id=f"pay_{event.order_id}.{number}",
                order_id=event.order_id,
                seller_id=event.seller_id,
                amount_minor=sum(one.captured_minor for one in event.escrow.tenders) or 1,
                currency=event.escrow.currency,
                requested_at=START,
            )
            self._world.post(PAYOUTS_REQUESTED.name, "payout.requested", asked.payout_id, asked)
