"""Pausing and resuming consumers and providers. Each is one transaction with its entry in the audit chain."""

from datetime import datetime
from typing import Any, Final

import msgspec

from workers import pauses
from workers.actions.rules import the_name, the_reason
from workers.consumers import CONSUMERS
from workers.insight.reading import named
from workers.store.audit import Entry, append
from workers.store.queries import sql

PAUSABLE: Final = (*CONSUMERS, "timers")
"""The workers that a person can pause."""
PROVIDERS: Final = ("card", "paypal")
"""The providers that are called, and can be paused."""

WHY: Final = {
    "unknown_consumer": "there is no such consumer",
    "unknown_provider": "there is no such provider",
    "already_paused": "it is paused already",
    "not_paused": "it is not paused",
}
"""By the code of a refusal."""


class HoldError(Exception):
    """It can't be paused or resumed. `code` is stable; the text says it in a sentence."""

    def __init__(self, code: str, about: str) -> None:
        super().__init__(f"{about}: {WHY[code]}")
        self.code = code


class ConsumerPause(msgspec.Struct, frozen=True, kw_only=True):
    """The latest word of a person on a consumer."""

    worker: str
    paused: bool
    reason: str
    by_person: str
    since: datetime


async def read_consumer_pauses(connection: Any) -> dict[str, ConsumerPause]:
    """By worker, of those that a person ever paused."""
    rows = await connection.fetch(sql("read_consumer_pauses"))
    return {row["worker"]: ConsumerPause(**row) for row in rows}


async def hold_consumer(connection: Any, worker: str, actor: str, reason: str, *, paused: bool) -> None:
    """Pause a worker, or let it go on: all its processes follow within two seconds.

    Raises HoldError where there is none of that name or it stands so already, ActionError for a name or reason that
    won't do.
    """
    name, why = the_name(actor), the_reason(reason)
    if worker not in PAUSABLE:
        raise HoldError("unknown_consumer", named(worker))
    async with connection.transaction():
        if await connection.fetchval(sql("set_consumer_pause"), worker, paused, why, name) is None:
            raise HoldError("already_paused" if paused else "not_paused", worker)
        await append(connection, [_entry("consumer", worker, name, why, paused=paused)])


async def hold_provider(connection: Any, provider: str, actor: str, reason: str, *, paused: bool) -> int:
    """Pause a provider until a person resumes it, or resume it whoever paused it; how many refunds were woken.

    Raises HoldError and ActionError, as `hold_consumer`.
    """
    name, why = the_name(actor), the_reason(reason)
    if provider not in PROVIDERS:
        raise HoldError("unknown_provider", named(provider))
    woken = 0
    async with connection.transaction():
        if paused:
            if await connection.fetchval(sql("hold_provider"), provider, why, name) is None:
                raise HoldError("already_paused", provider)
        else:
            paused_at = await connection.fetchval(sql("release_provider"), provider)
            if paused_at is None:
                raise HoldError("not_paused", provider)
            woken = await pauses.wake(connection, provider, paused_at)
        await append(connection, [_entry("provider", provider, name, why, paused=paused)])
    return woken


def _entry(kind: str, subject: str, actor: str, reason: str, *, paused: bool) -> Entry:
    what = f"{kind}.{'paused' if paused else 'resumed'}"
    return Entry(actor=actor, what=what, subject=subject, detail={"reason": reason})
