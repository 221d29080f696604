"""`annul ledger`: one order's books, or the trial balance, for people and machines."""

import sys
from collections.abc import Sequence

from workers.commands.output import console, print_json, table
from workers.insight.ledger import OrderLedger, Trial, read_order_ledger, read_trial
from workers.insight.money import money
from workers.insight.reading import named
from workers.settings import Settings


async def order(settings: Settings, order_id: str, *, as_json: bool) -> bool:
    """Print an order's books; False, and a line on standard error, where it is unknown or doesn't balance."""
    books = await read_order_ledger(settings, order_id)
    if books is None:
        sys.stderr.write(f"annul: nothing is known of order {named(order_id)}\n")
        return False
    if as_json:
        print_json(books)
    else:
        _print_order(books)
    return _tell(books.problems)


async def trial(settings: Settings, *, as_json: bool) -> bool:
    """Print the trial balance; False, and a line on standard error each, where it doesn't balance."""
    found = await read_trial(settings)
    if as_json:
        print_json(found)
    else:
        _print_trial(found)
    return _tell(found.problems)


def _tell(problems: Sequence[str]) -> bool:
    for problem in problems:
        sys.stderr.write(f"annul: {problem}\n")
    return not problems


def _print_order(books: OrderLedger) -> None:
    out = console()
    if not books.lines:
        out.print("No money moved for this order.")
        return
    lines = [
        (
            one.at,
            one.kind,
            one.source,
            one.target,
            money(one.amount_minor, one.currency),
            money(one.escrow_minor, one.currency),
        )
        for one in books.lines
    ]
    headings = ("at (UTC)", "kind", "from", "to", "amount", "escrow after it")
    out.print(table(f"Ledger of {books.order_id}", headings, lines, numbers=("amount", "escrow after it")))
    balances = [(one.account, money(one.balance_minor, one.currency)) for one in books.balances]
    out.print(table("Balances", ("account", "balance"), balances, numbers=("balance",)))
    out.print("It balances." if books.balanced else "It does not balance.")


def _print_trial(found: Trial) -> None:
    out = console()
    rows = [
        (
            one.currency,
            one.family,
            f"{one.open} of {one.accounts}",
            money(one.debits_minor, one.currency),
            money(one.credits_minor, one.currency),
            money(one.balance_minor, one.currency),
        )
        for one in found.families
    ]
    headings = ("currency", "accounts", "not empty", "out", "in", "balance")
    out.print(table("Trial balance", headings, rows, numbers=headings[2:]))
    sums = ", ".join(money(total, currency) for currency, total in found.sums_minor.items()) or "nothing was posted"
    out.print(f"Together: {sums}. {found.open_escrows} escrow account(s) are not empty.")
    out.print("It balances." if found.balanced else "It does not balance.")
