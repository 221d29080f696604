"""What people are to be told; whoever sends mails and messages takes it from here."""

from typing import Annotated, Literal

import msgspec

from schemas.base import Code, Id, Locale, Message

About = Literal["cancellation", "refund", "chat", "advice", "refused"]
Subject = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Body = Annotated[str, msgspec.Meta(min_length=1, max_length=8_000)]


class Recipient(Message, frozen=True, kw_only=True):
    """Who is told, and as which side of the order."""

    kind: Literal["client", "seller"]
    id: Id


class NotificationRequested(Message, frozen=True, kw_only=True):
    """One fact told to one person, in their language, else in English. Sent again it has the same `notification_id`."""

    notification_id: Id
    recipient: Recipient
    about: About
    order_id: Id | None = None
    locale: Locale
    subject: Subject
    body: Body
    facts: dict[Code, str | int | bool | None]
    """What the text says, as data: amounts in the minor unit, dates and times in ISO 8601, rates as decimal text."""
