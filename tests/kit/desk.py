"""Handlers at work on a database without a broker: what a batch decides, transaction by transaction."""

import random
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count
from typing import Any

from kit import builders
from schemas.base import Message
from schemas.envelope import Envelope
from schemas.orders import Tender
from schemas.refunds import RefundCommand, RefundDue, RefundIssue, RefundLookUp, RefundResult
from workers.cancellations import Cancellations
from workers.domain.policy import Policy
from workers.pipeline.messages import Handler, Incoming, Verdict
from workers.pipeline.ports import Partition, Record
from workers.refunds import Refunds
from workers.store.database import Database
from workers.store.queries import sql

_numbers = count(1)
_TYPES = {
    RefundIssue: "refund.issue",
    RefundLookUp: "refund.look_up",
    RefundResult: "refund.result",
    RefundDue: "refund.due",
}


def incoming(data: Message) -> Incoming:
    """A message as a handler is given it."""
    number = next(_numbers)
    record = Record(Partition("anywhere", 0), number, None, b"", ())
    return Incoming(record, Envelope(f"evt_{number}", "/x", _TYPES.get(type(data), "order.event"), None, None), data)


class Desk:
    """Takes messages to handlers."""

    def __init__(self, database: Database, policy: Policy | None = None) -> None:
        self._database = database
        self.policy = policy or Policy()

    async def decide(self, handler: Handler, *messages: Message) -> Sequence[Verdict]:
        """One batch in one transaction."""
        async with self._database.transaction() as connection:
            return await self.decide_in(connection, handler, *messages)

    async def decide_in(self, connection: Any, handler: Handler, *messages: Message) -> Sequence[Verdict]:
        """A batch in a transaction of the caller's."""
        now = await connection.fetchval(sql("read_clock"))
        return await handler.record(connection, [incoming(message) for message in messages], now)

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """One that the caller ends."""
        return self._database.transaction()

    async def retry(self, command: RefundIssue) -> RefundIssue:
        """The provider wants the command again later, and later comes; the next attempt's command."""
        refunds = Refunds(self.policy.refunds, random.Random(1))
        answer = builders.result("retryable", refund_id=command.refund_id, order_id=command.order_id)
        await self.decide(refunds, answer)
        due = RefundDue(refund_id=command.refund_id, order_id=command.order_id, revision=2)
        (again,) = [one for one in messages_of(await self.decide(refunds, due)) if isinstance(one, RefundIssue)]
        return again

    async def cancel(self, order_id: str = builders.ORDER, *tenders: Tender) -> list[RefundIssue]:
        """Cancel an order; the commands that follow."""
        verdicts = await self.decide(Cancellations(self.policy), builders.cancelled(order_id, *tenders))
        return [one for one in messages_of(verdicts) if isinstance(one, RefundIssue)]


def messages_of(verdicts: Sequence[Verdict]) -> list[Message]:
    """All that verdicts cause."""
    return [emission.data for verdict in verdicts for emission in verdict.emissions]


def commands_of(verdicts: Sequence[Verdict]) -> list[RefundCommand]:
    """The commands among it."""
    return [one for one in messages_of(verdicts) if isinstance(one, RefundCommand)]


def results_of(verdicts: Sequence[Verdict]) -> list[RefundResult]:
    """The results among it."""
    return [one for one in messages_of(verdicts) if isinstance(one, RefundResult)]


def reasons_of(verdicts: Sequence[Verdict]) -> list[str | None]:
    """Why each was parked, or that it was not."""
    return [verdict.fault.reason if verdict.fault else None for verdict in verdicts]
