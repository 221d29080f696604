"""Arguments of the operators' commands about money: refunds, disputes, books. What they do is loaded when needed."""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workers.commands.arguments import MOST, AsJson, By
from workers.commands.calling import operate, the_actor
from workers.settings import SettingsError

if TYPE_CHECKING:
    from workers.domain.refund_types import ActionKind

RefundId = Annotated[str, typer.Argument(metavar="REFUND_ID")]
ActionId = Annotated[str, typer.Argument(metavar="ACTION_ID")]
Reason = Annotated[str | None, typer.Option(help="why, kept on record; mandatory", metavar="TEXT")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only show its effects on ledger and provider")]
Wait = Annotated[float, typer.Option("--wait", min=0, max=600, help="seconds to wait for the worker's decision")]
Limit = Annotated[int, typer.Option(min=1, max=MOST, help="shown at most, the newest first")]

refund = typer.Typer(help="Refunds, and what a person may do with them.", no_args_is_help=True)
disputes = typer.Typer(help="Payments that are disputed; nothing of them is refunded meanwhile.", no_args_is_help=True)
audit = typer.Typer(help="Who did what, and when.", no_args_is_help=True)

_HELP: Final = {
    "retry": "Send a refund in review again: with the same key while that is safe and helps, else with a new one.",
    "look_up": "Ask the provider what became of a refund; moves no money.",
    "redirect": "Send the money of a refund in review to the client's wallet, once nothing of it can be alive.",
    "settle": "Freeze a refund in review so that a person may pay: wait until it is frozen, pay, then mark-settled.",
    "mark_settled": "Say that a frozen refund was paid by other means; takes --evidence.",
    "mark_failed": "Say that what counts as paid, or on its way, never reached the client; takes --evidence.",
    "release": "Give a refund in review back to the rules: it goes to where the provider's word puts it.",
}


class State(StrEnum):
    """How a refund stands."""

    REQUESTED = "requested"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    RETRYING = "retrying"
    UNCERTAIN = "uncertain"
    BOUNCED = "bounced"
    REDIRECTED = "redirected"
    NEEDS_REVIEW = "needs_review"
    SETTLED_ELSEWHERE = "settled_elsewhere"


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    for kind, told in _HELP.items():
        refund.command(kind.replace("_", "-"), help=told)(_command_of(kind))  # type: ignore[arg-type]  # one of the kinds
    app.add_typer(refund, name="refund")
    app.add_typer(disputes, name="disputes")
    app.add_typer(audit, name="audit")
    app.command("ledger")(ledger)


def _command_of(kind: "ActionKind") -> Callable[..., None]:
    def act(
        refund_id: RefundId,
        reason: Reason = None,
        by: By = None,
        evidence: Annotated[str | None, typer.Option(help="what shows that it is so", metavar="TEXT")] = None,
        revision: Annotated[
            int | None, typer.Option(min=1, help="refuse if the refund has moved on from this one", metavar="N")
        ] = None,
        wait_s: Wait = 5,
        dry_run: DryRun = False,
        as_json: AsJson = False,
    ) -> None:
        from workers.commands import refund_actions as command  # noqa: PLC0415 - loaded only where needed

        call = command.Call(
            refund_id=refund_id,
            kind=kind,
            actor=the_actor(by),
            reason=_reason(reason, needed=not dry_run),
            evidence=evidence,
            revision=revision,
            wait_s=wait_s,
            as_json=as_json,
        )
        operate(lambda settings: command.dry_run(settings, call) if dry_run else command.act(settings, call))

    return act


@refund.command("show")
def show_refund(refund_id: RefundId, as_json: AsJson = False) -> None:
    """Show a refund: its revision, what the provider said, and what may be done with it now."""
    from workers.commands import refund_actions as command  # noqa: PLC0415

    operate(lambda settings: command.show(settings, refund_id, as_json=as_json))


@refund.command("list")
def list_refunds(
    code: Annotated[str | None, typer.Option(help="only those with this code", metavar="CODE")] = None,
    state: Annotated[State, typer.Option(help="how they stand")] = State.NEEDS_REVIEW,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="shown at most, the oldest first")] = 100,
    as_json: AsJson = False,
) -> None:
    """List refunds, those in review unless told otherwise, the longest waiting first."""
    from workers.commands import refund_actions as command  # noqa: PLC0415

    operate(lambda settings: command.list_refunds(settings, state=state.value, code=code, limit=limit, as_json=as_json))


