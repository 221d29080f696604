"""The part of an order's timeline that is about its refunds: what was asked of whom, what was heard, what followed."""

from collections.abc import Iterator

import msgspec

from workers.domain.refund_messages import event_of
from workers.insight.material import Material, Step
from workers.insight.money import money
from workers.pipeline.messages import unpack_one

FLAGGED = "flagged"
"""The outcome of an observation that is no provider's answer: something didn't add up."""


def requests(material: Material) -> Iterator[Step]:
    """Each refund's beginning."""
    for refund in material.refunds:
        first = msgspec.structs.replace(refund, state="requested", revision=1)
        message_id = event_of(first, "refund.requested", refund.first_issued_at).id
        amount = money(refund.amount_minor, refund.currency)
        origin = f" instead of {refund.redirected_from}" if refund.redirected_from else ""
        detail = f"{amount} to {refund.provider} {refund.reference} as {refund.refund_id} ({refund.tender_id}){origin}"
        yield Step(refund.first_issued_at, "refund.requested", message_id, detail)


def attempts(material: Material) -> Iterator[Step]:
    """Who took up which attempt."""
    for one in material.attempts:
        lease_s = (one["lease_until"] - one["claimed_at"]).total_seconds()
        detail = f"attempt {one['attempt']} of {one['refund_id']} by {one['claimed_by']}, for {lease_s:g} s"
        yield Step(one["claimed_at"], "refund.claimed", None, detail)


def answers(material: Material) -> Iterator[Step]:
    """What providers said, and what didn't add up; also where it changed nothing."""
    providers = {refund.refund_id: refund.provider for refund in material.refunds}
    for one in material.observations:
        if one["outcome"] == FLAGGED:
            parts = [f"{one['refund_id']} doesn't add up"]
        else:
            parts = [
                f"{providers[one['refund_id']]} on attempt {one['attempt']} of {one['refund_id']}: {one['outcome']}"
            ]
            parts[0] += f" (by {one['via']}{' ' + str(one['look_up_no']) if one['look_up_no'] else ''})"
        if one["provider_refund_id"]:
            parts.append(f"their id {one['provider_refund_id']}")
        if one["provider_code"]:
            parts.append(f"code {one['provider_code']}")
        if one["message"]:
            parts.append(one["message"])
        parts.append(f"now {one['state_after']} (revision {one['revision_after']})")
        what = "refund.flagged" if one["outcome"] == FLAGGED else "refund.answered"
        yield Step(one["recorded_at"], what, one["message_id"], "; ".join(parts))


def moves(material: Material) -> Iterator[Step]:
    """Each change of a refund's state, under the id of the message that caused it."""
    links = {refund.refund_id: refund.redirected_to for refund in material.refunds}
    for one in material.steps:
        parts = [f"{one['refund_id']} was {one['state_before']} (revision {one['revision']})"]
        if one["code"]:
            parts.append(f"code {one['code']}")
        if one["state"] == "redirected" and links[one["refund_id"]]:
            parts.append(f"its money goes on with {links[one['refund_id']]}")
        # Its first request is no step: this is another attempt.
        what = "sent_again" if one["state"] == "requested" else one["state"]
        yield Step(one["stepped_at"], f"refund.{what}", one["message_id"], "; ".join(parts))


def wishes(material: Material) -> Iterator[Step]:
    """What people asked for and agreed to. Why is left out: it may be personal."""
    for one in material.actions:
        needs = ", which takes a second person" if one["needs_second"] else ""
        detail = f"{one['kind']} of {one['refund_id']} at revision {one['revision']} by {one['actor']}{needs}"
        yield Step(one["asked_at"], "action.asked", None, f"{one['action_id']}: {detail}")
        if one["approved_at"] is not None:
            yield Step(one["approved_at"], "action.approved", None, f"{one['action_id']} by {one['approved_by']}")


def decisions(material: Material) -> Iterator[Step]:
    """What became of people's actions."""
    for one in material.actions:
        if one["decided_at"] is not None:
            code = f"; code {one['code']}" if one["code"] else ""
            detail = f"{one['action_id']}: {one['kind']} of {one['refund_id']}{code}"
            yield Step(one["decided_at"], f"action.{one['outcome']}", None, detail)


def disputes(material: Material) -> Iterator[Step]:
    """What was heard last of disputes about the payments."""
    for one in material.disputes:
        standing = "open" if one["is_open"] else "closed"
        detail = f"{one['provider']} {one['dispute_id']} about {one['reference']}: {one['status']} ({standing})"
        yield Step(one["heard_at"], "dispute.heard", None, detail)


def waits(material: Material) -> Iterator[Step]:
    """When each refund is looked at again, and what it waits for."""
    gates = {refund.refund_id: refund.gate for refund in material.refunds}
    for one in material.waits:
        if one["state"] in ("waiting", "firing"):
            message = unpack_one(one["message"])
            message_id = next((value.decode() for name, value in message.headers if name == "ce_id"), None)
            gate = gates[one["refund_id"]]
            detail = f"{one['refund_id']} is looked at again"
            if gate is not None:
                detail += f"; its gate ({gate}) waits for proof that nothing of it is alive"
            yield Step(one["due_at"], "refund.look_due", message_id, detail)
