"""A card refund that waits for a person, with every worker at hand that may act on what the person asks for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import asyncpg

from kit.builders import tender
from kit.feed import Feed, rows_of
from kit.population import cancellation, settings_for
from schemas.base import encode
from schemas.envelope import headers_of
from schemas.refunds import RefundAction, RefundCommand, RefundFlagged, RefundIssue
from schemas.topics import REFUNDS_DUE
from workers.actions.asking import Asked, Wish, ask
from workers.actions.preview import Preview, preview
from workers.actions.rules import Rules
from workers.domain.policy import Policy, RefundPolicy
from workers.domain.refund_types import ActionKind
from workers.insight.verify import verify
from workers.providers.port import Answer
from workers.settings import Settings

REASON = "the client wrote to support"


class Review:
    """The order `ord_one` of 45.00 EUR by card. `answer` is what the card provider says to a command by now."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.url = url
        self.settings: Settings = settings_for(url, **settings)
        self.rules = Rules.of(self.settings)
        self.answer: Answer | None = Answer(outcome="rejected", code="charge_disputed")
        self.found = Answer(outcome="not_found")
        self.feed = Feed(url, self._script, policy=Policy(refunds=RefundPolicy()))
        self.refund_id = ""

    def _script(self, command: RefundCommand) -> Answer | None:
        return self.answer if isinstance(command, RefundIssue) else self.found

    async def __aenter__(self) -> Self:
        await self.feed.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.feed.__aexit__(kind, error, traceback)

    async def begin(self, captured_minor: int = 4500, currency: str = "EUR") -> None:
        """Cancel the order; what the provider says sends its refund to review."""
        card = tender(reference="pi_one", captured_minor=captured_minor)
        await self.feed.take(cancellation("one", card, currency=currency))
        (command,) = self.feed.commands("ord_one")
        self.refund_id = command.refund_id

    async def flag(self, code: str = "unknown_provider_refund") -> None:
        """Something doesn't add up: a person must look."""
        data = RefundFlagged(refund_id=self.refund_id, order_id="ord_one", code=code, observed_at=datetime.now(UTC))
        await self._put("refund.flagged", f"evt_{code}", data)

    async def say(
        self, action_id: str, times: int = 1, *, refund_id: str | None = None, order_id: str = "ord_one"
    ) -> None:
        """Bring an action to the worker, as often as it may be delivered; all in one batch."""
        data = RefundAction(refund_id=refund_id or self.refund_id, order_id=order_id, action_id=action_id)
        for _ in range(times):
            await self.feed.put(
                REFUNDS_DUE.name, encode(data), headers=headers_of("refund.action", "evt_a", datetime.now(UTC))
            )
        await self.feed.work()

    async def _put(self, type_: str, message_id: str, data: RefundFlagged) -> None:
        headers = headers_of(type_, message_id, datetime.now(UTC))
        await self.feed.put(REFUNDS_DUE.name, encode(data), headers=headers)
        await self.feed.work()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A person's connection."""
        made = await asyncpg.connect(self.url)
        try:
            yield made
        finally:
            await made.close()

    async def preview(self, kind: ActionKind, **changes: Any) -> Preview:
        """What an action would cause now."""
        async with self.connection() as connection:
            return await preview(connection, self.rules, self.refund_id, kind, **changes)

    async def ask(self, kind: ActionKind, **changes: Any) -> Asked:
        """Ask for it."""
        wish = {"refund_id": self.refund_id, "kind": kind, "actor": "ann", "reason": REASON, **changes}
        async with self.connection() as connection:
            return await ask(connection, self.rules, Wish(**wish))

    async def act(self, kind: ActionKind, **changes: Any) -> str:
        """Ask for it and let it be carried out; what the worker decided."""
        asked = await self.ask(kind, **changes)
        await self.feed.fire()
        (row,) = await self.rows("SELECT outcome FROM manual_actions WHERE action_id = $1", asked.action.action_id)
        outcome: str = row["outcome"]
        return outcome

    async def refund(self) -> Any:
        """The refund's row."""
        (row,) = await self.rows("SELECT * FROM refunds WHERE refund_id = $1", self.refund_id)
        return row

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        """Rows."""
        return await rows_of(self.url, query, *arguments)

    async def violations(self, invariant: str | None = None) -> list[str]:
        """What `annul verify` tells."""
        found = (await verify(self.settings)).violations
        return [f"{one.subject}: {one.detail}" for one in found if invariant in (None, one.invariant)]
