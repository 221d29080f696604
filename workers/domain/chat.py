"""When a conversation closes (SPEC R4, §5)."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec.structs import replace

from schemas.chats import ChatCommand
from schemas.topics import CHATS_COMMANDS
from workers.domain.emission import Emission, Later, emission
from workers.domain.order_types import Conversation
from workers.domain.policy import ChatPolicy

LONGEST: Final = timedelta(days=365)
"""How far from now a person may put a close."""
EXTENDED: Final = "extended"
WITHDRAWN: Final = "withdrawn"
"""Of a word that a person caused: why the close moved, or went."""


class ChatRefusedError(Exception):
    """A person may not do this to a chat. `code` is stable."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ChatDecision(NamedTuple):
    """What becomes of a conversation."""

    conversation: Conversation
    emissions: tuple[Emission, ...] = ()
    later: tuple[Later, ...] = ()
    withdrawn: tuple[str, ...] = ()


def note_placed(chat: Conversation, order_id: str, placed_at: datetime, now: datetime) -> ChatDecision:
    """An order was placed; one placed after the cancellation, and not the cancelled one, keeps the chat open."""
    if chat.placed_at is None or order_id == chat.placed_order:
        chat = replace(chat, placed_order=order_id, placed_at=placed_at)
    elif placed_at > chat.placed_at:
        chat = replace(chat, placed_order=order_id, placed_at=placed_at, other_placed_at=chat.placed_at)
    elif chat.other_placed_at is None or placed_at > chat.other_placed_at:
        chat = replace(chat, other_placed_at=placed_at)
    if chat.close_at is None or not _outlived(chat):
        return ChatDecision(chat)
    assert chat.cancelled_order is not None
    return _withdraw(chat, chat.cancelled_order, chat.close_at, now)


def note_cancelled(
    chat: Conversation, order_id: str, cancelled_at: datetime, now: datetime, policy: ChatPolicy
) -> ChatDecision:
    """An order was cancelled: schedule the close; of two cancellations the later deadline stands."""
    if chat.cancelled_at is not None and cancelled_at <= chat.cancelled_at:
        return ChatDecision(chat, _announce(chat, order_id, now))
    chat = replace(chat, cancelled_order=order_id, cancelled_at=cancelled_at)
    close_at = cancelled_at + policy.open_for
    if chat.close_at is not None:
        close_at = max(close_at, chat.close_at)  # a person may have promised more
    if _outlived(chat):
        return _withdraw(chat, order_id, close_at, now)
    return _schedule(chat, order_id, close_at, now, policy)


def extend(chat: Conversation, close_at: datetime, now: datetime, policy: ChatPolicy) -> ChatDecision:
    """A person lets a chat close later than announced; never earlier: both sides were promised that time (SPEC R4).

    Who was reminded already reads the new deadline from the word that moves it. Raises ChatRefusedError.
    """
    order_id, before = _closing(chat, now)
    if close_at <= before:
        raise ChatRefusedError("not_later")
    if close_at > now + LONGEST:
        raise ChatRefusedError("too_late")
    first = chat.revision + 1
    later = [_later(chat, order_id, "chat.close", close_at, close_at, first + 2)]
    if close_at - policy.remind_before > now:
        remind_at = close_at - policy.remind_before
        later.append(_later(chat, order_id, "chat.closing_soon", remind_at, close_at, first + 1))
    extended = replace(chat, close_at=close_at, scheduled_revision=first, revision=first + 2)
    told = _command(extended, order_id, "chat.close_scheduled", close_at, first, now, reason=EXTENDED)
    later.append(_at_once(told, extended, first, now))
    return ChatDecision(extended, (), tuple(later), _pending(chat))


def withdraw(chat: Conversation, now: datetime) -> ChatDecision:
    """A person lets a chat stay open. Raises ChatRefusedError."""
    order_id, before = _closing(chat, now)
    withdrawn = replace(chat, close_at=None, scheduled_revision=None, revision=chat.revision + 1)
    last = withdrawn.revision
    told = _command(withdrawn, order_id, "chat.close_withdrawn", before, last, now, reason=WITHDRAWN)
    return ChatDecision(withdrawn, (), (_at_once(told, withdrawn, last, now),), _pending(chat))


