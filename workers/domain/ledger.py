"""The double-entry ledger: every transfer takes from one account what it gives to another, so each sums to zero.

Accounts: `escrow:<order>`, `refunding:<provider>`, `provider:<provider>`, `wallet:<client>`, `suspense`.
"""

from datetime import datetime
from typing import Final

import msgspec

from schemas.refunds import RefundIssue
from workers.domain.refund_types import Refund

SETTLED: Final = "refund_settled"


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable line: `amount_minor` leaves `debit_account` and arrives in `credit_account`."""

    order_id: str
    transfer_id: str
    refund_id: str | None
    kind: str
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str
    posted_at: datetime


def escrow(order_id: str) -> str:
    """Account of the money held for an order."""
    return f"escrow:{order_id}"


def payee(provider: str, client_id: str) -> str:
    """Account that a refund's money arrives in: the client's wallet, or the provider, through which it leaves."""
    return f"wallet:{client_id}" if provider == "wallet" else f"provider:{provider}"


def opened(
    order_id: str, tender_id: str, provider: str, currency: str, captured: int, refunded: int, now: datetime
) -> list[Transfer]:
    """Open a tender's escrow: what was captured comes in, what was refunded before goes out again."""
    lines = []
    for kind, amount, source, target in (
        ("captured", captured, f"provider:{provider}", escrow(order_id)),
        ("refunded_before", refunded, escrow(order_id), f"provider:{provider}"),
    ):
        if amount:
            lines.append(
                Transfer(
                    transfer_id=f"{kind}:{order_id}:{tender_id}",
                    order_id=order_id,
                    refund_id=None,
                    kind=kind,
                    debit_account=source,
                    credit_account=target,
                    amount_minor=amount,
                    currency=currency,
                    posted_at=now,
                )
            )
    return lines


def requested(refund: Refund, now: datetime) -> Transfer:
    """The money leaves escrow and is on its way back."""
    return _line(refund, "refund_requested", escrow(refund.order_id), f"refunding:{refund.provider}", now)


def settled(refund: Refund, now: datetime) -> Transfer:
    """The money has arrived."""
    return _line(refund, SETTLED, f"refunding:{refund.provider}", payee(refund.provider, refund.client_id), now)


def bounced(refund: Refund, now: datetime) -> Transfer:
    """The money came back: it is on its way again."""
    return _line(
        refund, "refund_bounced", payee(refund.provider, refund.client_id), f"refunding:{refund.provider}", now
    )


def wallet_credit(command: RefundIssue, client_id: str, now: datetime) -> Transfer:
    """The wallet's refund, which is this line itself."""
    return _line(command, SETTLED, "refunding:wallet", payee("wallet", client_id), now)


def credit_id(refund_id: str) -> str:
    """The id of the line by which a refund arrives."""
    return f"{SETTLED}:{refund_id}"


def _line(refund: Refund | RefundIssue, kind: str, debit: str, credit: str, now: datetime) -> Transfer:
    return Transfer(
        transfer_id=f"{kind}:{refund.refund_id}",
        order_id=refund.order_id,
        refund_id=refund.refund_id,
        kind=kind,
        debit_account=debit,
        credit_account=credit,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        posted_at=now,
    )
