"""The part of an order's timeline that is about its refunds: what was asked of whom, what was heard, what followed."""

from collections.abc import Iterator

import msgspec

from workers.domain.refund_messages import event_of
from workers.insight.material import Material, Step
from workers.pipeline.messages import unpack_one

FLAGGED = "flagged"
"""The outcome of an observation that is no provider's answer: something didn't add up."""


def requests(material: Material) -> Iterator[Step]:
    """Each refund's beginning."""
    tell = material.telling
    for refund in material.refunds:
        first = msgspec.structs.replace(refund, state="requested", revision=1)
        message_id = event_of(first, "refund.requested", refund.first_issued_at).id
        detail = tell.say(
            "request",
            amount=tell.money(refund.amount_minor, refund.currency),
            provider=tell.word("provider", refund.provider),
            reference=refund.reference,
            refund=refund.refund_id,
            tender=refund.tender_id,
        )
        if refund.redirected_from:
            detail += tell.say("request.instead", refund=refund.redirected_from)
        yield Step(refund.first_issued_at, "refund.requested", message_id, detail)


def attempts(material: Material) -> Iterator[Step]:
    """Who took up which attempt."""
    tell = material.telling
    for one in material.attempts:
        lease_s = (one["lease_until"] - one["claimed_at"]).total_seconds()
        told = {"attempt": one["attempt"], "refund": one["refund_id"], "who": one["claimed_by"]}
        detail = tell.say("claim", lease_s=f"{lease_s:g}", **told)
        yield Step(one["claimed_at"], "refund.claimed", None, detail)


def answers(material: Material) -> Iterator[Step]:
    """What providers said, and what didn't add up; also where it changed nothing."""
    tell = material.telling
    providers = {refund.refund_id: refund.provider for refund in material.refunds}
    for one in material.observations:
        if one["outcome"] == FLAGGED:
            parts = [tell.say("flagged", refund=one["refund_id"])]
        else:
            number = f" {one['look_up_no']}" if one["look_up_no"] else ""
            told = {"attempt": one["attempt"], "refund": one["refund_id"]}
            named = {
                "provider": tell.word("provider", providers[one["refund_id"]]),
                "outcome": tell.word("answer", one["outcome"]),
                "via": f"{tell.word('via', one['via'])}{number}",
            }
            parts = [tell.say("answer", **told, **named)]
        if one["provider_refund_id"]:
            parts.append(tell.say("answer.id", refund=one["provider_refund_id"]))
        if one["provider_code"]:
            parts.append(tell.say("code", code=one["provider_code"]))
        if one["message"]:
            parts.append(one["message"])
        state = tell.word("state", one["state_after"])
        parts.append(tell.say("answer.now", state=state, revision=one["revision_after"]))
        what = "refund.flagged" if one["outcome"] == FLAGGED else "refund.answered"
        yield Step(one["recorded_at"], what, one["message_id"], "; ".join(parts))


def moves(material: Material) -> Iterator[Step]:
    """Each change of a refund's state, under the id of the message that caused it."""
    tell = material.telling
    links = {refund.refund_id: refund.redirected_to for refund in material.refunds}
    for one in material.steps:
        was = tell.word("state", one["state_before"])
        parts = [tell.say("move", refund=one["refund_id"], state=was, revision=one["revision"])]
        if one["code"]:
            parts.append(tell.say("code", code=one["code"]))
        if one["state"] == "redirected" and links[one["refund_id"]]:
            parts.append(tell.say("move.goes_on", refund=links[one["refund_id"]]))
        # Its first request is no step: this is another attempt.
        what = "sent_again" if one["state"] == "requested" else one["state"]
        yield Step(one["stepped_at"], f"refund.{what}", one["message_id"], "; ".join(parts))


def wishes(material: Material) -> Iterator[Step]:
    """What people asked for and agreed to. Why is left out: it may be personal."""
    tell = material.telling
    for one in material.actions:
        told = {"action": one["action_id"], "refund": one["refund_id"], "revision": one["revision"]}
        detail = tell.say("wish", kind=tell.word("action", one["kind"]), who=one["actor"], **told)
        detail += tell.say("wish.second") if one["needs_second"] else ""
        yield Step(one["asked_at"], "action.asked", None, detail)
        if one["approved_at"] is not None:
            agreed = tell.say("wish.agreed", action=one["action_id"], who=one["approved_by"])
            yield Step(one["approved_at"], "action.approved", None, agreed)


def decisions(material: Material) -> Iterator[Step]:
    """What became of people's actions."""
    tell = material.telling
    for one in material.actions:
        if one["decided_at"] is not None:
            kind = tell.word("action", one["kind"])
            detail = tell.say("decision", action=one["action_id"], kind=kind, refund=one["refund_id"])
            detail += f"; {tell.say('code', code=one['code'])}" if one["code"] else ""
            yield Step(one["decided_at"], f"action.{one['outcome']}", None, detail)


def disputes(material: Material) -> Iterator[Step]:
    """What was heard last of disputes about the payments."""
    tell = material.telling
    for one in material.disputes:
        told = {"dispute": one["dispute_id"], "reference": one["reference"], "status": one["status"]}
        standing = tell.word("dispute", "open" if one["is_open"] else "closed")
        detail = tell.say("dispute", provider=tell.word("provider", one["provider"]), standing=standing, **told)
        yield Step(one["heard_at"], "dispute.heard", None, detail)


def waits(material: Material) -> Iterator[Step]:
    """When each refund is looked at again, and what it waits for."""
    tell = material.telling
    gates = {refund.refund_id: refund.gate for refund in material.refunds}
    for one in material.waits:
        if one["state"] in ("waiting", "firing"):
            message = unpack_one(one["message"])
            message_id = next((value.decode() for name, value in message.headers if name == "ce_id"), None)
            gate = gates[one["refund_id"]]
            detail = tell.say("look", refund=one["refund_id"])
            if gate is not None:
                detail += tell.say("look.gate", gate=gate)
            yield Step(one["due_at"], "refund.look_due", message_id, detail)
