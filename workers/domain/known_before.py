"""What a cancellation knew of: refunds made before it, and counted in what it said had been refunded by then."""

from datetime import datetime

from workers.domain.cancellation import read_escrow


def refunded_before(escrow: bytes | None, tender_id: str) -> int:
    """What the recorded money of a cancellation says was refunded of a tender by then, in minor units."""
    if escrow is None:
        return 0
    return sum(one.refunded_minor for one in read_escrow(escrow).tenders if one.tender_id == tender_id)


def was_told(made_at: datetime, amount_minor: int, *, asked_at: datetime, refunded_before_minor: int) -> bool:
    """Whether a provider's refund of a payment, made by others, is one that the cancellation counted.

    `asked_at` is when we first asked for a refund of that payment. Both amounts in one currency.
    """
    return made_at < asked_at and amount_minor <= refunded_before_minor
