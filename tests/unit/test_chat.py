"""When a conversation closes, who is told, and what keeps it open (SPEC R4, §5)."""

from datetime import datetime, timedelta

import pytest
from kit.builders import CANCELLED_AT, CONVERSATION, NOW, ORDER, arrivals, at, cancelled, chat_policy, placed
from kit.memory import OrdersInMemory

from schemas.chats import ChatCommand
from schemas.orders import OrderEvent
from workers.domain.emission import Emission
from workers.domain.policy import Policy

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
CLOSES_AT = CANCELLED_AT + WEEK


def after(*events: OrderEvent, policy: Policy | None = None) -> OrdersInMemory:
    store = OrdersInMemory(policy)
    for minutes, event in enumerate(events, start=1):
        store.take(event, at(minutes))
    return store


def told(store: OrdersInMemory) -> list[tuple[str, str, datetime, int]]:
    """Type, order, deadline and revision of what was sent of chats."""
    return [word(emission) for emission in store.emitted if emission.topic == "chats.commands.v1"]


def word(emission: Emission) -> tuple[str, str, datetime, int]:
    assert isinstance(emission.data, ChatCommand)
    return emission.type, emission.data.order_id, emission.data.close_at, emission.data.revision


def waiting(store: OrdersInMemory) -> dict[str, tuple[datetime, str]]:
    """What is scheduled of chats: due time and schedule id by type."""
    chats = [one for one in store.waiting.values() if one.subject == CONVERSATION]
    assert len({one.emission.type for one in chats}) == len(chats), "one close and one reminder at most"
    return {one.emission.type: (one.due_at, one.schedule_id) for one in chats}


def test_the_close_is_announced_at_once_and_due_after_seven_days() -> None:
    store = after(cancelled())
    assert told(store) == [("chat.close_scheduled", ORDER, CLOSES_AT, 1)]
    assert waiting(store) == {
        "chat.close": (CLOSES_AT, "chat.close:cnv_1:3"),
        "chat.closing_soon": (CLOSES_AT - DAY, "chat.closing_soon:cnv_1:2"),
    }


def test_reminder_and_close_carry_the_deadline_and_growing_revisions() -> None:
    scheduled = [one for one in after(cancelled()).waiting.values() if one.subject == CONVERSATION]
    words = sorted((word(one.emission) for one in scheduled), key=lambda each: each[3])
    assert words == [("chat.closing_soon", ORDER, CLOSES_AT, 2), ("chat.close", ORDER, CLOSES_AT, 3)]
    assert all(one.revision == word(one.emission)[3] for one in scheduled)
    assert all(one.emission.time == one.due_at for one in scheduled)


@pytest.mark.parametrize(
    ("hours", "reminded"), [(1, False), (23.99, False), (24, True), (24.01, True), (168, True), (720, True)]
)
def test_a_window_under_24_hours_has_no_reminder(hours: float, reminded: bool) -> None:
    store = after(cancelled(), policy=chat_policy(open_for=timedelta(hours=hours)))
    assert ("chat.closing_soon" in waiting(store)) is reminded
    assert waiting(store)["chat.close"][0] == CANCELLED_AT + timedelta(hours=hours)


def test_a_cancellation_heard_after_its_deadline_closes_at_once_without_a_reminder() -> None:
    store = OrdersInMemory()
    store.take(cancelled(), CLOSES_AT)
    assert set(waiting(store)) == {"chat.close"}
    assert waiting(store)["chat.close"][0] == CLOSES_AT
    assert [type_ for type_, *_ in told(store)] == ["chat.close_scheduled"]


def test_the_seven_days_count_from_the_cancellation_not_from_its_arrival() -> None:
    store = OrdersInMemory()
    store.take(cancelled(), NOW + timedelta(days=3))
    assert waiting(store)["chat.close"][0] == CLOSES_AT


def test_a_different_order_placed_later_withdraws_the_close() -> None:
    store = after(cancelled(), placed("ord_2", placed_at=at(10)))
    assert told(store)[1:] == [("chat.close_withdrawn", ORDER, CLOSES_AT, 4)]
    assert waiting(store) == {}
    sent = store.sent("chat.close_withdrawn")[0]
    assert (sent.topic, sent.key) == ("chats.commands.v1", CONVERSATION)
    assert isinstance(sent.data, ChatCommand)
    assert sent.data.reason == "new_order"


def test_a_withdrawal_has_a_higher_revision_than_a_close_that_already_fired() -> None:
    store = after(cancelled())
    fired = [word(later.emission)[3] for later in store.waiting.values() if later.subject == CONVERSATION]
    store.waiting.clear()
    store.take(placed("ord_2", placed_at=at(days=8)), at(days=8))
    assert told(store)[-1][0] == "chat.close_withdrawn"
    assert told(store)[-1][3] > max(fired)