def close_id(chat: Conversation) -> str | None:
    """The schedule id of the close that stands."""
    return _pending(chat)[-1] if chat.scheduled_revision is not None else None


def _closing(chat: Conversation, now: datetime) -> tuple[str, datetime]:
    """The order and deadline of a close that is to come. Raises ChatRefusedError."""
    if chat.close_at is None or chat.cancelled_order is None:
        raise ChatRefusedError("not_closing")
    if chat.close_at <= now:
        raise ChatRefusedError("closed")
    return chat.cancelled_order, chat.close_at


def _at_once(told: Emission, chat: Conversation, revision: int, now: datetime) -> Later:
    return Later(_schedule_id(told.type, chat.conversation_id, revision), chat.conversation_id, now, revision, told)


def _outlived(chat: Conversation) -> bool:
    if chat.cancelled_at is None:
        return False
    latest = chat.other_placed_at if chat.placed_order == chat.cancelled_order else chat.placed_at
    return latest is not None and latest > chat.cancelled_at


def _schedule(chat: Conversation, order_id: str, close_at: datetime, now: datetime, policy: ChatPolicy) -> ChatDecision:
    first = chat.revision + 1
    later = [_later(chat, order_id, "chat.close", close_at, close_at, first + 2)]
    remind_at = close_at - policy.remind_before
    if policy.open_for >= policy.remind_before and close_at > now:
        later.append(_later(chat, order_id, "chat.closing_soon", remind_at, close_at, first + 1))
    scheduled = replace(chat, close_at=close_at, scheduled_revision=first, revision=first + 2)
    return ChatDecision(scheduled, _announce(scheduled, order_id, now), tuple(later), _pending(chat))


def _announce(chat: Conversation, order_id: str, now: datetime) -> tuple[Emission, ...]:
    """Tell the standing deadline; the same fact carries the same revision."""
    if chat.close_at is None or chat.scheduled_revision is None:
        return ()
    return (_command(chat, order_id, "chat.close_scheduled", chat.close_at, chat.scheduled_revision, now),)


def _withdraw(chat: Conversation, order_id: str, close_at: datetime, now: datetime) -> ChatDecision:
    withdrawn = replace(chat, close_at=None, scheduled_revision=None, revision=chat.revision + 1)
    told = _command(withdrawn, order_id, "chat.close_withdrawn", close_at, withdrawn.revision, now, reason="new_order")
    return ChatDecision(withdrawn, (told,), (), _pending(chat))


def _pending(chat: Conversation) -> tuple[str, ...]:
    """The schedule ids of what a conversation waits for."""
    if chat.scheduled_revision is None:
        return ()
    first = chat.scheduled_revision
    return (
        _schedule_id("chat.closing_soon", chat.conversation_id, first + 1),
        _schedule_id("chat.close", chat.conversation_id, first + 2),
    )


def _schedule_id(type_: str, conversation_id: str, revision: int) -> str:
    # With the revision in it, a close that fired stays on record when another is scheduled.
    return f"{type_}:{conversation_id}:{revision}"


def _later(chat: Conversation, order_id: str, type_: str, due_at: datetime, close_at: datetime, revision: int) -> Later:
    return Later(
        _schedule_id(type_, chat.conversation_id, revision),
        chat.conversation_id,
        due_at,
        revision,
        _command(chat, order_id, type_, close_at, revision, due_at),
    )


def _command(
    chat: Conversation,
    order_id: str,
    type_: str,
    close_at: datetime,
    revision: int,
    now: datetime,
    *,
    reason: str | None = None,
) -> Emission:
    data = ChatCommand(
        conversation_id=chat.conversation_id,
        order_id=order_id,
        close_at=close_at,
        revision=revision,
        reason=reason,
    )
    return emission(
        CHATS_COMMANDS, chat.conversation_id, type_, data, now, chat.conversation_id, order_id, str(revision)
    )
