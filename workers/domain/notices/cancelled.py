"""An order was cancelled: what client and seller are told of it, and then of their chat (SPEC R1-R5, R7, R8)."""

from datetime import timedelta

from schemas.chats import ChatCommand
from workers.domain.business_days import country_of, visible_by
from workers.domain.chat import EXTENDED, WITHDRAWN
from workers.domain.notices.notice import Amount, Kind, Known, Line, Notice, RefundNow, Value, notice, notice_id

_DAY = timedelta(days=1)


def cancellation(known: Known) -> list[Notice | None]:
    """One notice a side. The money "goes back": whether it has arrived is told refund by refund."""
    return [_client(known), _seller(known)]


def cancellation_fact(order_id: str) -> tuple[str, ...]:
    """What makes the notice of a cancellation one and the same."""
    return ("order.cancelled", order_id)


def _client(known: Known) -> Notice | None:
    order = known.order
    live = [refund for refund in known.refunds if refund.state != "redirected"]
    dates = {refund.refund_id: _shows_by(refund, known) for refund in live}
    total = sum(refund.amount_minor for refund in live)
    back: list[Line] = [Line("back.nothing")]
    if live:
        back = [Line("back", {"total": Amount(total, live[0].currency)})]
        back += [_back(refund, known) for refund in live]
    facts: dict[str, str | int | bool | None] = {
        "cancelled_by": order.cancelled_by,
        "amount_minor": total,
        "currency": order.currency,
    }
    for provider in ("card", "paypal", "wallet"):
        own = [refund for refund in live if refund.provider == provider]
        if own:
            facts[f"{provider}_minor"] = sum(refund.amount_minor for refund in own)
            facts[f"{provider}_visible_by"] = max(dates[refund.refund_id] for refund in own)
    return notice(
        known,
        "client",
        cancellation_fact(order.order_id),
        "cancellation",
        subject=Line("cancelled.client.subject"),
        body=(Line(f"cancelled.client.{order.cancelled_by}"), *back, *_chat(known)),
        facts={**facts, **_chat_facts(known)},
        also=_chat_told(known, "client"),
    )


def _back(refund: RefundNow, known: Known) -> Line:
    if refund.state == "settled_elsewhere":
        return Line("back.elsewhere", {"amount": refund.amount})
    values: dict[str, Value] = {"amount": refund.amount}
    if refund.provider != "card":
        return Line(f"back.{refund.provider}", values)
    country = country_of(known.order.client_locale)
    shows = refund.visible_by or visible_by("card", known.now.date(), country)
    return Line("back.card", {**values, "date": shows})


def _shows_by(refund: RefundNow, known: Known) -> str:
    """An estimate as long as the refund isn't settled: as if it were today."""
    country = country_of(known.order.client_locale)
    return (refund.visible_by or visible_by(refund.provider, known.now.date(), country)).isoformat()


def _seller(known: Known) -> Notice | None:
    order = known.order
    back = [Line("seller.back.nothing")]
    if known.refunds:
        back = [Line("seller.back"), Line("seller.back.fast"), Line("seller.back.card")]
    rate = "acceptance" if order.counted_close == "cancelled_before_acceptance" else "completion"
    return notice(
        known,
        "seller",
        cancellation_fact(order.order_id),
        "cancellation",
        subject=Line("cancelled.seller.subject"),
        body=(
            Line(f"cancelled.seller.{order.cancelled_by}"),
            Line("seller.stop"),
            *back,
            Line("seller.unpaid"),
            *_chat(known),
            *advice(known),
            Line(f"statistics.{rate}"),
            *_help(known),
        ),
        facts={"cancelled_by": order.cancelled_by, "rate": rate, **_chat_facts(known)},
        also=_chat_told(known, "seller"),
    )


def advice(known: Known) -> tuple[Line, ...]:
    """What a seller can do who worked for nothing (SPEC R8); quickly, where the chat is about to close."""
    chat = known.conversation
    closing = chat is not None and chat.close_at is not None and chat.close_at > known.now
    return (Line("advice.before" if closing else "advice.talk"), Line("advice.order"), Line("advice.clarify"))


