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
from workers.insight.money import money


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
    order = material.order
    for what, at, detail in (
        ("order.placed", order.placed_at, f"by {order.client_id} with {order.seller_id} in {order.conversation_id}"),
        ("order.accepted", order.accepted_at, f"by {order.seller_id}"),
        ("order.delivered", order.delivered_at, f"by {order.seller_id}"),
        ("order.completed", order.completed_at, "the escrow was paid out"),
        ("order.reactivation_requested", order.reactivation_at, "nothing to refuse yet: it was not cancelled then"),
    ):
        if at is not None:
            yield Step(at, what, None, detail)
    if order.cancelled_at is not None and order.escrow is not None:
        escrow = read_escrow(order.escrow)
        captured = sum(tender.captured_minor for tender in escrow.tenders)
        before = sum(tender.refunded_minor for tender in escrow.tenders)
        tenders = ", ".join(f"{tender.tender_id} by {tender.provider}" for tender in escrow.tenders) or "nothing paid"
        detail = f"by {order.cancelled_by} ({order.stage}); {money(captured, escrow.currency)} captured ({tenders})"
        if before:
            detail += f", {money(before, escrow.currency)} refunded before"
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
    for one in material.outcomes:
        detail = f"{one['outcome']}, number {one['seq']} of {one['seller_id']}"
        if one["replaces_outcome"]:
            detail += f"; takes back {one['replaces_outcome']} of {one['replaces_occurred_at']:%Y-%m-%d %H:%M:%S}"
        message_id = derived("msg", "seller.outcome", one["seller_id"], str(one["seq"]))
        yield Step(one["occurred_at"], "seller.outcome", message_id, detail)


def _ledger(material: Material) -> Iterator[Step]:
    for line in material.transfers:
        amount = money(line["amount_minor"], line["currency"])
        detail = f"{amount} from {line['debit_account']} to {line['credit_account']}"
        yield Step(line["posted_at"], f"ledger.{line['kind']}", None, detail)


def _payouts(material: Material) -> Iterator[Step]:
    for one in material.payouts:
        amount = money(one["amount_minor"], one["currency"])
        what = "payout.allowed" if one["allowed"] else "payout.refused"
        detail = f"{one['payout_id']}: {amount} to {one['seller_id']}; {one['reason']}"
        yield Step(one["decided_at"], what, derived("msg", what, one["payout_id"]), detail)


def _chat(material: Material) -> Iterator[Step]:
    decided_at = _decided_at(material)
    for one in material.chat_schedule:
        command = msgspec.json.decode(one.data, type=ChatCommand)
        if command.order_id != material.order.order_id:
            continue
        if one.type == "chat.close" and decided_at is not None:
            # The word that scheduled it went out two revisions earlier, under an id that follows from that.
            cause = (command.conversation_id, command.order_id, str(one.revision - 2))
            told = "; withdrawn since" if one.state == "withdrawn" else ""
            detail = f"{command.conversation_id} closes {command.close_at:%Y-%m-%d %H:%M:%S} UTC{told}"
            yield Step(decided_at, "chat.close_scheduled", derived("msg", "chat.close_scheduled", *cause), detail)
        if one.fired_at is not None:
            yield Step(one.fired_at, one.type, one.message_id, f"sent; it was due {one.due_at:%Y-%m-%d %H:%M:%S} UTC")
        elif one.state in ("waiting", "firing"):
            yield Step(one.due_at, f"{one.type}_due", one.message_id, "will be sent then, unless it is withdrawn")


def _decided_at(material: Material) -> datetime | None:
    """When the cancellation was decided: whatever it was, it posted a line, asked for a refund or found nothing due."""
    times = [line["posted_at"] for line in material.transfers]
    times += [refund.first_issued_at for refund in material.refunds]
    if material.order.refunded_at is not None:
        times.append(material.order.refunded_at)
    return min(times, default=None)


def _end(material: Material) -> Iterator[Step]:
    order = material.order
    if order.refunded_at is not None and order.escrow is not None:
        tenders = read_escrow(order.escrow).tenders
        due = sum(tender.captured_minor - tender.refunded_minor for tender in tenders)
        message_id = order_refunded(order, due, order.refunded_at).id
        detail = f"{money(due, order.currency)} went back" if due else "nothing was due"
        yield Step(order.refunded_at, "order.refunded", message_id, detail)


def _notices(material: Material) -> Iterator[Step]:
    for one in material.notices:
        detail = f"to the {one['recipient_kind']} about {one['about']}, as {one['notification_id']}"
        yield Step(one["decided_at"], "notification.requested", None, detail)


def _parked(material: Material) -> Iterator[Step]:
    for one in material.parked:
        kind = one["message_type"] or "a message"
        detail = f"{kind} as {one['parked_id']}: {one['reason']} ({one['field']}: {one['detail']})"
        yield Step(one["parked_at"], "message.parked", one["message_id"], detail)
        if one["status"] != "parked":
            yield Step(one["status_at"], f"message.{one['status']}", one["message_id"], one["parked_id"])
