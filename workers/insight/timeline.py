"""What happened to an order, step by step, merged from all that was recorded of it.

Steps of the order are told at the time their message says; what Annul decided, at the time it did. A step that is
still to come ends in `_due`.
"""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from schemas.chats import ChatCommand
from workers.domain.cancellation import ORDER_CANCELLED, order_refunded, read_escrow, refusal
from workers.domain.ids import derived
from workers.insight import refund_timeline as refunds
from workers.insight.material import Material, Step


def timeline_of(material: Material) -> list[Step]:
    """All steps by time; what happened at one moment stays in the order of cause and effect."""
    parts = (
        _order,
        _refusals,
        _outcomes,
        refunds.requests,
        _ledger,
        _payouts,
        _chat,
        refunds.disputes,
        refunds.wishes,
        refunds.attempts,
        refunds.answers,
        refunds.moves,
        refunds.decisions,
        _end,
        _notices,
        _parked,
        refunds.waits,
    )
    return sorted((step for part in parts for step in part(material)), key=lambda step: step.at)


def _order(material: Material) -> Iterator[Step]:
    order, tell = material.order, material.telling
    placed = tell.say("placed", client=order.client_id, seller=order.seller_id, chat=order.conversation_id)
    for what, at, detail in (
        ("order.placed", order.placed_at, placed),
        ("order.accepted", order.accepted_at, tell.say("by", who=order.seller_id)),
        ("order.delivered", order.delivered_at, tell.say("by", who=order.seller_id)),
        ("order.completed", order.completed_at, tell.say("paid_out")),
        ("order.reactivation_requested", order.reactivation_at, tell.say("too_early")),
    ):
        if at is not None:
            yield Step(at, what, None, detail)
    if order.cancelled_at is not None and order.escrow is not None:
        escrow = read_escrow(order.escrow)
        captured = sum(tender.captured_minor for tender in escrow.tenders)
        before = sum(tender.refunded_minor for tender in escrow.tenders)
        named = (
            tell.say("tender", tender=one.tender_id, provider=tell.word("provider", one.provider))
            for one in escrow.tenders
        )
        detail = tell.say(
            "cancelled",
            who=tell.word("person", order.cancelled_by or ""),
            stage=tell.word("stage", order.stage or ""),
            amount=tell.money(captured, escrow.currency),
            tenders=", ".join(named) or tell.say("tenders.none"),
        )
        if before:
            detail += tell.say("cancelled.before", amount=tell.money(before, escrow.currency))
        yield Step(order.cancelled_at, "order.cancelled", None, detail)


def _refusals(material: Material) -> Iterator[Step]:
    """What was refused in hindsight. What comes after a cancellation is refused and leaves no row."""
    order = material.order
    decided_at = _decided_at(material)
    if order.cancelled_at is not None and order.reactivation_at is not None and decided_at is not None:
        told = refusal(
            order.order_id, "order.reactivation_requested", ORDER_CANCELLED, order.reactivation_at, decided_at
        )
        yield Step(decided_at, "order.refused", told.id, f"order.reactivation_requested: {ORDER_CANCELLED}")


def _outcomes(material: Material) -> Iterator[Step]:
    tell = material.telling
    for one in material.outcomes:
        outcome = tell.word("outcome", one["outcome"])
        detail = tell.say("outcome", outcome=outcome, seq=one["seq"], seller=one["seller_id"])
        if one["replaces_outcome"]:
            earlier = tell.word("outcome", one["replaces_outcome"])
            detail += tell.say("outcome.replaces", outcome=earlier, at=_written(one["replaces_occurred_at"]))
        message_id = derived("msg", "seller.outcome", one["seller_id"], str(one["seq"]))
        yield Step(one["occurred_at"], "seller.outcome", message_id, detail)