def _help(known: Known) -> tuple[Line, ...]:
    return (Line("help", {"url": known.help_url}),) if known.help_url else ()


def _chat(known: Known) -> tuple[Line, ...]:
    chat = known.conversation
    if chat is None:
        return ()
    if chat.close_at is None:
        return (Line("chat.open"),)
    if chat.close_at <= known.now:
        return (Line("chat.over", {"close": chat.close_at}),)
    cancelled_at = known.order.cancelled_at
    own = chat.cancelled_order == known.order.order_id and cancelled_at is not None
    open_for = chat.close_at - cancelled_at if own and cancelled_at is not None else timedelta(0)
    if open_for > _DAY and not open_for % _DAY:
        return (Line("chat.days", {"days": open_for // _DAY, "close": chat.close_at}),)
    return (Line("chat.until", {"close": chat.close_at}),)


def _chat_facts(known: Known) -> dict[str, str | int | bool | None]:
    chat = known.conversation
    closes_at = chat.close_at.isoformat() if chat is not None and chat.close_at is not None else None
    return {"chat_closes_at": closes_at}


def _chat_told(known: Known, kind: Kind) -> tuple[str, ...]:
    """Who reads here that the chat stays open need not be told again."""
    chat = known.conversation
    if chat is None or chat.close_at is not None:
        return ()
    return (notice_id(kind, *_stays_open_fact(chat.conversation_id, chat.revision)),)


def _stays_open_fact(conversation_id: str, revision: int) -> tuple[str, ...]:
    return ("chat.stays_open", conversation_id, str(revision))


def chat_closes_soon(command: ChatCommand, known: Known) -> list[Notice | None] | None:
    """Both sides, the seller with advice; None where that deadline stands no more, or has passed."""
    chat = known.conversation
    if chat is None or chat.close_at != command.close_at or command.close_at <= known.now:
        return None
    fact = ("chat.closing_soon", command.conversation_id, command.order_id, str(command.revision))
    facts: dict[str, str | int | bool | None] = {"chat_closes_at": command.close_at.isoformat()}
    when: dict[str, Value] = {"close": command.close_at}
    bodies: dict[Kind, tuple[Line, ...]] = {
        "client": (Line("chat.soon.client", when), Line("chat.soon.client.then")),
        "seller": (Line("chat.soon.seller", when), *advice(known)),
    }
    subject = Line("chat.soon.subject")
    return [notice(known, kind, fact, "chat", subject=subject, body=body, facts=facts) for kind, body in bodies.items()]


def chat_stays_open(command: ChatCommand, known: Known) -> list[Notice | None] | None:
    """Both sides; None where another close was scheduled since."""
    chat = known.conversation
    if chat is None or chat.revision != command.revision:
        return None
    kinds: tuple[Kind, ...] = ("client", "seller")
    return [
        notice(
            known,
            kind,
            _stays_open_fact(command.conversation_id, command.revision),
            "chat",
            subject=Line("chat.stays.subject"),
            body=(Line("chat.stays.person" if command.reason == WITHDRAWN else "chat.stays"),),
            facts={"chat_closes_at": None},
        )
        for kind in kinds
    ]


def chat_closes_later(command: ChatCommand, known: Known) -> list[Notice | None] | None:
    """Both sides, where a person moved the close; None where it is not so any more."""
    if command.reason != EXTENDED:
        return []
    chat = known.conversation
    if chat is None or chat.close_at != command.close_at or command.close_at <= known.now:
        return None
    fact = ("chat.extended", command.conversation_id, command.order_id, str(command.revision))
    facts: dict[str, str | int | bool | None] = {"chat_closes_at": command.close_at.isoformat()}
    subject, body = Line("chat.later.subject"), (Line("chat.later", {"close": command.close_at}),)
    kinds: tuple[Kind, ...] = ("client", "seller")
    return [notice(known, kind, fact, "chat", subject=subject, body=body, facts=facts) for kind in kinds]
