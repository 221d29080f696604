"""One order's whole story: what it is now, its refunds, chat and ledger, and each step that led there."""

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from workers.domain.order_types import Conversation, Order
from workers.domain.refund_types import Refund
from workers.insight.material import Material, Step, scheduled_message
from workers.insight.reading import snapshot
from workers.insight.telling import IN_ENGLISH, Telling
from workers.insight.timeline import timeline_of
from workers.settings import Settings
from workers.store.queries import sql

MOST_ROWS: Final = 2000
"""Of one kind and order: answers, claims, steps, actions, chat messages, parked messages."""

_BOUNDED: Final = (
    "attempts",
    "observations",
    "steps",
    "facts",
    "actions",
    "disputes",
    "notices",
    "transfers",
    "payouts",
    "chat_schedule",
    "chat_words",
    "parked",
)

State = Literal["unknown", "placed", "accepted", "delivered", "completed", "cancelled", "in_review", "refunded"]
"""
`unknown`: something was said of it, but neither that it was placed nor any later step.
`placed`, `accepted`, `delivered`, `completed`: the latest step known.
`cancelled`: money is on its way back. `in_review`: of at least one tender a person must decide.
`refunded`: `order.refunded` is out, and nothing of it waits for a person since.
"""


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """The order's conversation. `open`: no close is due; `closing`: one is; `closed`: it went out."""

    conversation_id: str
    state: Literal["open", "closing", "closed"]
    close_at: datetime | None
    closed_at: datetime | None
    cancelled_order: str | None
    """The order whose cancellation sets the deadline."""
    revision: int


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What `annul order` tells. Money is in minor units here; people are shown it with its decimals."""

    order_id: str
    state: State
    seller_id: str | None
    client_id: str | None
    currency: str | None
    refunds: list[dict[str, Any]]
    facts: list[dict[str, Any]]
    """What the providers made of the refunds, by their own ids."""
    disputes: list[dict[str, Any]]
    """About the payments that the refunds are of."""
    actions: list[dict[str, Any]]
    """What people asked for; their reasons are left out."""
    chat: Chat | None
    ledger: list[dict[str, Any]]
    payouts: list[dict[str, Any]]
    """What was decided of the payouts that were asked for."""
    notices: list[dict[str, Any]]
    """What client and seller were told; the texts themselves went to Kafka and are not kept."""
    parked: list[dict[str, Any]]
    """Messages about the order that could not be processed; their bytes are left out."""
    timeline: list[Step]
    cut: bool
    """Of something there is more than `MOST_ROWS`; the first ones are here."""


async def tell_story(settings: Settings, order_id: str) -> Story | None:
    """The story; None where nothing was ever heard of the order, not even a parked message.

    Raises OSError, TimeoutError or asyncpg.PostgresError where the database can't be asked.
    """
    async with snapshot(settings) as connection:
        return await tell_story_on(connection, order_id)


async def tell_story_on(connection: Any, order_id: str, telling: Telling = IN_ENGLISH) -> Story | None:
    """The same on a connection on which everything is read as of one moment, its steps in the words of `telling`."""
    material = await _load(connection, order_id, telling)
    if material.order == Order(order_id=order_id) and not material.parked:
        return None
    order, refunds = material.order, material.refunds
    return Story(
        order_id=order_id,
        state=state_of(order, refunds),
        seller_id=order.seller_id,
        client_id=order.client_id,
        currency=order.currency,
        refunds=[msgspec.structs.asdict(refund) for refund in refunds],
        facts=[dict(fact) for fact in material.facts],
        disputes=[dict(dispute) for dispute in material.disputes],
        actions=[dict(action) for action in material.actions],
        chat=_chat_of(material),
        ledger=[dict(line) for line in material.transfers],
        payouts=[dict(payout) for payout in material.payouts],
        notices=[dict(notice) for notice in material.notices],
        parked=[dict(message) for message in material.parked],
        timeline=timeline_of(material),
        cut=any(len(getattr(material, name)) == MOST_ROWS for name in _BOUNDED),
    )


def state_of(order: Order, refunds: list[Refund]) -> State:
    """The word for where an order stands."""
    if order.cancelled_at is not None:
        if any(refund.state == "needs_review" for refund in refunds):
            return "in_review"
        return "refunded" if order.refunded_at is not None else "cancelled"
    steps: tuple[tuple[State, datetime | None], ...] = (
        ("completed", order.completed_at),
        ("delivered", order.delivered_at),
        ("accepted", order.accepted_at),
        ("placed", order.placed_at),
    )
    return next((state for state, at in steps if at is not None), "unknown")


async def _load(connection: Any, order_id: str, telling: Telling) -> Material:
    row = await connection.fetchrow(sql("read_order"), order_id)
    order = Order(**row) if row else Order(order_id=order_id)
    refunds = [Refund(**one) for one in await connection.fetch(sql("read_order_refunds"), order_id)]
    refund_ids = [refund.refund_id for refund in refunds]
    payments = [refund.reference for refund in refunds if refund.provider != "wallet"]
    chat = await connection.fetchrow(sql("read_conversation"), order.conversation_id)
    return Material(
        order=order,
        refunds=refunds,
        attempts=await connection.fetch(sql("read_refunds_attempts"), refund_ids, MOST_ROWS),
        observations=await connection.fetch(sql("read_refunds_observations"), refund_ids, MOST_ROWS),
        steps=await connection.fetch(sql("read_refunds_steps"), refund_ids, MOST_ROWS),
        facts=await connection.fetch(sql("read_refunds_facts"), refund_ids, MOST_ROWS),
        actions=await connection.fetch(sql("read_refunds_actions"), refund_ids, MOST_ROWS),
        disputes=await connection.fetch(sql("read_payments_disputes"), payments, MOST_ROWS),
        notices=await connection.fetch(sql("read_order_notices"), order_id, MOST_ROWS),
        waits=await connection.fetch(sql("read_refunds_schedule"), refund_ids),
        transfers=await connection.fetch(sql("read_order_transfers"), order_id, MOST_ROWS),
        payouts=await connection.fetch(sql("read_order_payouts"), order_id, MOST_ROWS),
        conversation=Conversation(**chat) if chat else None,
        chat_schedule=[
            scheduled_message(one)
            for one in await connection.fetch(sql("read_chat_schedule"), order.conversation_id, MOST_ROWS)
        ],
        chat_words=await connection.fetch(sql("read_chat_interventions"), order.conversation_id, MOST_ROWS),
        outcomes=await connection.fetch(sql("read_order_outcomes"), order.seller_id, order_id),
        parked=await connection.fetch(sql("read_order_parked"), order_id, MOST_ROWS),
        telling=telling,
    )


def _chat_of(material: Material) -> Chat | None:
    chat = material.conversation
    if chat is None:
        return None
    standing = chat.scheduled_revision + 2 if chat.scheduled_revision is not None else None
    closes = [one for one in material.chat_schedule if one.type == "chat.close" and one.revision == standing]
    closed_at = closes[0].fired_at if closes else None
    return Chat(
        conversation_id=chat.conversation_id,
        state="open" if chat.close_at is None else "closed" if closed_at else "closing",
        close_at=chat.close_at,
        closed_at=closed_at,
        cancelled_order=chat.cancelled_order,
        revision=chat.revision,
    )