@refund.command("approve")
def approve(
    action_id: ActionId, by: By = None, wait_s: Wait = 5, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Agree, as a second person, to what another one asked for."""
    from workers.commands import refund_actions as command  # noqa: PLC0415

    name = the_actor(by)
    if dry_run:
        operate(lambda settings: command.dry_run_action(settings, action_id, as_json=as_json))
    else:
        operate(lambda settings: command.approve_it(settings, action_id, name, wait_s=wait_s, as_json=as_json))


@refund.command("reject")
def reject(action_id: ActionId, reason: Reason = None, by: By = None, as_json: AsJson = False) -> None:
    """Say no to an action that isn't decided yet, or take one's own back."""
    from workers.commands import refund_actions as command  # noqa: PLC0415

    name, why = the_actor(by), _reason(reason, needed=True)
    operate(lambda settings: command.reject_it(settings, action_id, name, why, as_json=as_json))


@refund.command("actions")
def list_actions(
    only_open: Annotated[bool, typer.Option("--open", help="only those that nobody has decided yet")] = False,
    refund_id: Annotated[str | None, typer.Option("--refund", help="only those of this refund", metavar="ID")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List what people asked for, the newest first."""
    from workers.commands import refund_actions as command  # noqa: PLC0415

    operate(
        lambda settings: command.list_(settings, only_open=only_open, refund_id=refund_id, limit=limit, as_json=as_json)
    )


@disputes.command("list")
def list_disputes(
    only_open: Annotated[bool, typer.Option("--open", help="only those that are open")] = False,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="shown at most, the longest open first")] = 100,
    as_json: AsJson = False,
) -> None:
    """List disputes, the ones that stand open longest first."""
    from workers.commands import disputes as command  # noqa: PLC0415

    operate(lambda settings: command.list_(settings, only_open=only_open, limit=limit, as_json=as_json))


@disputes.command("close")
def close_dispute(
    dispute_id: Annotated[str, typer.Argument(metavar="DISPUTE_ID")],
    reason: Reason = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Close a dispute that is over at the provider, and whose end was never told; moves no refund."""
    from workers.commands import disputes as command  # noqa: PLC0415

    name, why = the_actor(by), _reason(reason, needed=True)
    operate(lambda settings: command.close(settings, dispute_id, name, why, as_json=as_json))


@audit.command("list")
def list_audit(
    subject: Annotated[str | None, typer.Option(help="only of this action, dispute or message", metavar="ID")] = None,
    by: Annotated[str | None, typer.Option("--by", help="only what this person did", metavar="NAME")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List the entries of the audit chain, the newest first; `annul verify` checks the chain."""
    from workers.commands import audit as command  # noqa: PLC0415

    operate(lambda settings: command.list_(settings, subject=subject, actor=by, limit=limit, as_json=as_json))


def ledger(
    order_id: Annotated[str | None, typer.Argument(metavar="[ORDER]")] = None,
    trial: Annotated[bool, typer.Option("--trial", help="the balances of all accounts instead")] = False,
    as_json: AsJson = False,
) -> None:
    """Show an order's accounts line by line, or the trial balance; exit 1 where it doesn't balance."""
    from workers.commands import ledger as command  # noqa: PLC0415

    if trial == (order_id is not None):
        raise SettingsError("name one order, or give --trial")
    if order_id is None:
        operate(lambda settings: command.trial(settings, as_json=as_json))
    else:
        operate(lambda settings: command.order(settings, order_id, as_json=as_json))


def _reason(text: str | None, *, needed: bool) -> str:
    """Raises SettingsError where a reason is needed and there is none."""
    if needed and not (text or "").strip():
        raise SettingsError("--reason is mandatory: say why, for those who look at it later")
    return text or ""
