"""Cancellations to measure with: one tender each, every order, conversation and client its own."""

from datetime import UTC, datetime, timedelta

from schemas.base import encode
from schemas.envelope import headers_of
from schemas.orders import Escrow, OrderCancelled, Tender
from schemas.topics import ORDERS_EVENTS
from workers.pipeline.kafka import KafkaProducer
from workers.pipeline.ports import Outgoing
from workers.settings import Settings

SELLERS = 2_000
_SEND = 2_000


async def send_cancellations(settings: Settings, count: int, first: int = 0) -> None:
    """Fill the orders topic with `count` different cancellations, numbered from `first` on."""
    producer = KafkaProducer(settings.kafka())
    await producer.start()
    try:
        for start in range(0, count, _SEND):
            await producer.send_all(
                [_record(number) for number in range(first + start, first + min(start + _SEND, count))]
            )
    finally:
        await producer.stop()


def _record(number: int) -> Outgoing:
    at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(milliseconds=number)
    order_id = f"ord_{number:08d}"
    provider, reference = (("card", f"pi_{number}"), ("paypal", f"CAP{number}"), ("wallet", f"wal_{number}"))[
        number % 3
    ]
    message = OrderCancelled(
        order_id=order_id,
        conversation_id=f"cnv_{number:08d}",
        client_id=f"cli_{number:08d}",
        seller_id=f"sel_{number % SELLERS:05d}",
        cancelled_at=at,
        cancelled_by="client",
        reason="Changed my mind.",
        stage="in_progress" if number % 2 else "awaiting_acceptance",
        escrow=Escrow(
            currency="EUR",
            tenders=(
                Tender(
                    tender_id=f"tnd_{number}",
                    provider=provider,  # type: ignore[arg-type]  # one of the three names above
                    reference=reference,
                    captured_minor=4_500,
                    refunded_minor=0,
                ),
            ),
        ),
        client_locale="fr-FR",
        seller_locale="fr-FR",
    )
    return Outgoing(
        ORDERS_EVENTS.name,
        order_id.encode(),
        encode(message),
        headers_of("order.cancelled", f"evt_{number}", at),
    )
