"""Traffic like a marketplace's on a bad day: orders in every stage, split tenders, duplicates, late events, poison."""

import random
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from schemas.base import Message, encode
from schemas.envelope import STRUCTURED, headers_of, structured_value
from schemas.orders import (
    Escrow,
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderPlaced,
    OrderReactivationRequested,
    Stage,
    Tender,
)
from schemas.payouts import PayoutRequested
from schemas.topics import ORDERS_EVENTS, PAYOUTS_REQUESTED, Topic
from workers.demo.captures import Capture, captures_of
from workers.demo.poison import poison
from workers.pipeline.ports import Outgoing
from workers.providers.simulated.faults import reference_for

SELLERS: Final = 40
_CURRENCIES: Final = (("EUR", 8), ("JPY", 1), ("KWD", 1))
_LOCALES: Final = ("fr-FR", "fr-BE", "en-GB", "en", "de-DE")
_ENDINGS: Final = (
    ("completed", 26),
    ("accepted", 6),
    ("awaiting_acceptance", 24),
    ("in_progress", 28),
    ("delivered", 16),
)
_CARD_FAULTS: Final = (
    ("http_500_after", 1),
    ("timeout_after", 1),
    ("timeout_before", 1),
    ("drop_after", 1),
    ("rate_limited", 2),
    ("lock_timeout", 1),
    ("unreadable", 1),
    ("pending", 1),
    ("lost_or_stolen_card", 1),
    ("bounce_lost_or_stolen_card", None),
    ("pending_lost_or_stolen_card", None),
    ("failed_expired_or_canceled_card", None),
    ("already_refunded_by_us", 1),
    ("charge_disputed", 1),
)
_PAYPAL_FAULTS: Final = (
    ("http_500_after", 1),
    ("timeout_after", 1),
    ("drop_before", 1),
    ("rate_limited", 1),
    ("PREVIOUS_REQUEST_IN_PROGRESS", 1),
    ("unreadable", 1),
    ("pending", 1),
    ("PAYER_ACCOUNT_LOCKED_OR_CLOSED", 1),
    ("bounce", None),
    ("TRANSACTION_DISPUTED", 1),
)


class Planned(NamedTuple):
    """A record to be sent, at a place in the traffic between 0 and 1."""

    at: float
    record: Outgoing


