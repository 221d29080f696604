"""A refund's steps: what client and seller are told of them. "Refunded" is said of what has arrived, and only then."""

from datetime import datetime

from schemas.refunds import OrderRefunded, RefundEvent
from workers.domain.notices.notice import Amount, Known, Line, Notice, RefundNow, Value, notice, notice_id

_OVERPAID = "overpaid"
Told = list[Notice | None]


def succeeded(event: RefundEvent, known: Known) -> Told | None:
    """The client: where the money is and when it shows. None where it has come back since.

    A success that follows a bounce is news again; one that a person's release repeats is not.
    """
    refund = known.refund(event.refund_id)
    if refund is None or not refund.has_arrived or known.bounced_since(event.refund_id, event.revision):
        return None
    facts = _facts(event)
    if refund.state == "settled_elsewhere":
        fact = ("refund.settled_elsewhere", event.refund_id)
        subject, lines = (
            Line("refunded.subject", {"amount": refund.amount}),
            (_elsewhere(refund), Line("nothing_to_do")),
        )
        return [notice(known, "client", fact, "refund", subject=subject, body=lines, facts=facts)]
    visible = event.visible_by or refund.visible_by
    values: dict[str, Value] = {"amount": refund.amount}
    line = Line(f"refunded.{refund.provider}", values)
    if refund.provider == "card":
        assert visible is not None, "a settled refund has a date"
        line = Line("refunded.card", {**values, "date": visible})
    return [
        notice(
            known,
            "client",
            _success(event.refund_id, event.revision, known),
            "refund",
            subject=Line("refunded.subject", values),
            body=(line,),
            facts={**facts, "visible_by": visible.isoformat() if visible else None},
        )
    ]


def _success(refund_id: str, revision: int, known: Known) -> tuple[str, ...]:
    """A success is one fact however often it is said, until it was taken back: the next one is another."""
    return ("refund.succeeded", refund_id, *_episode(refund_id, revision, known))


def _taken_back(refund_id: str, revision: int, known: Known) -> tuple[str, ...]:
    """A success that came back while the refund was in review already, which is no step of its own."""
    return ("refund.taken_back", refund_id, *_episode(refund_id, revision, known))


def _episode(refund_id: str, revision: int, known: Known) -> tuple[str, str]:
    """How often the money came back before: as a step of the refund, and in review since, as the client was told."""
    bounces, in_review_since = str(known.bounced_before(refund_id, revision)), 0
    while notice_id("client", "refund.taken_back", refund_id, bounces, str(in_review_since)) in known.told:
        in_review_since += 1
    return bounces, str(in_review_since)


def _elsewhere(refund: RefundNow) -> Line:
    return Line("elsewhere", {"amount": refund.amount})


def redirected(event: RefundEvent, known: Known) -> Told | None:
    """The client, where the money goes to the wallet instead. A new key for the same way, and a redirect that was
    withdrawn, are nobody's business: the empty list. None where the redirect stands no more.
    """
    refund = known.refund(event.refund_id)
    successor = known.refund(event.redirected_to)
    if refund is None or successor is None:
        return None
    if event.provider in ("wallet", successor.provider):
        return []
    if refund.state != "redirected" or refund.redirected_to != event.redirected_to:
        return None
    fact = ("refund.redirected", event.refund_id, event.redirected_to or "")
    return [
        notice(
            known,
            "client",
            fact,
            "refund",
            subject=Line("redirected.subject"),
            body=(Line("redirected", {"amount": refund.amount, "place": refund.place}),),
            facts={**_facts(event), "instead": successor.provider},
        )
    ]


def bounced(event: RefundEvent, known: Known) -> Told | None:
    """A correction for the client; one for the seller as well who was told that the client is refunded, and isn't now.

    None where nobody was told of the success, and the money has arrived since.
    """
    refund = known.refund(event.refund_id)
    if refund is None:
        return None
    told_at = _told_of_success(event, known)
    if told_at is None and refund.has_arrived:
        return None
    return _corrections(event, refund, known, ("refund.bounced", event.refund_id, str(event.revision)), told_at)


