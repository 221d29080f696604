"""Worker `wallet`: the adapter of the clients' wallets, which are the ledger itself.

Claim, credit and answer are one transaction, so nothing about a wallet is ever uncertain.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import astuple

from schemas.refunds import RefundIssue
from workers.claims import claim, issues, refused, result_of
from workers.consumers import CONSUMERS
from workers.domain import ledger
from workers.handler import DatabaseHandler
from workers.pipeline.messages import Incoming, Verdict
from workers.store.database import columns
from workers.store.queries import sql


class Wallet(DatabaseHandler):
    """Credits wallets."""

    name = "wallet"
    topics = CONSUMERS["wallet"]

    def __init__(self, process: str, lease: timedelta) -> None:
        self._process = process
        self._lease = lease

    async def record(self, connection: Any, batch: Sequence[Incoming], now: datetime) -> Sequence[Verdict]:
        """One verdict a command."""
        answers = iter(await claim(connection, issues(batch), self._process, self._lease))
        asked = [message.data for message in batch if not isinstance(message.data, RefundIssue)]
        credited = await self._credited(
            connection, [(command.order_id, ledger.credit_id(command.refund_id)) for command in asked]
        )
        verdicts, credits_ = [], []
        for message in batch:
            command = message.data
            if not isinstance(command, RefundIssue):
                outcome = "succeeded" if command.refund_id in credited else "not_found"
                found = command.refund_id if outcome == "succeeded" else None
                told = result_of(command, outcome, now, provider_refund_id=found)  # type: ignore[arg-type]  # a Literal
                verdicts.append(Verdict("applied", (told,)))
                continue
            answer = next(answers)
            if answer.word != "claimed":
                verdicts.append(refused(command, answer, now))
                continue
            assert answer.client_id is not None
            credits_.append(ledger.wallet_credit(command, answer.client_id, now))
            told = result_of(command, "succeeded", now, provider_refund_id=command.refund_id)
            verdicts.append(Verdict("applied", (told,)))
        if credits_:
            await connection.execute(sql("credit_wallets"), *columns([astuple(one) for one in credits_], 9))
        return verdicts

    async def _credited(self, connection: Any, lines: list[tuple[str, str]]) -> set[str]:
        if not lines:
            return set()
        rows = await connection.fetch(sql("read_wallet_credits"), *columns(lines, 2))
        return {row["refund_id"] for row in rows}
