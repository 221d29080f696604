"""Orders to the chat service: when a conversation closes after a cancellation (SPEC R4)."""

from schemas.base import Id, Message, Ordinal, ShortText, Time


class ChatCommand(Message, frozen=True, kw_only=True):
    """One shape for `chat.close_scheduled`, `chat.closing_soon`, `chat.close` and `chat.close_withdrawn`."""

    conversation_id: Id
    order_id: Id
    close_at: Time
    revision: Ordinal
    reason: ShortText | None = None
