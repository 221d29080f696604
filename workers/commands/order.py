"""`annul order ID`: one order's whole story, for people and machines."""

import sys

from rich.panel import Panel

from workers.commands.output import cell, console, print_json, table, when
from workers.insight.money import money
from workers.insight.reading import named
from workers.insight.story import Chat, Story, tell_story
from workers.settings import Settings


async def run(settings: Settings, order_id: str, *, as_json: bool) -> bool:
    """Print it; False, and one line on standard error, where the order is unknown."""
    story = await tell_story(settings, order_id)
    if story is None:
        sys.stderr.write(f"annul: nothing is known of order {named(order_id)}\n")
        return False
    if as_json:
        print_json(story)
    else:
        _print(story)
    return True


def _print(story: Story) -> None:
    out = console()
    parties = f"client {story.client_id or 'unknown'}, seller {story.seller_id or 'unknown'}"
    out.print(Panel(cell(f"{story.order_id} is {story.state.replace('_', ' ')}; {parties}"), expand=False))
    out.print(cell(_chat(story.chat)))
    if story.refunds:
        headings = ("refund", "tender", "provider", "amount", "state", "attempt", "their id", "code", "visible by")
        rows = [
            (
                one["refund_id"],
                one["tender_id"],
                f"{one['provider']} {one['reference']}",
                money(one["amount_minor"], one["currency"]),
                _state(one),
                one["attempt"],
                one["provider_refund_id"],
                one["code"],
                one["visible_by"],
            )
            for one in story.refunds
        ]
        out.print(table("Refunds", headings, rows, numbers=("amount", "attempt")))
    if story.facts:
        known = [(one["refund_id"], one["provider_refund_id"], one["standing"], one["code"]) for one in story.facts]
        out.print(table("What the providers made of them", ("refund", "their id", "standing", "code"), known))
    if story.disputes:
        disputes = [(one["dispute_id"], one["reference"], one["status"], one["heard_at"]) for one in story.disputes]
        out.print(table("Disputes", ("dispute", "payment", "status", "heard at (UTC)"), disputes))
    if story.ledger:
        lines = [
            (
                one["posted_at"],
                one["kind"],
                one["debit_account"],
                one["credit_account"],
                money(one["amount_minor"], one["currency"]),
            )
            for one in story.ledger
        ]
        out.print(table("Ledger", ("at (UTC)", "kind", "from", "to", "amount"), lines, numbers=("amount",)))
    steps = [(step.at, step.what, step.detail, step.message_id) for step in story.timeline]
    out.print(table("What happened", ("at (UTC)", "what", "", "message id"), steps))


def _state(refund: dict[str, str | None]) -> str:
    state, successor, gate = refund["state"], refund["redirected_to"], refund["gate"]
    if gate is not None:
        return f"{state} (frozen: a person pays)" if gate == "frozen" else f"{state} (waits for proof: {gate})"
    return f"{state} to {successor}" if successor else f"{state}"


def _chat(chat: Chat | None) -> str:
    if chat is None:
        return "Its conversation is unknown."
    if chat.closed_at is not None and chat.state == "closed":
        return f"Chat {chat.conversation_id} was closed {when(chat.closed_at)} UTC."
    if chat.close_at is not None:
        cause = f" for the cancellation of {chat.cancelled_order}"
        return f"Chat {chat.conversation_id} closes {when(chat.close_at)} UTC{cause}."
    return f"Chat {chat.conversation_id} stays open."
