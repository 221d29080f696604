"""What was refused, and to whom that is explained (SPEC R3, R6, R7)."""

from typing import Final

from schemas.orders import OrderRefused
from schemas.payouts import PayoutDecided
from workers.domain.notices.cancelled import advice
from workers.domain.notices.notice import Amount, Kind, Known, Line, Notice, notice

_TOO_LATE: Final = {"order.accepted": "accepted", "order.delivered": "delivered", "order.completed": "completed"}


def refused(event: OrderRefused, known: Known) -> list[Notice | None]:
    """A reactivation: both sides, since the event doesn't say who asked. What a seller did too late: the seller.

    A cancellation that came after the completion: the client. Anything else: nobody.
    """
    if event.attempted == "order.reactivation_requested":
        sides: tuple[Kind, ...] = ("client", "seller")
        return [
            _refusal(event, known, side, "reactivation.subject", "reactivation", f"reactivation.{side}")
            for side in sides
        ]
    if event.attempted in _TOO_LATE:
        return [_refusal(event, known, "seller", "refused.subject", f"refused.{_TOO_LATE[event.attempted]}")]
    if event.attempted == "order.cancelled":
        return [_refusal(event, known, "client", "not_cancelled.subject", "not_cancelled")]
    return []


def _refusal(event: OrderRefused, known: Known, kind: Kind, subject: str, *lines: str) -> Notice | None:
    fact = ("order.refused", event.order_id, event.attempted, event.occurred_at.isoformat())
    return notice(
        known,
        kind,
        fact,
        "refused",
        subject=Line(subject),
        body=tuple(Line(line) for line in lines),
        facts={"attempted": event.attempted, "reason": event.reason},
    )


def payout_refused(event: PayoutDecided, known: Known) -> list[Notice | None]:
    """The seller: why, and what they can do."""
    payout = known.payout
    lines = [Line(f"payout.{event.reason}")]
    if event.reason == "order_cancelled":
        lines += advice(known)
    facts: dict[str, str | int | bool | None] = {"payout_id": event.payout_id, "reason": event.reason}
    if payout is not None:
        lines.insert(0, Line("payout", {"amount": Amount(payout.amount_minor, payout.currency)}))
        facts |= {"amount_minor": payout.amount_minor, "currency": payout.currency}
    fact = ("payout.refused", event.payout_id)
    subject = Line("payout.subject")
    return [notice(known, "seller", fact, "refused", subject=subject, body=tuple(lines), facts=facts)]
