"""`annul ledger`: an order's accounts line by line, and the trial balance of all."""

import pytest
from kit.feed import break_rows, rows_of
from kit.population import settings_for

from workers.insight.ledger import order_ledger, read_order_ledger, read_trial


async def test_an_orders_lines_add_up(populated_shared: str) -> None:
    books = await read_order_ledger(settings_for(populated_shared), "ord_refunded")
    assert books is not None
    assert (books.balanced, books.problems) == (True, [])
    shown = [(line.kind, line.source, line.target, line.amount_minor, line.escrow_minor) for line in books.lines]
    assert shown[:2] == [
        ("captured", "provider:card", "escrow:ord_refunded", 4500, 4500),
        ("captured", "provider:wallet", "escrow:ord_refunded", 500, 5000),
    ]
    assert sorted(line[4] for line in shown[2:4]) in ([0, 500], [0, 4500])
    assert [line[0] for line in shown[4:]] == ["refund_settled", "refund_settled"]
    assert {line[4] for line in shown[4:]} == {0}
    held = {one.account: one.balance_minor for one in books.balances}
    assert held == {
        "escrow:ord_refunded": 0,
        "provider:card": 0,
        "provider:wallet": -500,
        "refunding:card": 0,
        "refunding:wallet": 0,
        "wallet:cli_refunded": 500,
    }


async def test_every_order_balances(populated_shared: str) -> None:
    for row in await rows_of(populated_shared, "SELECT order_id FROM orders"):
        books = await read_order_ledger(settings_for(populated_shared), row["order_id"])
        assert books is not None
        assert books.balanced, books.problems


async def test_an_order_without_money_has_no_lines(populated_shared: str) -> None:
    books = await read_order_ledger(settings_for(populated_shared), "ord_free")
    assert books is not None
    assert (books.lines, books.balances, books.balanced) == ([], [], True)
    assert await read_order_ledger(settings_for(populated_shared), "ord_none") is None


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM ledger_transfers WHERE kind = 'refund_requested'", "still holds 50.00 EUR"),
        ("DELETE FROM ledger_transfers WHERE kind = 'captured'", "the escrow is at -"),
        (
            "UPDATE ledger_transfers SET amount_minor = amount_minor + 1 WHERE kind = 'refund_settled'",
            "refunding:card is at -0.01 EUR",
        ),
        (
            """ALTER TABLE ledger_transfers DROP CONSTRAINT ledger_transfers_amount_minor_check;
               UPDATE ledger_transfers SET amount_minor = 0 WHERE kind = 'refund_settled'""",
            "moves nothing",
        ),
    ],
)
async def test_what_does_not_balance_is_told(populated: str, statement: str, told: str) -> None:
    await break_rows(populated, statement)
    books = await read_order_ledger(settings_for(populated), "ord_refunded")
    assert books is not None
    assert not books.balanced
    assert any(told in one for one in books.problems), books.problems


def test_sums_of_several_currencies_are_kept_apart() -> None:
    line = {"at": None, "kind": "captured", "transfer_id": "t", "refund_id": None, "from": "provider:card"}
    rows = [
        {**line, "to": "escrow:o", "amount_minor": 5, "currency": "EUR"},
        {**line, "to": "escrow:o", "amount_minor": 7, "currency": "JPY"},
    ]
    books = order_ledger("o", rows, refunded=False)
    assert [one.escrow_minor for one in books.lines] == [5, 7]
    assert len(books.balances) == 4
    assert books.balanced


async def test_the_trial_balance_is_zero_in_each_currency(populated_shared: str) -> None:
    trial = await read_trial(settings_for(populated_shared))
    assert trial.balanced
    assert trial.sums_minor == {"EUR": 0, "JPY": 0, "KWD": 0}
    euros = {one.family: one for one in trial.families if one.currency == "EUR"}
    assert euros["escrow"].open == 0
    (orders,) = await rows_of(
        populated_shared,
        "SELECT count(DISTINCT order_id) FROM ledger_transfers WHERE kind = 'captured' AND currency = 'EUR'",
    )
    assert euros["escrow"].accounts == orders[0]
    (sums,) = await rows_of(
        populated_shared,
        """SELECT sum(amount_minor) FILTER (WHERE debit_account = 'provider:card'),
                  sum(amount_minor) FILTER (WHERE credit_account = 'provider:card')
             FROM ledger_transfers WHERE currency = 'EUR'""",
    )
    card = euros["provider:card"]
    assert (card.debits_minor, card.credits_minor) == tuple(map(int, sums))
    assert card.balance_minor == card.credits_minor - card.debits_minor
    assert {"refunding:card", "refunding:wallet", "wallet", "provider:paypal"} <= set(euros)
    assert trial.open_escrows == 0


async def test_an_empty_ledger_balances(database_url: str) -> None:
    trial = await read_trial(settings_for(database_url))
    assert (trial.balanced, trial.families, trial.sums_minor) == (True, [], {})


async def test_what_is_below_zero_is_told(populated: str) -> None:
    await break_rows(populated, "DELETE FROM ledger_transfers WHERE kind = 'captured' AND order_id = 'ord_pending'")
    trial = await read_trial(settings_for(populated))
    assert trial.problems == ["1 account(s) of escrow in EUR are below zero"]
    assert trial.open_escrows == 1
