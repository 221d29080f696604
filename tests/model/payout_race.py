"""Two small models: a cancellation and a payout that race for one order (rule 9), and a crash after the commit (10).

The decisions are the real ones. What is modelled is where a transaction begins to look, and where it writes.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from kit import builders

from model.search import Found, explore
from schemas.payouts import PayoutRequested
from workers.domain.order_types import Order
from workers.domain.orders import decide_order_event
from workers.domain.payout import decide_payout
from workers.domain.policy import Policy

REQUEST = PayoutRequested(
    payout_id="pay_1",
    order_id=builders.ORDER,
    seller_id=builders.SELLER,
    amount_minor=4500,
    currency="EUR",
    requested_at=builders.NOW,
)


class Race(NamedTuple):
    """The order as it is recorded; who holds it as it was when they looked; who is done, and what came of it."""

    order: Order
    held: tuple[tuple[str, Order], ...] = ()
    done: frozenset[str] = frozenset()
    refunded: bool = False
    paid_out: bool = False


ACTORS: Final = ("completion", "cancellation", "payout")


def race(*, locked: bool) -> Found:
    """An order is completed and cancelled, and its payout is asked for, in every order of their steps."""

    def moves_of(at: Race) -> Iterator[tuple[str, Race | None]]:
        held = dict(at.held)
        for who in ACTORS:
            if who in held:
                others = tuple(pair for pair in at.held if pair[0] != who)
                yield f"{who} writes", _written(at, who, held[who])._replace(held=others, done=at.done | {who})
            elif who not in at.done and not (locked and held):
                yield f"{who} looks", at._replace(held=(*at.held, (who, at.order)))

    return explore(
        Race(builders.order()),
        moves_of,
        fault_of=lambda at: "refunded and paid out" if at.refunded and at.paid_out else None,
        is_good=lambda at: len(at.done) == len(ACTORS),
        limit=10_000,
    )


def _written(at: Race, who: str, seen: Order) -> Race:
    if who == "payout":
        paid = decide_payout(REQUEST, seen, None, builders.NOW)
        allowed = paid.payout is not None and paid.payout.allowed
        return at._replace(order=paid.order, paid_out=allowed)
    event = builders.completed() if who == "completion" else builders.cancelled()
    decision = decide_order_event(event, builders.known(order=seen), builders.NOW, Policy())
    return at._replace(order=decision.known.order, refunded=at.refunded or bool(decision.refunds))


class Input(NamedTuple):
    """One message and what it causes: recorded in PostgreSQL, sent to Kafka, and Kafka's offset moved on."""

    recorded: bool = False
    in_hand: bool = False
    """A process holds what is to be sent."""
    sent: bool = False
    moved_on: bool = False


def crash(*, sends_what_was_recorded: bool) -> Found:
    """A process that may die anywhere, and the redelivery of its message."""

    def moves_of(at: Input) -> Iterator[tuple[str, Input | None]]:
        if at.in_hand:
            yield "sent", at._replace(sent=True, in_hand=False)
            yield "the process dies", at._replace(in_hand=False)
        elif not at.recorded:
            yield "decided and recorded", at._replace(recorded=True, in_hand=True)
        elif at.sent or not sends_what_was_recorded:
            yield "the offset moves on", at._replace(moved_on=True)
        elif not at.moved_on:
            yield "delivered again", at._replace(in_hand=True)

    return explore(
        Input(),
        moves_of,
        fault_of=lambda at: "nothing was ever sent" if at.moved_on and not at.sent else None,
        is_good=lambda at: at.moved_on and at.sent,
        limit=1000,
    )
