"""What may happen to a few orders that share sellers and conversations, told in any order and any number of times."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from kit.builders import accepted, at, cancelled, completed, delivered, escrow, placed, reactivation, tender
from schemas.orders import OrderCancelled, OrderEvent, Tender

PROVIDERS = ("card", "paypal", "wallet")
STAGES = ("awaiting_acceptance", "in_progress", "delivered")
_minutes = st.integers(-12, 12)


@st.composite
def tenders(draw: st.DrawFn) -> tuple[Tender, ...]:
    """Up to three parts of a payment, some of them refunded before."""
    amounts = draw(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=3))
    return tuple(
        tender(
            f"tnd_{number}",
            captured_minor=max(pair),
            refunded_minor=min(pair),
            provider=draw(st.sampled_from(PROVIDERS)),
        )
        for number, pair in enumerate(amounts)
    )


@st.composite
def order_history(draw: st.DrawFn, number: int, endings: Sequence[str]) -> list[OrderEvent]:
    """Some of what can happen to one order, each thing once, at times that needn't make sense."""
    order_id = f"ord_{number}"
    seller_id = f"sel_{draw(st.integers(0, 1))}"
    parties = {"seller_id": seller_id, "conversation_id": f"cnv_{draw(st.integers(0, 1))}"}
    events: list[OrderEvent] = []
    if draw(st.booleans()):
        events.append(placed(order_id, **parties, placed_at=at(draw(_minutes))))
    if draw(st.booleans()):
        events.append(accepted(order_id, seller_id=seller_id, occurred_at=at(draw(_minutes))))
    if draw(st.booleans()):
        events.append(delivered(order_id, seller_id=seller_id, occurred_at=at(draw(_minutes))))
    if draw(st.booleans()):
        events.append(reactivation(order_id, occurred_at=at(draw(_minutes))))
    ending = draw(st.sampled_from(endings))
    if ending in ("cancelled", "both"):
        events.append(
            cancelled(
                order_id,
                **parties,
                escrow=escrow(*draw(tenders())),
                stage=draw(st.sampled_from(STAGES)),
                # No two orders are cancelled in the same moment: which of them closes the chat would be a toss-up.
                cancelled_at=at(draw(_minutes), seconds=number),
            )
        )
    if ending in ("completed", "both"):
        events.append(completed(order_id, seller_id=seller_id, occurred_at=at(draw(_minutes))))
    return events


@st.composite
def consistent(draw: st.DrawFn) -> list[OrderEvent]:
    """Orders that end one way at most, and about which nobody contradicts anybody."""
    count = draw(st.integers(1, 4))
    endings = ("none", "cancelled", "cancelled", "completed")
    return [event for number in range(count) for event in draw(order_history(number, endings))]


@st.composite
def arrivals(draw: st.DrawFn, events: list[OrderEvent]) -> list[OrderEvent]:
    """`events` in any order, some of them more than once."""
    repeated = draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    return list(draw(st.permutations([*events, *repeated])))


@st.composite
def wild(draw: st.DrawFn) -> list[OrderEvent]:
    """Anything: orders that end both ways, other money for a cancellation, other parties, every order of arrival."""
    count = draw(st.integers(1, 4))
    events = [event for number in range(count) for event in draw(order_history(number, ("none", "cancelled", "both")))]
    contradicted = [event for event in events if draw(st.integers(0, 5)) == 0]
    return draw(arrivals([*events, *[draw(_contradiction(event)) for event in contradicted]]))


@st.composite
def _contradiction(draw: st.DrawFn, event: OrderEvent) -> OrderEvent:
    changes: dict[str, Any] = {}
    if isinstance(event, OrderCancelled) and draw(st.booleans()):
        changes["escrow"] = escrow(*draw(tenders()))
    elif hasattr(event, "seller_id"):
        changes["seller_id"] = f"sel_{draw(st.integers(0, 2))}"
    return type(event)(**{**{name: getattr(event, name) for name in event.__struct_fields__}, **changes})
