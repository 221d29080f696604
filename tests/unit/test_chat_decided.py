"""A person lets a chat close later, or not at all (SPEC R4): never earlier than both sides were told."""

from datetime import timedelta
from typing import Any

import pytest
from kit.builders import CANCELLED_AT, NOW, chat_policy
from kit.notices import CLOSE_AT, chat, open_chat

from schemas.chats import ChatCommand
from workers.domain.chat import ChatDecision, ChatRefusedError, close_id, extend, note_cancelled, note_placed, withdraw
from workers.domain.emission import Later

POLICY = chat_policy().chats
DAY = timedelta(days=1)


def scheduled(decision: ChatDecision) -> dict[str, tuple[Any, ...]]:
    """By type: schedule id, due time, deadline and revision."""
    return {one.emission.type: word(one) for one in decision.later}


def word(one: Later) -> tuple[Any, ...]:
    data = one.emission.data
    assert isinstance(data, ChatCommand)
    assert data.revision == one.revision
    return one.schedule_id, one.due_at, data.close_at, data.revision


def test_an_extension_schedules_anew_and_withdraws_what_was_scheduled() -> None:
    new = CLOSE_AT + 3 * DAY
    decision = extend(chat(), new, NOW, POLICY)
    assert scheduled(decision) == {
        "chat.close_scheduled": ("chat.close_scheduled:cnv_1:4", NOW, new, 4),
        "chat.closing_soon": ("chat.closing_soon:cnv_1:5", new - DAY, new, 5),
        "chat.close": ("chat.close:cnv_1:6", new, new, 6),
    }
    assert set(decision.withdrawn) == {"chat.closing_soon:cnv_1:2", "chat.close:cnv_1:3"}
    after = decision.conversation
    assert (after.close_at, after.scheduled_revision, after.revision) == (new, 4, 6)
    assert close_id(after) == "chat.close:cnv_1:6"


def test_who_reads_the_new_time_within_a_day_of_it_is_not_reminded_too() -> None:
    now = CLOSE_AT - timedelta(hours=2)
    assert set(scheduled(extend(chat(), CLOSE_AT + timedelta(hours=3), now, POLICY))) == {
        "chat.close_scheduled",
        "chat.close",
    }


@pytest.mark.parametrize(
    ("close_at", "code"),
    [(CLOSE_AT, "not_later"), (CLOSE_AT - DAY, "not_later"), (NOW + timedelta(days=366), "too_late")],
)
def test_an_earlier_time_is_refused_and_one_out_of_reason(close_at: Any, code: str) -> None:
    with pytest.raises(ChatRefusedError) as refused:
        extend(chat(), close_at, NOW, POLICY)
    assert refused.value.code == code


def test_a_close_whose_time_has_come_can_neither_move_nor_go() -> None:
    with pytest.raises(ChatRefusedError, match="closed"):
        extend(chat(), CLOSE_AT + DAY, CLOSE_AT, POLICY)
    with pytest.raises(ChatRefusedError, match="closed"):
        withdraw(chat(), CLOSE_AT)


def test_a_chat_without_a_close_has_none_to_move() -> None:
    with pytest.raises(ChatRefusedError, match="not_closing"):
        extend(open_chat(), CLOSE_AT + DAY, NOW, POLICY)
    with pytest.raises(ChatRefusedError, match="not_closing"):
        withdraw(open_chat(), NOW)


def test_a_withdrawal_leaves_nothing_to_come_but_the_word_of_it() -> None:
    decision = withdraw(chat(), NOW)
    assert scheduled(decision) == {"chat.close_withdrawn": ("chat.close_withdrawn:cnv_1:4", NOW, CLOSE_AT, 4)}
    assert set(decision.withdrawn) == {"chat.closing_soon:cnv_1:2", "chat.close:cnv_1:3"}
    assert (decision.conversation.close_at, decision.conversation.revision) == (None, 4)


def test_a_later_cancellation_does_not_shorten_what_a_person_promised() -> None:
    extended = extend(chat(), CLOSE_AT + 30 * DAY, NOW, POLICY).conversation
    again = note_cancelled(extended, "ord_2", CANCELLED_AT + 2 * DAY, NOW + DAY, POLICY).conversation
    assert again.close_at == CLOSE_AT + 30 * DAY
    assert again.cancelled_order == "ord_2"


def test_after_a_withdrawal_another_cancellation_closes_the_chat_as_always() -> None:
    kept = withdraw(chat(), NOW).conversation
    again = note_cancelled(kept, "ord_2", CANCELLED_AT + 2 * DAY, NOW + DAY, POLICY).conversation
    assert again.close_at == CLOSE_AT + 2 * DAY


def test_a_newer_order_withdraws_an_extended_close() -> None:
    extended = extend(chat(), CLOSE_AT + 3 * DAY, NOW, POLICY).conversation
    decision = note_placed(extended, "ord_9", NOW, NOW)
    assert decision.conversation.close_at is None
    assert set(decision.withdrawn) == {"chat.closing_soon:cnv_1:5", "chat.close:cnv_1:6"}