class Traffic:
    """Makes `orders` orders' records from a seeded source of randomness."""

    def __init__(self, orders: int, rng: random.Random, now: datetime, lasting_s: float) -> None:
        self._orders = orders
        self._rng = rng
        self._now = now
        self._lasting_s = lasting_s
        self._planned: list[Planned] = []
        self.captures: list[Capture] = []
        """What was paid for the orders planned so far."""

    def plan(self) -> list[Planned]:
        """All records, in the order to send them."""
        for number in range(self._orders):
            self._order(number)
        for number in range(max(40, self._orders // 20)):
            self._planned.append(Planned(self._rng.random(), poison(number, self._rng, self._now)))
        self._planned.sort(key=lambda planned: planned.at)
        return self._planned

    def _order(self, number: int) -> None:
        rng = self._rng
        order_id, seller_id = f"ord_{number:05d}", f"sel_{int(SELLERS * rng.random() ** 2):03d}"
        conversation_id, client_id = f"cnv_{number:05d}", f"cli_{number % 300:04d}"
        placed_at = self._now - timedelta(hours=rng.uniform(3, 200))
        steps = [placed_at + timedelta(minutes=rng.uniform(20, 60) * step) for step in range(1, 4)]
        ending = _pick(rng, _ENDINGS)
        at = rng.random() * 0.8
        placed = OrderPlaced(
            order_id=order_id,
            conversation_id=conversation_id,
            client_id=client_id,
            seller_id=seller_id,
            placed_at=placed_at,
        )
        self._send(at, "order.placed", order_id, placed)
        kinds = (("accepted", OrderAccepted), ("delivered", OrderDelivered), ("completed", OrderCompleted))
        reached = {"accepted": 1, "in_progress": 1, "delivered": 2, "completed": 3}.get(ending, 0)
        for step, (name, kind) in enumerate(kinds[:reached]):
            late = 0.15 if rng.random() < 0.08 else 0.0  # arrives after what followed it
            event = kind(order_id=order_id, seller_id=seller_id, occurred_at=steps[step])
            self._send(at + 0.02 * (step + 1) + late, f"order.{name}", order_id, event)
        if rng.random() < 0.3:
            self._ask_payout(at + rng.random() * 0.2, placed)
        if ending in ("awaiting_acceptance", "in_progress", "delivered"):
            self._cancel(at + 0.1, placed, ending)
        elif ending == "completed" and rng.random() < 0.03:
            self._cancel(at + 0.18, placed, "delivered")  # too late: paid out

    def _cancel(self, at: float, placed: OrderPlaced, ending: str) -> None:
        rng = self._rng
        stage: Stage = "awaiting_acceptance" if ending == "awaiting_acceptance" else "in_progress"
        if ending == "delivered":
            stage = "delivered"
        event = OrderCancelled(
            order_id=placed.order_id,
            conversation_id=placed.conversation_id,
            client_id=placed.client_id,
            seller_id=placed.seller_id,
            cancelled_at=self._when(at),
            cancelled_by=rng.choice(("client", "seller", "support", "system")),
            reason="We agreed to stop here.",
            stage=stage,
            escrow=self._escrow(placed),
            client_locale=rng.choice(_LOCALES),
            seller_locale=rng.choice(_LOCALES),
        )
        self._send(at, "order.cancelled", event.order_id, event)
        chance = rng.random()
        after = self._when(at) + timedelta(seconds=0.1)
        if chance < 0.06:  # the same again
            self._send(at + 0.03, "order.cancelled", event.order_id, event)
        elif chance < 0.07 and event.escrow.tenders:  # again, with other money
            self._send(at + 0.03, "order.cancelled", event.order_id, _dearer(event))
        elif chance < 0.10:
            asked = OrderReactivationRequested(order_id=event.order_id, requested_by=event.client_id, occurred_at=after)
            self._send(at + 0.05, "order.reactivation_requested", event.order_id, asked)
        elif chance < 0.13:
            accepted = OrderAccepted(order_id=event.order_id, seller_id=event.seller_id, occurred_at=after)
            self._send(at + 0.04, "order.accepted", event.order_id, accepted)
        elif chance < 0.17:  # a custom offer becomes a new order in the same conversation
            offer = msgspec.structs.replace(placed, order_id=f"{placed.order_id}b", placed_at=after)
            self._send(at + 0.05, "order.placed", offer.order_id, offer)

    def _when(self, at: float) -> datetime:
        """The time at which a record at this place of the traffic is sent."""
        return self._now + timedelta(seconds=at * self._lasting_s)

    def _ask_payout(self, at: float, placed: OrderPlaced) -> None:
        """Finance asks to pay the seller: too early, in time, or in a race with the cancellation."""
        asked = PayoutRequested(
            payout_id=f"pay_{placed.order_id[4:]}",
            order_id=placed.order_id,
            seller_id=placed.seller_id,
            amount_minor=self._rng.randrange(500, 90_000),
            currency="EUR",
            requested_at=self._when(at),
        )
        self._send(at, "payout.requested", placed.order_id, asked, PAYOUTS_REQUESTED)

    def _escrow(self, placed: OrderPlaced) -> Escrow:
        rng = self._rng
        chance = rng.random()
        count = 0 if chance < 0.03 else 2 if chance > 0.85 else 1
        currency = _pick(rng, _CURRENCIES)
        tenders = [self._tender(placed, number, currency) for number in range(count)]
        escrow = Escrow(currency=currency, tenders=tuple(tenders))
        self.captures += captures_of(escrow)
        return escrow

    def _tender(self, placed: OrderPlaced, number: int, currency: str) -> Tender:
        rng = self._rng
        tag = f"{placed.order_id[4:]}.{number}"
        # PayPal knows no dinar, and Stripe takes it in steps of ten.
        provider = rng.choice(("wallet", "card") if currency == "KWD" else ("wallet", "paypal", "card"))
        amount = {"EUR": rng.randrange(500, 90_000), "JPY": rng.randrange(300, 60_000)}.get(
            currency, rng.randrange(100, 20_000) * 10
        )
        before = rng.choice((0, amount // 2 // 10 * 10, amount)) if rng.random() < 0.06 else 0
        return Tender(
            tender_id=f"tnd_{tag}",
            provider=provider,  # type: ignore[arg-type]  # one of the names above
            reference=self._reference(provider, placed.client_id, tag),
            captured_minor=amount,
            refunded_minor=before,
        )

    def _reference(self, provider: str, client_id: str, tag: str) -> str:
        rng = self._rng
        if provider == "wallet":
            return f"wal_{client_id}"
        prefix = "pi_" if provider == "card" else "CAP_"
        if rng.random() < 0.12:
            fault, times = rng.choice(_CARD_FAULTS if provider == "card" else _PAYPAL_FAULTS)
            return reference_for(fault, tag, times, prefix)
        return f"{prefix}{tag}"

    def _send(self, at: float, type_: str, key: str, data: Message, topic: Topic = ORDERS_EVENTS) -> None:
        rng = self._rng
        message_id = f"evt_{rng.getrandbits(64):016x}"
        trace = f"00-{rng.getrandbits(128):032x}-{rng.getrandbits(64):016x}-01"
        if rng.random() < 0.2:
            value = structured_value(type_, message_id, "/orders", self._now, data)
            headers = [("content-type", STRUCTURED.encode())]
        else:
            value, headers = encode(data), headers_of(type_, message_id, self._now, trace)
        self._planned.append(Planned(min(at, 1.0), Outgoing(topic.name, key.encode(), value, headers)))


def _dearer(event: OrderCancelled) -> OrderCancelled:
    first, *rest = event.escrow.tenders
    dearer = msgspec.structs.replace(first, captured_minor=first.captured_minor + 100)
    return msgspec.structs.replace(event, escrow=Escrow(currency=event.escrow.currency, tenders=(dearer, *rest)))


def _pick(rng: random.Random, weighted: tuple[tuple[str, int], ...]) -> str:
    return rng.choices([name for name, _ in weighted], [weight for _, weight in weighted])[0]