def _ledger(material: Material) -> Iterator[Step]:
    tell = material.telling
    for line in material.transfers:
        amount = tell.money(line["amount_minor"], line["currency"])
        detail = tell.say("ledger", amount=amount, source=line["debit_account"], target=line["credit_account"])
        yield Step(line["posted_at"], f"ledger.{line['kind']}", None, detail)


def _payouts(material: Material) -> Iterator[Step]:
    tell = material.telling
    for one in material.payouts:
        amount = tell.money(one["amount_minor"], one["currency"])
        what = "payout.allowed" if one["allowed"] else "payout.refused"
        told = {"payout": one["payout_id"], "amount": amount, "seller": one["seller_id"], "reason": one["reason"]}
        detail = tell.say("payout", **told)
        yield Step(one["decided_at"], what, derived("msg", what, one["payout_id"]), detail)


def _chat(material: Material) -> Iterator[Step]:
    tell, decided_at = material.telling, _decided_at(material)
    # A close that a person moved was scheduled by them, later than by the cancellation.
    moved_at = {one["revision"]: one["at"] for one in material.chat_words if one["what"] == "extended"}
    for one in material.chat_schedule:
        command = msgspec.json.decode(one.data, type=ChatCommand)
        if command.order_id != material.order.order_id:
            continue
        scheduled_at = moved_at.get(one.revision, decided_at)
        if one.type == "chat.close" and scheduled_at is not None:
            # The word that scheduled it went out two revisions earlier, under an id that follows from that.
            cause = (command.conversation_id, command.order_id, str(one.revision - 2))
            detail = tell.say("chat.closes", chat=command.conversation_id, at=_written(command.close_at))
            detail += tell.say("chat.withdrawn") if one.state == "withdrawn" else ""
            yield Step(scheduled_at, "chat.close_scheduled", derived("msg", "chat.close_scheduled", *cause), detail)
        if one.fired_at is not None:
            yield Step(one.fired_at, one.type, one.message_id, tell.say("chat.sent", at=_written(one.due_at)))
        elif one.state in ("waiting", "firing"):
            yield Step(one.due_at, f"{one.type}_due", one.message_id, tell.say("chat.due"))


def _decided_at(material: Material) -> datetime | None:
    """When the cancellation was decided: whatever it was, it posted a line, asked for a refund or found nothing due."""
    times = [line["posted_at"] for line in material.transfers]
    times += [refund.first_issued_at for refund in material.refunds]
    if material.order.refunded_at is not None:
        times.append(material.order.refunded_at)
    return min(times, default=None)


def _end(material: Material) -> Iterator[Step]:
    order, tell = material.order, material.telling
    if order.refunded_at is not None and order.escrow is not None:
        tenders = read_escrow(order.escrow).tenders
        due = sum(tender.captured_minor - tender.refunded_minor for tender in tenders)
        message_id = order_refunded(order, due, order.refunded_at).id
        amount = tell.money(due, order.currency)
        detail = tell.say("refunded", amount=amount) if due else tell.say("refunded.nothing")
        yield Step(order.refunded_at, "order.refunded", message_id, detail)


def _notices(material: Material) -> Iterator[Step]:
    tell = material.telling
    for one in material.notices:
        whom, about = tell.word("person", one["recipient_kind"]), tell.word("about", one["about"])
        detail = tell.say("notice", whom=whom, about=about, notice=one["notification_id"])
        yield Step(one["decided_at"], "notification.requested", None, detail)


def _parked(material: Material) -> Iterator[Step]:
    tell = material.telling
    for one in material.parked:
        told = {"parked": one["parked_id"], "reason": one["reason"], "field": one["field"], "detail": one["detail"]}
        detail = tell.say("parked", what=one["message_type"] or tell.say("parked.unread"), **told)
        yield Step(one["parked_at"], "message.parked", one["message_id"], detail)
        if one["status"] != "parked":
            yield Step(one["status_at"], f"message.{one['status']}", one["message_id"], one["parked_id"])


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
