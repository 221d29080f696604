"""How refunds, and what people may do with them, are shown on a terminal."""

from typing import Any

import msgspec
from rich.console import Console

from workers.actions.preview import Preview
from workers.actions.shown import Stage
from workers.commands.output import cell, table, when
from workers.insight.money import money
from workers.insight.refunds import RefundView


def print_preview(out: Console, shown: Preview) -> None:
    """What an action would cause, stage by stage."""
    amount = money(shown.amount_minor, shown.currency)
    out.print(cell(f"{shown.kind} of refund {shown.refund_id} ({amount}) at revision {shown.revision}:"))
    for stage in shown.stages:
        out.print(table(f"{stage.when[0].upper()}{stage.when[1:]}", ("", ""), _rows_of(stage)))
    for line in (shown.waits_for, *shown.warnings):
        if line:
            out.print(cell(f"{line[0].upper()}{line[1:]}"))
    if shown.needs_second and shown.refused is None:
        out.print("A second person has to agree first.")


def _rows_of(stage: Stage) -> list[tuple[str, str]]:
    rows = [
        (
            "refund",
            f"{one.refund_id}: {one.state_before or 'new'} -> {one.state}"
            + (f" (waits: {one.gate})" if one.gate else "")
            + f", {one.provider} {one.reference}, revision {one.revision}",
        )
        for one in stage.moves
    ]
    rows += [
        (
            "ledger",
            f"{money(one.amount_minor, one.currency)} from {one.debit_account} to {one.credit_account} ({one.kind})",
        )
        for one in stage.ledger
    ]
    for one in stage.commands:
        amount = f"{money(one.amount_minor, one.currency)} to {one.reference}, key {one.idempotency_key}"
        number = f", look-up {one.look_up_no}, moves no money" if one.look_up_no else f", attempt {one.attempt}"
        rows.append((f"{one.provider} is sent", f"{one.type}: {amount}{number}"))
    rows += [("others are told", ", ".join(stage.told))] if stage.told else []
    rows += [("looked at again", f"{when(stage.looked_at_again)} UTC")] if stage.looked_at_again else []
    return rows or [("", "nothing changes")]


def print_view(out: Console, view: RefundView) -> None:
    """A refund closely."""
    facts = {name: value for name, value in msgspec.structs.asdict(view.refund).items() if value is not None}
    facts["amount"] = money(facts.pop("amount_minor"), facts.pop("currency"))
    facts["looked at again"] = view.looked_at_again
    shown = [(name.replace("_", " "), value) for name, value in facts.items() if value is not None]
    out.print(table(f"Refund {view.refund.refund_id}", ("", ""), shown))
    if view.facts:
        rows = [(one["provider_refund_id"], one["standing"], one["code"], one["heard_at"]) for one in view.facts]
        out.print(table("What the provider made of it", ("their id", "standing", "code", "heard at (UTC)"), rows))
    if view.steps:
        steps = [
            (one["stepped_at"], one["state_before"], one["state"], one["code"], one["message_id"]) for one in view.steps
        ]
        out.print(table("Its steps", ("at (UTC)", "from", "to", "code", "message id"), steps))
    if view.actions:
        out.print(actions_table(view.actions))
    if view.disputes:
        disputes = [
            (one["dispute_id"], one["provider"], one["reference"], one["status"], one["heard_at"])
            for one in view.disputes
        ]
        out.print(table("Open disputes", ("dispute", "provider", "payment", "status", "heard at (UTC)"), disputes))
    possible = [
        (
            one.kind.replace("_", "-"),
            "no" if one.refused else "with a second person" if one.needs_second else "yes",
            one.why,
        )
        for one in view.possible
    ]
    out.print(table("What a person may do now", ("annul refund …", "", "why not"), possible))


def refunds_table(refunds: list[dict[str, Any]], state: str) -> Any:
    """Refunds that are in a state."""
    rows = [
        (
            one["refund_id"],
            one["order_id"],
            f"{one['provider']} {one['reference']}",
            money(one["amount_minor"], one["currency"]),
            one["code"],
            one["gate"],
            one["since"],
        )
        for one in refunds
    ]
    headings = ("refund", "order", "of", "amount", "code", "waits for", "since (UTC)")
    return table(f"Refunds: {state.replace('_', ' ')}", headings, rows, numbers=("amount",))


def actions_table(actions: list[dict[str, Any]]) -> Any:
    """What people asked for."""
    rows = [
        (
            one["action_id"],
            one["asked_at"],
            f"{one['kind']} of {one['refund_id']}",
            money(one["amount_minor"], one["currency"]),
            one["actor"],
            one["reason"],
            one["approved_by"],
            one["outcome"] or ("waits for approval" if one["waits_for_approval"] else "scheduled"),
            one["detail"],
        )
        for one in actions
    ]
    headings = ("action", "asked at (UTC)", "what", "amount", "by", "reason", "approved by", "outcome", "")
    return table("Actions", headings, rows, numbers=("amount",))
