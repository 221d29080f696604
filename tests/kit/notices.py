"""What the rules of notices take, about the order of `kit.builders`: client and seller in France, 45.00 EUR by card."""

from datetime import date, datetime, timedelta
from typing import Any

from kit import builders
from kit.builders import NOW, ORDER, REFUND
from schemas.chats import ChatCommand
from schemas.orders import OrderRefused
from schemas.payouts import PayoutDecided
from schemas.refunds import OrderRefunded, RefundEvent
from workers.domain.notices.notice import Known, Notice, RefundNow
from workers.domain.notices.rules import Said, decide_notices
from workers.domain.notices.writing import write
from workers.domain.order_types import Conversation
from workers.domain.payout import Payout

CLOSE_AT = builders.CANCELLED_AT + timedelta(days=7)
"""A Monday as well, 9:15."""
VISIBLE = date(2026, 12, 1)
HELP_URL = "https://help.example/statistics"


def refund_now(**changes: Any) -> RefundNow:
    """A card refund of 45.00 EUR that was just requested."""
    fields = {
        "refund_id": REFUND,
        "order_id": ORDER,
        "provider": "card",
        "amount_minor": 4500,
        "currency": "EUR",
        "state": "requested",
        "settled_at": None,
        "visible_by": None,
        "redirected_to": None,
        "revision": 1,
    }
    return RefundNow(**{**fields, **changes})


def arrived(**changes: Any) -> RefundNow:
    """The same, settled a minute later."""
    fields = {"state": "succeeded", "settled_at": NOW, "visible_by": VISIBLE, "revision": 2}
    return refund_now(**{**fields, **changes})


def chat(**changes: Any) -> Conversation:
    """The order's chat, which closes a week after the cancellation."""
    fields = {
        "cancelled_order": ORDER,
        "cancelled_at": builders.CANCELLED_AT,
        "close_at": CLOSE_AT,
        "scheduled_revision": 1,
        "revision": 3,
    }
    return builders.conversation(**{**fields, **changes})


def open_chat(**changes: Any) -> Conversation:
    """The chat after a newer order in it."""
    return chat(**{"close_at": None, "scheduled_revision": None, "revision": 4, **changes})


def known(*refunds: RefundNow, order: dict[str, Any] | None = None, **changes: Any) -> Known:
    """The cancelled order, its chat and `refunds`; nobody was told of anything."""
    fields: dict[str, Any] = {
        "now": NOW,
        "order": builders.cancelled_order(**(order or {})),
        "refunds": refunds,
        "conversation": chat(),
        "help_url": HELP_URL,
    }
    return Known(**{**fields, **changes})


def english(**changes: Any) -> dict[str, Any]:
    """Both sides in Great Britain."""
    return {"client_locale": "en-GB", "seller_locale": "en-GB", **changes}


def event(refund: RefundNow, **changes: Any) -> RefundEvent:
    """What is published of a refund as it is."""
    fields: dict[str, Any] = {
        "refund_id": refund.refund_id,
        "order_id": refund.order_id,
        "tender_id": builders.TENDER,
        "provider": refund.provider,
        "amount_minor": refund.amount_minor,
        "currency": refund.currency,
        "state": refund.state,
        "provider_refund_id": None,
        "code": None,
        "occurred_at": NOW,
        "visible_by": refund.visible_by,
        "redirected_from": None,
        "redirected_to": refund.redirected_to,
        "revision": refund.revision,
    }
    return RefundEvent(**{**fields, **changes})


def all_refunded(amount_minor: int = 4500, currency: str = "EUR") -> OrderRefunded:
    """`order.refunded`."""
    return OrderRefunded(order_id=ORDER, currency=currency, amount_minor=amount_minor, settled_at=NOW, revision=2)


def chat_command(revision: int = 2, **changes: Any) -> ChatCommand:
    """A word on the chat; of the reminder unless `revision` says otherwise."""
    fields = {"conversation_id": builders.CONVERSATION, "order_id": ORDER, "close_at": CLOSE_AT}
    return ChatCommand(**{**fields, **changes}, revision=revision)


def refused(attempted: str, occurred_at: datetime = NOW, reason: str = "order_cancelled") -> OrderRefused:
    """`order.refused`."""
    return OrderRefused(order_id=ORDER, attempted=attempted, reason=reason, occurred_at=occurred_at)


def payout(reason: Any = "order_cancelled") -> tuple[PayoutDecided, Payout]:
    """`payout.refused` and the row behind it."""
    told = PayoutDecided(payout_id="pay_1", order_id=ORDER, reason=reason, decided_at=NOW)
    row = Payout(
        payout_id="pay_1",
        order_id=ORDER,
        seller_id=builders.SELLER,
        amount_minor=4_000,
        currency="EUR",
        requested_at=NOW,
        allowed=False,
        reason=reason,
        decided_at=NOW,
    )
    return told, row


def sides(said: Said) -> list[tuple[str, str]]:
    """Who is told about what."""
    return [(one.kind, one.about) for one in said.notices]


def texts(said: Said) -> dict[str, str]:
    """What each side reads, subject and body."""
    return {one.kind: text_of(one) for one in said.notices}


def text_of(notice: Notice) -> str:
    """Subject and body, every space an ordinary one."""
    return " ".join("\n".join(write(notice)).replace("\u00a0", " ").replace("\u202f", " ").split(" "))


def told_by(said: Said, at: datetime = NOW) -> dict[str, datetime]:
    """What is on record once those were told."""
    return {fact: at for one in said.notices for fact in (one.notification_id, *one.also)}


def decide(type_: str, data: Any, at: Known) -> Said:
    """For short."""
    return decide_notices(type_, data, at)


WALLET = "rfd_wallet"
REDIRECTED = refund_now(state="redirected", redirected_to=WALLET, revision=3)
TO_WALLET = refund_now(refund_id=WALLET, provider="wallet")
BOUNCED = refund_now(state="bounced", revision=3)
IN_REVIEW = refund_now(state="needs_review", revision=2)
ELSEWHERE = refund_now(state="settled_elsewhere", revision=4)
CLIENT_REFUND = [("client", "refund")]