def test_an_order_placed_before_the_cancellation_withdraws_nothing() -> None:
    for events in arrivals(cancelled(), placed("ord_2", placed_at=at(-10))):
        assert waiting(after(*events))["chat.close"][0] == CLOSES_AT


def test_an_order_placed_at_the_moment_of_the_cancellation_withdraws_nothing() -> None:
    for events in arrivals(cancelled(), placed("ord_2", placed_at=CANCELLED_AT)):
        assert waiting(after(*events))["chat.close"][0] == CLOSES_AT


@pytest.mark.parametrize("minutes", [-10, 10])
def test_the_cancelled_order_itself_never_keeps_its_chat_open(minutes: float) -> None:
    for events in arrivals(cancelled(), placed(placed_at=at(minutes))):
        assert waiting(after(*events))["chat.close"][0] == CLOSES_AT


def test_a_placed_order_that_arrives_before_the_cancellation_it_outlives_keeps_the_chat_open() -> None:
    store = after(placed("ord_2", placed_at=at(10)), cancelled())
    assert waiting(store) == {}
    assert [type_ for type_, *_ in told(store)] == ["chat.close_withdrawn"]


def test_the_placed_event_of_the_cancelled_order_hides_no_other_order() -> None:
    events = (placed("ord_2", placed_at=at(5)), placed(placed_at=at(20)), placed("ord_3", placed_at=at(-5)))
    for order in arrivals(*events, cancelled()):
        assert waiting(after(*order)) == {}


def test_an_order_in_another_conversation_keeps_nothing_open() -> None:
    store = after(cancelled(), placed("ord_2", conversation_id="cnv_2", placed_at=at(10)))
    assert "chat.close" in waiting(store)


def test_of_two_cancellations_in_one_conversation_the_later_deadline_stands() -> None:
    for order in arrivals(cancelled(), cancelled("ord_2", cancelled_at=at(days=2))):
        store = after(*order)
        assert {type_: due for type_, (due, _) in waiting(store).items()} == {
            "chat.close": CLOSES_AT + 2 * DAY,
            "chat.closing_soon": CLOSES_AT + DAY,
        }


def test_the_earlier_close_is_withdrawn_when_a_later_one_takes_its_place() -> None:
    store = after(cancelled())
    old = {schedule_id for _, schedule_id in waiting(store).values()}
    decision = store.take(cancelled("ord_2", cancelled_at=at(days=2)), NOW)
    assert set(decision.withdrawn) == old
    assert old.isdisjoint(schedule_id for _, schedule_id in waiting(store).values())


def test_an_earlier_cancellation_heard_later_is_told_the_standing_deadline() -> None:
    store = after(cancelled("ord_2", cancelled_at=at(days=2)), cancelled())
    assert told(store) == [
        ("chat.close_scheduled", "ord_2", CLOSES_AT + 2 * DAY, 1),
        ("chat.close_scheduled", ORDER, CLOSES_AT + 2 * DAY, 1),
    ]


def test_a_new_order_that_is_cancelled_in_turn_lets_the_chat_close_after_all() -> None:
    second = placed("ord_2", placed_at=at(10)), cancelled("ord_2", cancelled_at=at(days=1))
    for order in arrivals(cancelled(), *second):
        store = after(*order)
        assert waiting(store)["chat.close"][0] == CLOSES_AT + DAY


def test_a_second_cancellation_before_the_new_order_is_outlived_too() -> None:
    for order in arrivals(cancelled(), placed("ord_3", placed_at=at(10)), cancelled("ord_2", cancelled_at=at(5))):
        assert waiting(after(*order)) == {}


def test_a_duplicate_cancellation_says_nothing_of_the_chat() -> None:
    assert told(after(cancelled(), cancelled())) == told(after(cancelled()))


def test_a_placed_order_heard_twice_withdraws_once() -> None:
    new = placed("ord_2", placed_at=at(10))
    assert [type_ for type_, *_ in told(after(cancelled(), new, new))] == [
        "chat.close_scheduled",
        "chat.close_withdrawn",
    ]


def test_no_two_words_of_a_conversation_share_an_id_unless_they_say_the_same() -> None:
    store = after(
        cancelled(),
        placed("ord_2", placed_at=at(10)),
        cancelled("ord_2", cancelled_at=at(20)),
        cancelled("ord_3", cancelled_at=at(days=1)),
        placed("ord_4", placed_at=at(days=2)),
    )
    words = [emission for emission in store.emitted if emission.topic == "chats.commands.v1"]
    assert len({emission.id for emission in words}) == len(words) == 5
    assert [word(emission)[3] for emission in words] == [1, 4, 5, 8, 11]
