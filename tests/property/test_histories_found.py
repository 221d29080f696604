"""What random histories have found, each as short as it can be told."""

import random
from typing import Any

from kit.builders import action, at, claim, decide, refund_in, result, situation
from kit.desk import Desk, commands_of
from kit.history_run import SETTINGS

from schemas.refunds import RefundAction, RefundFlagged, RefundLookUp
from workers.domain.refund_course import RefundDecision
from workers.domain.refund_types import ActionKind, Refund
from workers.insight.verify import check_tables
from workers.refunds import Refunds
from workers.store import action_audit
from workers.store.action_audit import ManualAction
from workers.store.audit import append
from workers.store.database import Database
from workers.store.queries import sql


def empty_answer(refund: Refund, code: str) -> RefundDecision:
    """The look-up that a gate waits for found nothing by our mark, yet refunds that may be ours."""
    said = result(
        "not_found",
        provider=refund.provider,
        via="look_up",
        look_up_no=refund.look_up_no,
        attempt=refund.attempt,
        provider_code=code,
    )
    return decide(refund, said, situation(now=at(hours=3), claims=(claim(attempt=3),)))


def asked(code: str, evidence: str | None) -> Refund:
    """A PayPal refund in review, as it is after a person asked to pay it to the wallet."""
    reviewed = refund_in("needs_review", provider="paypal", provider_refund_id=None, code=code)
    hours_later = situation(now=at(hours=2), claims=(claim(attempt=3),))
    decision = decide(reviewed, action("redirect", reviewed, evidence=evidence), hours_later)
    assert decision.refused is None
    assert decision.refund.gate == "redirect"
    return decision.refund


def test_a_person_who_was_not_shown_that_the_payment_was_refunded_pays_nothing() -> None:
    """The first attempt had gone through unheard; its capture says so, without saying that it was ours."""
    decision = empty_answer(asked("lease_expired", None), "CAPTURE_PARTIALLY_REFUNDED")
    assert (decision.refund.state, decision.refund.gate) == ("needs_review", None)
    assert decision.refund.code == "CAPTURE_PARTIALLY_REFUNDED"
    assert decision.created is None


def test_a_person_who_was_shown_it_and_says_how_they_know_better_pays() -> None:
    decision = empty_answer(asked("CAPTURE_PARTIALLY_REFUNDED", "it was another order's"), "CAPTURE_PARTIALLY_REFUNDED")
    assert decision.refund.state == "redirected"
    assert decision.created is not None


async def ask(desk: Desk, observer: Any, kind: ActionKind, evidence: str | None = None) -> Any:
    """A person's action on the only refund, carried out; the verdict."""
    row = await observer.fetchrow("SELECT refund_id, order_id, revision FROM refunds")
    wish = ManualAction(
        action_id=f"act_{kind}", kind=kind, actor="ada", reason="so be it", evidence=evidence, asked_at=at(),
        needs_second=False, **row,
    )  # fmt: skip
    async with desk.transaction() as connection:
        await connection.execute(sql("add_action"), *(getattr(wish, name) for name in wish.__struct_fields__[:10]))
        await append(connection, [action_audit.asked(wish)])
    said = RefundAction(refund_id=row["refund_id"], order_id=row["order_id"], action_id=wish.action_id)
    return await desk.decide(refunds(), said)


def refunds() -> Refunds:
    return Refunds(SETTINGS.policy().refunds, random.Random(1))


async def test_what_a_person_paid_and_an_alarm_brings_back_to_review_is_still_paid(
    database: Database, observer: Any
) -> None:
    """order.refunded is out by then; `annul verify` said that nothing had gone back."""
    desk = Desk(database)
    (command,) = await desk.cancel()
    await desk.decide(refunds(), result("rejected", provider_code="charge_not_refundable"))
    (look_up,) = commands_of(await ask(desk, observer, "settle"))
    assert isinstance(look_up, RefundLookUp)
    await desk.decide(refunds(), result("not_found", via="look_up", look_up_no=look_up.look_up_no))
    await ask(desk, observer, "mark_settled", "bank transfer 4711")
    flag = RefundFlagged(
        refund_id=command.refund_id, order_id=command.order_id, code="disputed", observed_at=at(minutes=5)
    )
    await desk.decide(refunds(), flag)
    assert await observer.fetchval("SELECT state FROM refunds") == "needs_review"
    assert await observer.fetchval("SELECT refunded_at FROM orders") is not None
    async with observer.transaction():
        found = await check_tables(observer, SETTINGS)
    assert [one for violations in found.values() for one in violations] == []
