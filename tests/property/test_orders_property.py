"""Order events in any order and number: what holds at every step, and what comes out the same in the end."""

from collections import Counter
from datetime import datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from kit.builders import NOW
from kit.histories import arrivals, consistent, wild
from kit.memory import OrdersInMemory

from schemas.chats import ChatCommand
from schemas.orders import OrderAccepted, OrderCancelled, OrderCompleted, OrderDelivered, OrderEvent, OrderPlaced
from workers.domain.cancellation import read_escrow
from workers.domain.order_types import Order, OrderDecision
from workers.domain.statistics import KINDS, Totals

Standing = Counter[tuple[str, str, str, datetime]]
"""What counts: seller, order, outcome and its time."""


def told(events: list[OrderEvent]) -> OrdersInMemory:
    store = OrdersInMemory()
    for number, event in enumerate(events):
        store.take(event, NOW + timedelta(seconds=number))
    return store


def standing(store: OrdersInMemory) -> Standing:
    """What counts once corrections are taken off; never less than nothing on the way."""
    found: Standing = Counter()
    for one in store.outcomes:
        if one.replaces is not None:
            taken = (one.seller_id, one.order_id, one.replaces.outcome, one.replaces.occurred_at)
            assert found[taken] == 1, "a correction takes back what stands"
            assert taken[2:] != (one.outcome, one.occurred_at), "and puts something else in its place"
            found[taken] -= 1
        found[one.seller_id, one.order_id, one.outcome, one.occurred_at] += 1
    return +found


def expected(events: list[OrderEvent]) -> Standing:
    """The same from the events alone, by the words of the contract."""
    found: Standing = Counter()
    for order_id in {event.order_id for event in events}:
        own = [event for event in events if event.order_id == order_id]
        end = next((event for event in own if isinstance(event, OrderCancelled)), None)
        honoured = [
            event
            for event in own
            if isinstance(event, OrderAccepted | OrderDelivered | OrderCompleted)
            and (end is None or event.occurred_at <= end.cancelled_at)
        ]
        days = [event.occurred_at for event in honoured if isinstance(event, OrderAccepted)]
        days = days or sorted(event.occurred_at for event in honoured)
        if end is not None and end.stage != "awaiting_acceptance":
            days.append(end.cancelled_at)
        seller_id = next((event.seller_id for event in own if hasattr(event, "seller_id")), "")
        if days:
            found[seller_id, order_id, "accepted", days[0]] += 1
        if end is not None:
            close = "cancelled_after_acceptance" if days else "cancelled_before_acceptance"
            found[seller_id, order_id, close, end.cancelled_at] += 1
        for event in honoured:
            if isinstance(event, OrderCompleted):
                found[seller_id, order_id, "completed", event.occurred_at] += 1
    return found


@given(st.data())
def test_what_counts_for_sellers_follows_from_the_events_and_not_from_their_arrival(data: st.DataObject) -> None:
    events = data.draw(consistent())
    assert standing(told(data.draw(arrivals(events)))) == expected(events)


def facts(store: OrdersInMemory) -> dict[str, Order]:
    """Orders without what tells how they came to be known."""
    unknown = {"revision": 0, "refunded_at": None, "reactivation_at": None}
    return {key: msgspec.structs.replace(order, **unknown) for key, order in store.orders.items()}


@given(st.data())
def test_an_order_is_recorded_the_same_whatever_order_its_events_arrive_in(data: st.DataObject) -> None:
    events = data.draw(consistent())
    one, two = (told(data.draw(arrivals(events))) for _ in range(2))
    assert facts(one) == facts(two)
    assert set(one.transfers) == set(two.transfers)
    assert set(one.refunds) == set(two.refunds)


def closes(events: list[OrderEvent]) -> dict[str, datetime]:
    """When each conversation closes, by the words of the contract."""
    found = {}
    for chat_id in ("cnv_0", "cnv_1"):
        ends = [event for event in events if isinstance(event, OrderCancelled) and event.conversation_id == chat_id]
        if not ends:
            continue
        last = max(ends, key=lambda event: event.cancelled_at)
        outlived = any(
            isinstance(event, OrderPlaced)
            and event.conversation_id == chat_id
            and event.order_id != last.order_id
            and event.placed_at > last.cancelled_at
            for event in events
        )
        if not outlived:
            found[chat_id] = last.cancelled_at + timedelta(days=7)
    return found


@given(st.data())
def test_a_chat_closes_at_the_same_time_whatever_order_its_events_arrive_in(data: st.DataObject) -> None:
    events = data.draw(consistent())
    store = told(data.draw(arrivals(events)))
    assert closes(events) == {key: chat.close_at for key, chat in store.conversations.items() if chat.close_at}
    assert closes(events) == {
        later.subject: later.due_at for later in store.waiting.values() if later.emission.type == "chat.close"
    }


