"""`annul chats list`, `extend` and `withdraw`: which chats close when, and a person's word on one of them."""

import sys
from datetime import datetime
from typing import Any

from workers.actions.chats import ChatActionError, extend_chat, withdraw_chat
from workers.actions.rules import ActionError
from workers.commands.output import console, print_json, table, when
from workers.insight.chats import Place, page_closes
from workers.insight.reading import connected, snapshot
from workers.settings import Settings, SettingsError


async def list_(settings: Settings, *, limit: int, as_json: bool) -> bool:
    """Print the chats that close next; always True."""
    rows: list[Any] = []
    async with snapshot(settings) as connection:
        after: Place | None = None
        while len(rows) < limit:
            page = await page_closes(connection, after)
            rows += page.rows
            after = page.after
            if after is None:
                break
    rows = rows[:limit]
    found = [
        {"conversation_id": row["conversation_id"], "close_at": row["due_at"], "order_id": row["cancelled_order"]}
        for row in rows
    ]
    if as_json:
        print_json(found)
    elif found:
        cells = [(one["conversation_id"], one["close_at"], one["order_id"]) for one in found]
        console().print(table("Chats that close", ("conversation", "at (UTC)", "cancelled order"), cells))
    else:
        console().print("No chat is about to close.")
    return True


async def extend(settings: Settings, conversation_id: str, close_at: datetime, *, by: str, reason: str) -> bool:
    """Let it close later; False where that is refused. Raises SettingsError where the call is bad."""
    return await _do(settings, conversation_id, close_at, by, reason)


async def withdraw(settings: Settings, conversation_id: str, *, by: str, reason: str) -> bool:
    """Let it stay open; otherwise as `extend`."""
    return await _do(settings, conversation_id, None, by, reason)


async def _do(settings: Settings, conversation_id: str, close_at: datetime | None, by: str, reason: str) -> bool:
    policy = settings.policy().chats
    async with connected(settings) as connection:
        try:
            if close_at is None:
                await withdraw_chat(connection, conversation_id, by, reason)
            else:
                await extend_chat(connection, conversation_id, by, reason, close_at=close_at, policy=policy)
        except ActionError as error:
            raise SettingsError(str(error)) from None
        except ChatActionError as error:
            sys.stderr.write(f"annul: {error}\n")
            return False
    told = "stays open" if close_at is None else f"closes {when(close_at)} UTC"
    console().print(f"It {told}. The worker `timers` tells both sides.")
    return True
