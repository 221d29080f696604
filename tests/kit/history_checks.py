"""What must hold once a random history has come to rest, by what the tables say beside what really happened."""

from collections import defaultdict
from typing import Any, Final

from kit.history_truth import TenderKey, Truths
from kit.history_world import World
from schemas.orders import OrderCancelled
from workers.domain.refund_facts import OVERPAID
from workers.domain.refund_types import SETTLED

_AT_REST: Final = frozenset({"succeeded", "settled_elsewhere", "redirected", "needs_review"})
_SURPRISES: Final = frozenset({"cannot_be_recorded", "internal_error", "unknown_refund"})
_REFUNDS: Final = """SELECT refund_id, order_id, tender_id, provider, amount_minor, currency, state, code, settled_at,
         provider_refund_id, redirected_to, gate FROM refunds WHERE order_id = ANY($1::text[]) ORDER BY refund_id"""
_ORDERS: Final = """SELECT order_id, cancelled_at, refunded_at,
         EXISTS (SELECT FROM payouts AS p WHERE p.order_id = o.order_id AND p.allowed) AS paid_out
    FROM orders AS o WHERE order_id = ANY($1::text[])"""
_LINES: Final = """SELECT order_id, refund_id, kind, debit_account, credit_account, amount_minor, currency
    FROM ledger_transfers WHERE order_id = ANY($1::text[])"""
_CODES: Final = "SELECT refund_id FROM refund_steps WHERE code = $2 AND refund_id = ANY($1::text[])"


async def check_end(world: World, truths: Truths) -> None:
    """Raises AssertionError that says what does not hold."""
    connection = world.connection
    orders = {row["order_id"]: row for row in await connection.fetch(_ORDERS, truths.orders)}
    refunds: dict[TenderKey, list[Any]] = defaultdict(list)
    for row in await connection.fetch(_REFUNDS, truths.orders):
        refunds[row["order_id"], row["tender_id"]].append(row)
        world.tally[f"ends {row['state']}"] += 1
        assert row["state"] in _AT_REST, f"{row['refund_id']} is stuck: {row['state']} {row['code']} {row['gate']}"
        assert row["gate"] in (None, "frozen"), f"{row['refund_id']} waits at a gate for ever: {row['gate']}"
    _check_verdicts(world, orders)
    lines = await connection.fetch(_LINES, truths.orders)
    overpaid = await connection.fetch(_CODES, list(truths.tender_of), OVERPAID)
    for key in truths.of:
        order = orders.get(key[0])
        if order is not None and order["cancelled_at"] is not None:
            _check_tender(world, truths, key, refunds[key])
            _check_lines(truths, key, refunds[key], lines)
        else:
            assert not refunds[key], f"{key} is refunded, and its order was not cancelled"
            assert not truths.paid(key), f"{key} was paid, and its order was not cancelled"
    for order_id, order in orders.items():
        _check_order(truths, order, [row for key, rows in refunds.items() if key[0] == order_id for row in rows])
    if truths.lie is None:
        assert not overpaid, f"{overpaid[0][0]} was overpaid, and nobody lied"


def _check_verdicts(world: World, orders: dict[str, Any]) -> None:
    """Every cancellation that was read has its order or was parked (I4); nothing is parked for no reason."""
    for letter, verdict in world.verdicts:
        reason = verdict.fault.reason if verdict.fault else None
        if isinstance(letter.data, OrderCancelled) and reason is None:
            order = orders.get(letter.data.order_id)
            assert order is not None, f"{letter.message_id} came to nothing"
            assert order["cancelled_at"] is not None, f"{letter.message_id} cancelled nothing"
        if letter.reader not in ("cancellations", "payouts"):
            assert reason is None or _may_be_parked(letter, reason), f"{letter.message_id} was parked: {reason}"


def _may_be_parked(letter: Any, reason: str) -> bool:
    # A look-up's empty answer about a wallet that comes late, after the wallet was credited, is held to be forged.
    stale = letter.reader == "refunds" and letter.data.provider == "wallet" and letter.data.outcome == "not_found"
    return stale and reason == "contradicts_recorded"


def _check_tender(world: World, truths: Truths, key: TenderKey, rows: list[Any]) -> None:
    truth = truths.of[key]
    if not truth.due:
        assert not rows, f"{key} owes nothing, and is refunded"
        return
    live = [row for row in rows if row["state"] != "redirected"]
    assert len(live) == 1, f"{key} has {len(live)} live refunds"
    (refund,) = live
    paid = truths.paid(key)
    if refund["state"] == "succeeded" and truths.unheard(refund["refund_id"], refund["provider_refund_id"]):
        world.tally["bounces that nobody heard of"] += 1
        assert truths.lie is not None or not paid, f"{key} bounced, and the client has {paid}"
        return
    if truths.lie is None:
        assert paid <= truth.due, f"{key} was paid {paid}, and {truth.due} was due"
        if refund["state"] in SETTLED:
            assert paid == truth.due, f"{key} counts as settled, and the client has {paid} of {truth.due}"
        if refund["state"] == "settled_elsewhere":
            assert truth.persons == truth.due, f"{key} counts as settled elsewhere, and nobody paid"
        elif refund["state"] == "succeeded" and refund["provider"] != "wallet":
            entries = truths.providers[refund["provider"]].entries
            named = [one for one in entries if one.entry_id == refund["provider_refund_id"]]
            assert [one.status for one in named] == ["succeeded"], f"{key} is named by {named}"
    elif refund["state"] in SETTLED and refund["code"] != OVERPAID:
        assert paid >= truth.due, f"{key} counts as settled, and the client has {paid} of {truth.due}"


def _check_lines(truths: Truths, key: TenderKey, rows: list[Any], lines: list[Any]) -> None:
    """Wallets hold what was given to them; the ledger's success is the refund's."""
    ids = {row["refund_id"] for row in rows}
    wallet = sum(
        line["amount_minor"] * (1 if line["credit_account"].startswith("wallet:") else -1)
        for line in lines
        if line["refund_id"] in ids and "wallet:" in line["credit_account"][:7] + line["debit_account"][:7]
    )
    assert wallet == truths.of[key].wallet, f"{key}: the wallet holds {wallet}, {truths.of[key].wallet} given"
    settled = [row for row in rows if row["settled_at"] is not None]
    there = sum(
        {"refund_settled": 1, "refund_bounced": -1}.get(line["kind"], 0) for line in lines if line["refund_id"] in ids
    )
    in_wallet = sum(1 for row in rows if row["provider"] == "wallet" and row["settled_at"] is None and wallet)
    assert there - in_wallet <= len(settled) <= there, f"{key}: {there} arrived, {len(settled)} of them settled"


def _check_order(truths: Truths, order: Any, rows: list[Any]) -> None:
    order_id = order["order_id"]
    live = [row for row in rows if row["state"] != "redirected"]
    if order["paid_out"]:
        assert not rows, f"{order_id} is paid out and refunded"
    told = truths.told_refunded[order_id]
    assert len(told) <= 1, f"order.refunded was told {len(told)} times of {order_id}"
    assert bool(told) == (order["refunded_at"] is not None), f"{order_id}: told {told}, kept {order['refunded_at']}"
    if order["cancelled_at"] is not None and all(row["state"] in SETTLED for row in live):
        assert told, f"{order_id} is settled, and order.refunded was never told"