@given(wild())
def test_everything_told_again_changes_nothing(events: list[OrderEvent]) -> None:
    store = told(events)
    before = (dict(store.orders), dict(store.conversations), dict(store.sellers), len(store.outcomes))
    ids = {emission.id for emission in store.emitted}
    for event in events:
        decision = store.take(event, NOW + timedelta(days=1))
        assert decision.label != "applied"
        assert {emission.id for emission in decision.emissions} <= ids
    assert before == (store.orders, store.conversations, store.sellers, len(store.outcomes))


@given(wild())
def test_what_holds_after_every_event(events: list[OrderEvent]) -> None:
    store = OrdersInMemory()
    for number, event in enumerate(events):
        known = store.known_to(event)
        decision = store.take(event, NOW + timedelta(seconds=number))
        check_labels(decision)
        assert decision.known.order.revision == known.order.revision + (decision.known.order != known.order)
        if known.conversation is not None and decision.known.conversation is not None:
            assert decision.known.conversation.revision >= known.conversation.revision
        check_money(store)
        check_sellers(store)
        check_chats(store)
    check_words(store)


def check_labels(decision: OrderDecision) -> None:
    effects = (decision.refunds, decision.transfers, decision.outcomes, decision.later, decision.withdrawn)
    if decision.label != "applied":
        assert not any(effects)
        assert all(emission.type == "order.refused" for emission in decision.emissions)
    assert (decision.fault is not None) or decision.label != "parked"
    assert decision.label != "duplicate" or not decision.emissions


def check_money(store: OrdersInMemory) -> None:
    held: Counter[str] = Counter()
    for line in store.transfers.values():
        assert line.amount_minor > 0
        held[line.debit_account] -= line.amount_minor
        held[line.credit_account] += line.amount_minor
        assert line.debit_account != f"escrow:{line.order_id}" or held[line.debit_account] >= 0
    assert sum(held.values()) == 0
    tenders = [(refund.order_id, refund.tender_id) for refund in store.refunds.values()]
    assert len(set(tenders)) == len(tenders), "one refund a tender"
    for order in store.orders.values():
        assert order.cancelled_at is None or order.completed_at is None
        assert (order.cancelled_at is None) == (order.escrow is None)
        if order.escrow is None:
            assert order.order_id not in {order_id for order_id, _ in tenders}
            continue
        assert held[f"escrow:{order.order_id}"] == 0, "all that is held is on its way back"
        back = {one.tender_id: one.amount_minor for one in store.refunds.values() if one.order_id == order.order_id}
        for part in read_escrow(order.escrow).tenders:
            assert back.pop(part.tender_id, 0) + part.refunded_minor == part.captured_minor
        assert not back
        assert (order.refunded_at is not None) == (order.order_id not in {order_id for order_id, _ in tenders})


def check_sellers(store: OrdersInMemory) -> None:
    folded: dict[str, Totals] = {}
    for outcome in store.outcomes:
        assert folded.setdefault(outcome.seller_id, Totals()).fold(outcome) == "applied", "no outcome is missing"
    for seller_id, seller in store.sellers.items():
        totals = folded.get(seller_id, Totals())
        assert totals.seq == seller.seq
        days: dict[int, Counter[str]] = {}
        for order in store.orders.values():
            if order.seller_id == seller_id:
                for kind, when in (
                    ("accepted", order.counted_accepted_at),
                    (order.counted_close, order.counted_close_at),
                ):
                    if kind is not None and when is not None:
                        days.setdefault(when.toordinal(), Counter())[kind] += 1
        assert totals.days == {day: [counts[kind] for kind in KINDS] for day, counts in days.items()}
        assert totals.lifetime == [sum(counts[kind] for counts in days.values()) for kind in KINDS]
    for order in store.orders.values():
        assert (order.counted_close == "completed") == (order.completed_at is not None)
        assert (order.counted_close or "").startswith("cancelled") == (order.cancelled_at is not None)
        assert order.counted_close != "cancelled_before_acceptance" or order.counted_accepted_at is None


def check_chats(store: OrdersInMemory) -> None:
    for chat in store.conversations.values():
        own = [later for later in store.waiting.values() if later.subject == chat.conversation_id]
        due = [later.due_at for later in own if later.emission.type == "chat.close"]
        assert due == ([chat.close_at] if chat.close_at else [])
        assert all(later.revision <= chat.revision for later in own)


def check_words(store: OrdersInMemory) -> None:
    """One id, one content; and of a conversation each new word has a higher revision than all before it."""
    said: dict[str, object] = {}
    latest: dict[str, tuple[int, datetime]] = {}
    for emission in store.emitted:
        content = (emission.topic, emission.key, emission.type, emission.data)
        assert said.setdefault(emission.id, content) == content
        if isinstance(emission.data, ChatCommand):
            revision, close_at = latest.get(emission.key, (0, NOW))
            repeated = emission.data.revision == revision and emission.data.close_at == close_at
            assert emission.data.revision > revision or repeated
            latest[emission.key] = (emission.data.revision, emission.data.close_at)
