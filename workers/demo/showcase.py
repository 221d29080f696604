"""Orders that meet what payment teams get burnt by, one each, whatever the rest of the traffic does."""

import asyncio
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import aiohttp

from schemas.base import Message, encode
from schemas.envelope import headers_of
from schemas.orders import Escrow, OrderCancelled, OrderReactivationRequested, Tender
from schemas.payouts import PayoutRequested
from schemas.topics import ORDERS_EVENTS, PAYOUTS_REQUESTED, Topic
from workers.demo.captures import Capture, captures_of
from workers.demo.traffic import Planned
from workers.domain.ids import derived
from workers.pipeline.ports import Outgoing
from workers.providers.simulated.faults import reference_for
from workers.providers.simulated.webhooks import UNTOLD
from workers.store.database import Database

_PREFIX: Final = "ord_case_"
DISPUTED: Final = "disputed_after_success"
_DISPUTED_REFERENCE: Final = "pi_case_disputed"
_DEADLINE_S: Final = 5.0
_REFUNDED_WITHIN_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.2


class Case(NamedTuple):
    """An order's fate: how it is paid, the fault that its refund meets, and the states that it must go through."""

    name: str
    provider: str
    fault: str | None
    times: int | None
    through: tuple[str, ...]


CASES: Final = (
    Case("pending", "card", "pending", None, ("pending", "succeeded")),
    Case("bounced_and_redirected", "card", "bounce_lost_or_stolen_card", None, ("bounced", "redirected", "succeeded")),
    Case("pending_and_declined", "card", "pending_lost_or_stolen_card", None, ("pending", "declined", "succeeded")),
    Case("redirected", "paypal", "PAYER_ACCOUNT_LOCKED_OR_CLOSED", None, ("declined", "redirected", "succeeded")),
    Case("retried", "card", "rate_limited", 2, ("retrying", "requested", "succeeded")),
    Case("uncertain_and_found", "card", "timeout_after", 1, ("uncertain", "succeeded")),
    Case("told_by_webhook_first", "card", "slow_after", 1, ("succeeded",)),
    Case("uncertain_and_sent_again", "paypal", "drop_before", 1, ("uncertain", "retrying", "succeeded")),
    Case("already_refunded_by_us", "card", "already_refunded_by_us", 1, ("uncertain", "succeeded")),
    Case("disputed_before_refund", "card", "charge_disputed", None, ("needs_review",)),
    Case(DISPUTED, "card", None, None, ("succeeded", "needs_review")),
    Case("reactivation_refused", "wallet", None, None, ("succeeded",)),
    Case("payout_refused", "wallet", None, None, ("succeeded",)),
)
REFUSED: Final = ("reactivation_refused", "payout_refused")


class Told(NamedTuple):
    """What became of a case."""

    name: str
    path: str
    as_it_should: bool


def plan(now: datetime) -> list[Planned]:
    """Their records, early in the traffic: what comes days later in earnest has time to come."""
    planned = []
    for number, case in enumerate(CASES):
        at = 0.02 + 0.01 * number
        planned.append(_record(at, "order.cancelled", _cancelled(case, now), ORDERS_EVENTS, now))
        if case.name == "reactivation_refused":
            asked = OrderReactivationRequested(
                order_id=_PREFIX + case.name, requested_by=f"cli_case_{case.name}", occurred_at=now
            )
            planned.append(_record(at + 0.2, "order.reactivation_requested", asked, ORDERS_EVENTS, now))
        elif case.name == "payout_refused":
            payout = PayoutRequested(
                payout_id="pay_case",
                order_id=_PREFIX + case.name,
                seller_id="sel_case",
                amount_minor=4_500,
                currency="EUR",
                requested_at=now,
            )
            planned.append(_record(at + 0.2, "payout.requested", payout, PAYOUTS_REQUESTED, now))
    return planned


def captures() -> list[Capture]:
    """What was paid for them."""
    return [capture for case in CASES for capture in captures_of(_escrow(case))]


async def open_dispute(stripe_base: str, database: Database) -> None:
    """The client's bank takes a payment back that was refunded a moment ago, or should have been by now."""
    until = time.monotonic() + _REFUNDED_WITHIN_S
    while time.monotonic() < until:
        paths = {case.name: case.path for case in await cases(database)}
        if "succeeded" in paths[DISPUTED.replace("_", " ")]:
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    timeout = aiohttp.ClientTimeout(total=_DEADLINE_S)
    told = {"provider": "stripe", "reference": _DISPUTED_REFERENCE}
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(f"{stripe_base}/_annul/disputes", json=told) as response,
    ):
        response.raise_for_status()


async def cases(database: Database) -> list[Told]:
    """What became of all of them."""
    rows = {row["order_id"]: row for row in await database.fetch("demo_cases", _PREFIX)}
    return [_told(case, rows.get(_PREFIX + case.name)) for case in CASES]


def _told(case: Case, row: Any) -> Told:
    states: list[str] = row["states"] if row else []
    went = _in_order(case.through, states) and (case.name not in REFUSED or row["refusals"] > 0)
    path = " → ".join(states) or "nothing yet"
    if row and row["refusals"]:
        path += f"; refused, and {row['refusals']} told why"
    return Told(case.name.replace("_", " "), path, went)


def _in_order(wanted: Iterable[str], states: list[str]) -> bool:
    left = iter(states)
    return all(state in left for state in wanted)


def _cancelled(case: Case, now: datetime) -> OrderCancelled:
    return OrderCancelled(
        order_id=_PREFIX + case.name,
        conversation_id=f"cnv_case_{case.name}",
        client_id=f"cli_case_{case.name}",
        seller_id="sel_case",
        cancelled_at=now - timedelta(seconds=1),
        cancelled_by="support",
        reason="One of each kind.",
        stage="in_progress",
        escrow=_escrow(case),
        client_locale="fr-FR",
        seller_locale="en-GB",
    )


def _escrow(case: Case) -> Escrow:
    return Escrow(currency="EUR", tenders=(_tender(case),))


def _tender(case: Case) -> Tender:
    if case.provider == "wallet":
        reference = f"wal_case_{case.name}"
    elif case.fault is None:
        reference = _DISPUTED_REFERENCE
    else:
        prefix = "pi_" if case.provider == "card" else "CAP_"
        # Where the webhook would be faster, it gets lost: the look-up is what is to be seen.
        tag = UNTOLD if "uncertain" in case.through else "case"
        reference = reference_for(case.fault, tag, case.times, prefix)
    return Tender(
        tender_id="tnd_case",
        provider=case.provider,  # type: ignore[arg-type]  # one of the three
        reference=reference,
        captured_minor=4_500,
        refunded_minor=0,
    )


def _record(at: float, type_: str, data: Message, topic: Topic, now: datetime) -> Planned:
    order_id: str = data.order_id  # type: ignore[attr-defined]  # all of these have one
    headers = headers_of(type_, derived("evt", type_, order_id), now, None)
    return Planned(at, Outgoing(topic.name, order_id.encode(), encode(data), headers))
