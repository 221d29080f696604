"""The books: one order's accounts line by line, and the trial balance of all of them.

A balance is what came into an account less what went out, in the currency's minor unit.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from workers.domain.ledger import escrow
from workers.insight.money import money
from workers.insight.reading import snapshot
from workers.settings import Settings
from workers.store.queries import sql

_NEVER_NEGATIVE: Final = ("escrow", "wallet", "refunding:")
"""Families of accounts that can't give what they don't have."""


class Line(msgspec.Struct, frozen=True, kw_only=True, rename={"source": "from", "target": "to"}):
    """A line of the ledger, and what the order's escrow holds after it."""

    at: datetime
    kind: str
    source: str
    target: str
    amount_minor: int
    currency: str
    escrow_minor: int
    transfer_id: str
    refund_id: str | None


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What an account holds of the order's money."""

    account: str
    currency: str
    balance_minor: int


class OrderLedger(msgspec.Struct, frozen=True, kw_only=True):
    """What `annul ledger ORDER` tells; `problems` says why it doesn't balance."""

    order_id: str
    balanced: bool
    problems: list[str]
    lines: list[Line]
    balances: list[Balance]


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts of one kind and currency: how many, how many hold something, and their sums."""

    currency: str
    family: str
    accounts: int
    open: int
    negative: int
    debits_minor: int
    credits_minor: int
    balance_minor: int


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """The trial balance. `sums_minor` by currency is zero where all is right; `open_escrows` are not empty."""

    balanced: bool
    problems: list[str]
    families: list[Family]
    sums_minor: dict[str, int]
    open_escrows: int


async def read_order_ledger(settings: Settings, order_id: str) -> OrderLedger | None:
    """One order's books; None where the order is unknown. Raises what PostgreSQL raises."""
    async with snapshot(settings) as connection:
        order = await connection.fetchrow(sql("read_ledger_order"), order_id)
        rows = await connection.fetch(sql("read_ledger_lines"), order_id)
    if order is None and not rows:
        return None
    return order_ledger(order_id, rows, refunded=order is not None and order["refunded_at"] is not None)


def order_ledger(order_id: str, rows: Sequence[Any], *, refunded: bool) -> OrderLedger:
    """The books of an order from its lines in order."""
    held: Counter[tuple[str, str]] = Counter()
    account, lines, problems = escrow(order_id), [], []
    for row in rows:
        source, target, currency = row["from"], row["to"], row["currency"]
        held[source, currency] -= row["amount_minor"]
        held[target, currency] += row["amount_minor"]
        left = held[account, currency]
        lines.append(
            Line(
                at=row["at"],
                kind=row["kind"],
                source=source,
                target=target,
                amount_minor=row["amount_minor"],
                currency=currency,
                escrow_minor=left,
                transfer_id=row["transfer_id"],
                refund_id=row["refund_id"],
            )
        )
        if left < 0:
            problems.append(f"after {row['transfer_id']} the escrow is at {money(left, currency)}")
        if row["amount_minor"] <= 0 or source == target:
            problems.append(f"{row['transfer_id']} moves nothing from one account to another")
    problems += _unbalanced(held, account, refunded=refunded)
    balances = [Balance(account=name, currency=unit, balance_minor=held[name, unit]) for name, unit in sorted(held)]
    return OrderLedger(order_id=order_id, balanced=not problems, problems=problems, lines=lines, balances=balances)


def _unbalanced(held: Counter[tuple[str, str]], account: str, *, refunded: bool) -> Iterator[str]:
    sums: Counter[str] = Counter()
    for (name, currency), balance in held.items():
        sums[currency] += balance
        if name == account and balance > 0 and refunded:
            yield f"the order is refunded, and its escrow still holds {money(balance, currency)}"
        elif name != account and name.startswith(_NEVER_NEGATIVE) and balance < 0:
            yield f"{name} is at {money(balance, currency)}"
    for currency, total in sums.items():
        if total:
            yield f"all accounts together are at {money(total, currency)}"


async def read_trial(settings: Settings) -> Trial:
    """The balances of everything, as of one moment. Raises what PostgreSQL raises."""
    async with snapshot(settings) as connection:
        rows = await connection.fetch(sql("read_trial_balance"))
        bad_lines = await connection.fetchval(sql("count_bad_lines"))
    families = [
        Family(
            currency=row["currency"],
            family=row["family"],
            accounts=row["accounts"],
            open=row["open"],
            negative=row["negative"],
            debits_minor=int(row["debits"]),
            credits_minor=int(row["credits"]),
            balance_minor=int(row["credits"] - row["debits"]),
        )
        for row in rows
    ]
    sums: Counter[str] = Counter()
    for one in families:
        sums[one.currency] += one.balance_minor
    problems = [f"all accounts together are at {money(total, unit)}" for unit, total in sums.items() if total]
    problems += [
        f"{one.negative} account(s) of {one.family} in {one.currency} are below zero"
        for one in families
        if one.negative and one.family.startswith(_NEVER_NEGATIVE)
    ]
    problems += [f"{bad_lines} line(s) move nothing from one account to another"] if bad_lines else []
    return Trial(
        balanced=not problems,
        problems=problems,
        families=families,
        sums_minor=dict(sums),
        open_escrows=sum(one.open for one in families if one.family == "escrow"),
    )
