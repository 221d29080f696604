"""A person lets a chat close later, or not at all. Each is one transaction with its entry in the audit chain.

What is told of it is scheduled, due at once: the worker `timers` sends it, as it would send the close itself.
"""

from datetime import datetime
from typing import Any, Final

from workers.actions.rules import the_name, the_reason
from workers.domain.chat import ChatDecision, ChatRefusedError, close_id, extend, withdraw
from workers.domain.order_types import Conversation
from workers.domain.policy import ChatPolicy
from workers.insight.reading import named
from workers.store.audit import Entry, append
from workers.store.queries import sql
from workers.store.recording import Agenda, lock, store

WHY: Final = {
    "unknown_chat": "there is no such conversation",
    "not_closing": "no close of it is scheduled",
    "closed": "it has closed, or is closing just now",
    "not_later": "it may only close later than announced: both sides were told that time",
    "too_late": "that is more than a year from now",
    "moved": "it is not any more what was seen; look at it again",
}
"""By the code of a refusal."""


class ChatActionError(Exception):
    """It can't be done. `code` is stable; the text says it in a sentence."""

    def __init__(self, code: str, about: str) -> None:
        super().__init__(f"{named(about)}: {WHY[code]}")
        self.code = code


async def extend_chat(
    connection: Any,
    conversation_id: str,
    actor: str,
    reason: str,
    *,
    close_at: datetime,
    policy: ChatPolicy,
    revision: int | None = None,
) -> Conversation:
    """Let it close at `close_at`, which is later than announced; the conversation as it is then.

    `revision` is what was seen of it. Raises ChatActionError, and ActionError for a name or reason that won't do.
    """
    name, why = the_name(actor), the_reason(reason)
    async with connection.transaction():
        chat, now = await _locked(connection, conversation_id, revision)
        try:
            decision = extend(chat, close_at, now, policy)
        except ChatRefusedError as error:
            raise ChatActionError(error.code, conversation_id) from None
        await _keep(connection, chat, decision, name, why, now)
    return decision.conversation


async def withdraw_chat(
    connection: Any, conversation_id: str, actor: str, reason: str, *, revision: int | None = None
) -> Conversation:
    """Let it stay open until another order of it is cancelled. Raises as `extend_chat`."""
    name, why = the_name(actor), the_reason(reason)
    async with connection.transaction():
        chat, now = await _locked(connection, conversation_id, revision)
        try:
            decision = withdraw(chat, now)
        except ChatRefusedError as error:
            raise ChatActionError(error.code, conversation_id) from None
        await _keep(connection, chat, decision, name, why, now)
    return decision.conversation


async def _locked(connection: Any, conversation_id: str, revision: int | None) -> tuple[Conversation, datetime]:
    """The conversation, locked with its close. Who sends the close just now holds it already: then it is too late."""
    rows = await lock(connection, "lock_conversations", Conversation, [conversation_id])
    chat = rows.get(conversation_id)
    if chat is None:
        raise ChatActionError("unknown_chat", conversation_id)
    if revision is not None and revision != chat.revision:
        raise ChatActionError("moved", conversation_id)
    standing = close_id(chat)
    if standing is not None and await connection.fetchval(sql("lock_close"), standing) not in (None, "waiting"):
        raise ChatActionError("closed", conversation_id)
    now: datetime = await connection.fetchval(sql("read_clock"))
    return chat, now


async def _keep(
    connection: Any, before: Conversation, decision: ChatDecision, actor: str, why: str, now: datetime
) -> None:
    after = decision.conversation
    chat_id = after.conversation_id
    agenda = Agenda()
    agenda.note(decision.later, decision.withdrawn, None)
    await store(connection, "conversations", {chat_id: after}, {chat_id: before})
    await agenda.store(connection)
    what = "withdrawn" if after.close_at is None else "extended"
    assert before.close_at is not None
    closes = (before.cancelled_order, before.close_at, after.close_at)
    await connection.execute(sql("add_chat_intervention"), chat_id, after.revision, what, *closes, actor, why, now)
    detail = {
        "order_id": before.cancelled_order,
        "close_before": before.close_at.isoformat(),
        "close_after": after.close_at.isoformat() if after.close_at is not None else None,
        "reason": why,
    }
    await append(connection, [Entry(actor=actor, what=f"chat.{what}", subject=chat_id, detail=detail)])
