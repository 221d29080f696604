"""The double-entry ledger: every transfer takes from one account what it gives to another, so each sums to zero.

Accounts: `escrow:<order>`, `refunding:<provider>`, `provider:<provider>`, `wallet:<client>`, `suspense`.
"""

from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from schemas.refunds import RefundIssue
from workers.domain.refund_types import Refund

SUSPENSE: Final = "suspense"
"""What a person has to clear: below zero by what was paid twice, above by what somebody paid by other means."""
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
    return _line(refund, "refund_requested", escrow(refund.order_id), under_way(refund.provider), now)


def settled(refund: Refund, now: datetime) -> Transfer:
    """The money has arrived, with the provider's refund that the refund names."""
    return _of_fact(refund, SETTLED, under_way(refund.provider), _payee(refund), refund.provider_refund_id, now)


def bounced(refund: Refund, now: datetime) -> Transfer:
    """The money came back: it is on its way again."""
    return _of_fact(
        refund, "refund_bounced", _payee(refund), under_way(refund.provider), refund.provider_refund_id, now
    )


def overpaid(refund: Refund, provider_refund_id: str, now: datetime) -> Transfer:
    """The provider paid once more than it should have: nothing of the order is behind it."""
    return _of_fact(refund, "overpaid", SUSPENSE, _payee(refund), provider_refund_id, now)


def overpaid_returned(refund: Refund, provider_refund_id: str, now: datetime) -> Transfer:
    """What was paid too much came back."""
    return _of_fact(refund, "overpaid_returned", _payee(refund), SUSPENSE, provider_refund_id, now)


def redirected(old: Refund, new: Refund, now: datetime) -> tuple[Transfer, ...]:
    """The money goes another way. With a new key it stays where it was: on its way through the same provider."""
    if old.provider == new.provider:
        return ()
    return (_line(new, "refund_redirected", under_way(old.provider), under_way(new.provider), now),)


def redirect_withdrawn(old: Refund, new: Refund, now: datetime) -> tuple[Transfer, ...]:
    """The old way has worked after all, before anyone went the new one."""
    if old.provider == new.provider:
        return ()
    return (_line(new, "redirect_withdrawn", under_way(new.provider), under_way(old.provider), now),)


def settled_elsewhere(refund: Refund, now: datetime) -> Transfer:
    """A person paid by other means: what was on its way is owed to whoever paid."""
    return _line(refund, "settled_elsewhere", under_way(refund.provider), SUSPENSE, now)


def wallet_credit(command: RefundIssue, client_id: str, now: datetime) -> Transfer:
    """The wallet's refund, which is this line itself."""
    return _line(command, SETTLED, under_way("wallet"), payee("wallet", client_id), now)


def credit_id(refund_id: str) -> str:
    """The id of the line by which a wallet's refund arrives."""
    return f"{SETTLED}:{refund_id}"


def under_way(provider: str) -> str:
    """Account of the money that is on its way back through a provider."""
    return f"refunding:{provider}"


def _payee(refund: Refund) -> str:
    return payee(refund.provider, refund.client_id)


def _of_fact(
    refund: Refund, kind: str, debit: str, credit: str, provider_refund_id: str | None, now: datetime
) -> Transfer:
    """A line about one of the provider's refunds: each is posted once, and a refund may have several."""
    line = _line(refund, kind, debit, credit, now)
    return line if provider_refund_id is None else replace(line, transfer_id=f"{line.transfer_id}:{provider_refund_id}")


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
