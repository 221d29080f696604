"""When an order is refunded: once, when every tender is settled."""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from workers.domain.cancellation import order_refunded
from workers.domain.emission import Emission
from workers.domain.order_types import Order
from workers.domain.refund_types import SETTLED, Refund


def settle_order(order: Order, refunds: Iterable[Refund], now: datetime) -> tuple[Order, Emission | None]:
    """`order.refunded` where every refund of the order is settled and nobody was told yet.

    A redirected refund counts as the one that took its place.
    """
    live = [refund for refund in refunds if refund.state != "redirected"]
    if order.refunded_at is not None or not live or any(refund.state not in SETTLED for refund in live):
        return order, None
    settled = replace(order, refunded_at=now, revision=order.revision + 1)
    return settled, order_refunded(settled, sum(refund.amount_minor for refund in live), now)