def _told_of_success(event: RefundEvent, known: Known) -> datetime | None:
    return known.told.get(notice_id("client", *_success(event.refund_id, event.revision, known)))


def _corrections(
    event: RefundEvent,
    refund: RefundNow,
    known: Known,
    fact: tuple[str, ...],
    told_at: datetime | None,
    also: tuple[str, ...] = (),
) -> Told:
    values: dict[str, Value] = {"amount": refund.amount, "place": refund.place}
    said = Line("bounced.untold", values)
    if told_at is not None:
        said = Line("bounced.told", {**values, "date": told_at.date()})
    facts = _facts(event)
    correction = notice(
        known,
        "client",
        fact,
        "refund",
        subject=Line("bounced.subject"),
        body=(said, Line("bounced.next")),
        facts=facts,
        also=also,
    )
    seller_told_at = known.told.get(notice_id("seller", *_order_refunded_fact(event.order_id)))
    if seller_told_at is None or _all_arrived(known):
        return [correction]
    line = Line("order_bounced", {"amount": refund.amount, "date": seller_told_at.date()})
    subject = Line("order_bounced.subject")
    return [correction, notice(known, "seller", fact, "refund", subject=subject, body=(line,), facts=facts)]


def in_review(event: RefundEvent, known: Known) -> Told | None:
    """The client, once a refund, while the money isn't there. That it may have been paid twice is not for them.

    Who was told that it is there is corrected instead.
    """
    refund = known.refund(event.refund_id)
    if refund is None:
        return None
    if event.code == _OVERPAID:
        return []
    if refund.state != "needs_review" or refund.settled_at is not None:
        return None
    review = ("refund.needs_review", event.refund_id)
    told_at = _told_of_success(event, known)
    if told_at is not None:
        fact = _taken_back(event.refund_id, event.revision, known)
        return _corrections(event, refund, known, fact, told_at, also=(notice_id("client", *review),))
    return [
        notice(
            known,
            "client",
            review,
            "refund",
            subject=Line("review.subject"),
            body=(Line("review", {"amount": refund.amount, "place": refund.place}),),
            facts=_facts(event),
        )
    ]


def _all_arrived(known: Known) -> bool:
    return all(refund.has_arrived for refund in known.refunds if refund.state != "redirected")


def order_refunded(event: OrderRefunded, known: Known) -> Told | None:
    """The seller: the client has everything back, and what to answer. None where some of it came back since."""
    live = [refund for refund in known.refunds if refund.state != "redirected"]
    if not live or not _all_arrived(known):
        return None
    elsewhere = [refund for refund in live if refund.state == "settled_elsewhere"]
    usual = [refund for refund in live if refund.state != "settled_elsewhere"]
    answers = []
    dates = [refund.visible_by for refund in usual if refund.provider == "card" and refund.visible_by is not None]
    if dates:
        answers.append(Line("order_refunded.card", {"date": max(dates)}))
    if any(refund.provider != "card" for refund in usual):
        answers.append(Line("order_refunded.fast"))
    if elsewhere:
        answers.append(Line("order_refunded.elsewhere"))
    return [
        notice(
            known,
            "seller",
            _order_refunded_fact(event.order_id),
            "refund",
            subject=Line("order_refunded.subject"),
            body=(Line("order_refunded", {"amount": Amount(event.amount_minor, event.currency)}), *answers),
            facts={
                "amount_minor": event.amount_minor,
                "currency": event.currency,
                "visible_by": max(dates).isoformat() if dates else None,
            },
        )
    ]


def _order_refunded_fact(order_id: str) -> tuple[str, ...]:
    return ("order.refunded", order_id)


def _facts(event: RefundEvent) -> dict[str, str | int | bool | None]:
    return {
        "refund_id": event.refund_id,
        "provider": event.provider,
        "amount_minor": event.amount_minor,
        "currency": event.currency,
    }
