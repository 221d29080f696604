"""Which fact is told to whom: one decision for everything that Annul publishes.

Nobody is told of `refund.pending`, `refund.failed`, `chat.close` and `payout.allowed`, nor of `chat.close_scheduled`
unless a person moved the close: the notice before them said what comes, and the one after them says what came.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

import msgspec

from schemas.base import Message
from schemas.chats import ChatCommand
from schemas.notifications import NotificationRequested, Recipient
from schemas.orders import OrderRefused
from schemas.payouts import PayoutDecided
from schemas.refunds import OrderRefunded, RefundEvent
from schemas.sellers import SellerAdvice
from schemas.topics import NOTIFICATIONS_REQUESTED
from workers.domain.emission import Emission, emission
from workers.domain.notices import refunds
from workers.domain.notices.advice import advised
from workers.domain.notices.cancelled import cancellation, chat_closes_later, chat_closes_soon, chat_stays_open
from workers.domain.notices.notice import Known, Notice
from workers.domain.notices.refusals import payout_refused, refused
from workers.domain.notices.writing import write

Label = Literal["applied", "duplicate", "stale", "silent", "unaddressed"]
Told = list[Notice | None]


class Said(msgspec.Struct, frozen=True):
    """What becomes of a message: notices that are due, and a word for the counter.

    `duplicate`: told before; `stale`: not so any more; `silent`: nobody is told of such a thing; `unaddressed`: whom to
    tell is not known.
    """

    label: Label
    notices: tuple[Notice, ...] = ()


def decide_notices(type_: str, data: Message, known: Known) -> Said:
    """Who is told what because of a message, given all that is known now."""
    told = _told_of(type_, data, known)
    if told is None:
        return Said("stale")
    if not told:
        return Said("silent")
    addressed = [one for one in told if one is not None]
    if not addressed:
        return Said("unaddressed")
    news = tuple(one for one in addressed if one.notification_id not in known.told)
    return Said("applied" if news else "duplicate", news)


def decide_advice(advice: SellerAdvice, locale: str | None, told: Collection[str], help_url: str | None) -> Said:
    """The seller is told what they are advised, once an advice."""
    news = advised(advice, locale, help_url)
    return Said("duplicate") if news.notification_id in told else Said("applied", (news,))


def _told_of(type_: str, data: Message, known: Known) -> Told | None:
    """All that is to be told of it, told before or not; None where it is not so any more."""
    if type_ in ("refund.requested", "order.refunded"):
        return _of_the_order(data, known)
    match data:
        case RefundEvent():
            rule = _OF_REFUND.get(type_)
            return rule(data, known) if rule is not None else []
        case ChatCommand() if type_ == "chat.closing_soon":
            return chat_closes_soon(data, known)
        case ChatCommand() if type_ == "chat.close_withdrawn":
            return chat_stays_open(data, known)
        case ChatCommand() if type_ == "chat.close_scheduled":
            return chat_closes_later(data, known)
        case OrderRefused():
            return refused(data, known)
        case PayoutDecided() if type_ == "payout.refused":
            return payout_refused(data, known)
        case _:
            return []


def _of_the_order(data: Message, known: Known) -> Told | None:
    """The first word on an order's money tells that it was cancelled; the last one, that the client has it back."""
    if known.order.cancelled_at is None:
        return [None]
    told = cancellation(known)
    if isinstance(data, OrderRefunded) and data.amount_minor:
        told += refunds.order_refunded(data, known) or []
    return told


_OF_REFUND = {
    "refund.succeeded": refunds.succeeded,
    "refund.redirected": refunds.redirected,
    "refund.bounced": refunds.bounced,
    "refund.needs_review": refunds.in_review,
}


def request_of(notice: Notice, now: datetime) -> Emission:
    """`notification.requested`, written in the recipient's language."""
    subject, body = write(notice)
    data = NotificationRequested(
        notification_id=notice.notification_id,
        recipient=Recipient(kind=notice.kind, id=notice.recipient_id),
        about=notice.about,
        order_id=notice.order_id,
        locale=notice.locale,
        subject=subject,
        body=body,
        facts=notice.facts,
    )
    return emission(
        NOTIFICATIONS_REQUESTED,
        notice.recipient_id,
        "notification.requested",
        data,
        now,
        notice.notification_id,
    )
