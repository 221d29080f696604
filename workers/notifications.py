"""Worker `notifications`: what Annul publishes becomes texts for client and seller, once a fact and person.

It reads what the other workers have published, so none of them waits for it.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schemas.chats import ChatCommand
from schemas.payouts import PayoutDecided
from schemas.refunds import RefundEvent
from schemas.sellers import SellerAdvice
from workers.consumers import CONSUMERS
from workers.domain.notices.notice import Known, Notice, RefundNow
from workers.domain.notices.rules import Said, decide_advice, decide_notices, request_of
from workers.domain.order_types import Conversation, Order
from workers.domain.payout import Payout
from workers.handler import DatabaseHandler
from workers.pipeline.messages import Incoming, Verdict
from workers.store.database import columns
from workers.store.queries import sql
from workers.store.recording import lock

_COLUMNS = 5


class Notifications(DatabaseHandler):
    """Tells people what became of their order; `help_url` is the page that sellers are sent to for their statistics."""

    name = "notifications"
    topics = CONSUMERS["notifications"]

    def __init__(self, help_url: str | None) -> None:
        self._help_url = help_url

    async def record(self, connection: Any, batch: Sequence[Incoming], now: datetime) -> Sequence[Verdict]:
        """One verdict a message. Only what this transaction was the first to note is told."""
        facts = _Facts(now, self._help_url)
        await facts.load(connection, batch)
        said: dict[int, Said] = {}
        # A cancellation's notice tells of the chat as well: it goes first.
        for place in sorted(range(len(batch)), key=lambda place: isinstance(batch[place].data, ChatCommand)):
            message = batch[place]
            said[place] = facts.decide(message)
            for notice in said[place].notices:
                facts.note(notice)
        new = await _insert(connection, [notice for one in said.values() for notice in one.notices], now)
        return [_verdict(said[place], new, now) for place in range(len(batch))]


def _verdict(said: Said, new: set[str], now: datetime) -> Verdict:
    told = [request_of(notice, now) for notice in said.notices if notice.notification_id in new]
    return Verdict("duplicate" if said.notices and not told else said.label, told)


async def _insert(connection: Any, notices: Sequence[Notice], now: datetime) -> set[str]:
    """Note that they are told; which of them nobody had noted before. By key, so that two batches don't deadlock."""
    rows = {
        fact: (fact, notice.order_id, notice.kind, notice.about, now)
        for notice in notices
        for fact in (notice.notification_id, *notice.also)
    }
    if not rows:
        return set()
    ordered = [rows[fact] for fact in sorted(rows)]
    inserted = await connection.fetch(sql("insert_notices"), *columns(ordered, _COLUMNS))
    return {row["notification_id"] for row in inserted}


class _Facts:
    """What a batch's messages are about, as it is now."""

    def __init__(self, now: datetime, help_url: str | None) -> None:
        self._now = now
        self._help_url = help_url
        self._refunds: defaultdict[str, list[RefundNow]] = defaultdict(list)
        self._bounces: defaultdict[str, list[int]] = defaultdict(list)
        self._told: defaultdict[str | None, dict[str, datetime]] = defaultdict(dict)
        """By order; under None what is about no single one, of this batch alone."""
        self._locales: dict[str, str] = {}

    async def load(self, connection: Any, batch: Sequence[Incoming]) -> None:
        """One query a kind of row, whatever the batch's size."""
        await self._load_locales(connection, batch)
        datas = [message.data for message in batch if not isinstance(message.data, SellerAdvice)]
        if not datas:
            return
        orders = sorted({data.order_id for data in datas})
        self._orders = await lock(connection, "read_told_orders", Order, orders)
        for row in await connection.fetch(sql("read_told_refunds"), orders):
            self._refunds[row["order_id"]].append(RefundNow(**row))
        moved = {data.refund_id for data in datas if isinstance(data, RefundEvent)}
        for row in await connection.fetch(sql("read_told_bounces"), sorted(moved)) if moved else ():
            self._bounces[row["refund_id"]].append(row["revision"])
        chats = {data.conversation_id for data in datas if isinstance(data, ChatCommand)}
        chats |= {order.conversation_id for order in self._orders.values() if order.conversation_id}
        self._chats = await lock(connection, "read_told_conversations", Conversation, chats)
        asked = {data.payout_id for data in datas if isinstance(data, PayoutDecided)}
        self._payouts = await lock(connection, "read_payouts", Payout, asked)
        for row in await connection.fetch(sql("read_notices"), orders):
            self._told[row["order_id"]][row["notification_id"]] = row["decided_at"]

    async def _load_locales(self, connection: Any, batch: Sequence[Incoming]) -> None:
        sellers = {message.data.seller_id for message in batch if isinstance(message.data, SellerAdvice)}
        for row in await connection.fetch(sql("read_seller_locales"), sorted(sellers)) if sellers else ():
            self._locales[row["seller_id"]] = row["seller_locale"]

    def decide(self, message: Incoming) -> Said:
        """Who is told what because of a message."""
        data = message.data
        if isinstance(data, SellerAdvice):
            return decide_advice(data, self._locales.get(data.seller_id), self._told[None], self._help_url)
        return decide_notices(message.envelope.type, data, self._known_to(data))

    def _known_to(self, data: Any) -> Known:
        """What is known of a message's order, its chat and its payout."""
        order = self._orders.get(data.order_id) or Order(order_id=data.order_id)
        chat_id = data.conversation_id if isinstance(data, ChatCommand) else order.conversation_id
        refunds = tuple(self._refunds[order.order_id])
        return Known(
            now=self._now,
            order=order,
            refunds=refunds,
            conversation=self._chats.get(chat_id) if chat_id else None,
            payout=self._payouts.get(data.payout_id) if isinstance(data, PayoutDecided) else None,
            bounces={one.refund_id: tuple(self._bounces[one.refund_id]) for one in refunds},
            told=self._told[order.order_id],
            help_url=self._help_url,
        )

    def note(self, notice: Notice) -> None:
        """Told from here on, also to the rest of the batch."""
        told = self._told[notice.order_id]
        for fact in (notice.notification_id, *notice.also):
            told.setdefault(fact, self._now)
