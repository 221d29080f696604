"""Orders in every state there is, made by the workers' own code: what operators' commands are tried on.

The orders' ids say what became of them. Money is in EUR but for one order in JPY and one in KWD.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from kit.builders import accepted, cancelled, completed, delivered, escrow, placed, tender
from kit.database import MIGRATED, Copies
from kit.feed import Feed
from schemas.base import Message
from schemas.refunds import RefundCommand, RefundIssue
from workers.domain.policy import Policy, RefundPolicy
from workers.local.postgres import LocalPostgres
from workers.providers.port import Answer
from workers.settings import Settings

NOW = datetime.now(UTC).replace(microsecond=0)
_REFUNDS = RefundPolicy(
    retry_base_s=0.001, retry_max_s=0.002, look_up_base_s=3600, look_up_max_s=7200, redirects_itself=False
)
POLICY = Policy(refunds=_REFUNDS)

_TEMPLATE = "populated"


@pytest.fixture(scope="session")
async def populated_template(postgres: LocalPostgres) -> str:
    """The database that the others are copied from."""
    url = await postgres.create_database(_TEMPLATE, template=MIGRATED)
    async with Feed(url, script, policy=POLICY) as feed:
        await populate(feed)
    return _TEMPLATE


@pytest.fixture(scope="session")
async def populated_shared(postgres: LocalPostgres, populated_template: str) -> str:
    """Of a database with all of it, for tests that leave it as it is."""
    return await postgres.create_database(f"{populated_template}_shared", template=populated_template)


@pytest.fixture
async def populated(copies: Copies, populated_template: str) -> AsyncIterator[str]:
    """Of a database with all of it that is the test's own."""
    url = await copies.take(populated_template)
    yield url
    await copies.drop(url)


def settings_for(url: str, **changes: Any) -> Settings:
    """An operator's settings for that database."""
    return Settings(database_url=SecretStr(url), **changes)


def ago(**span: float) -> datetime:
    """A moment before the tests began."""
    return NOW - timedelta(**span)


def script(command: RefundCommand) -> Answer | None:
    """The providers: a reference says what becomes of its refund."""
    fate = command.reference.rpartition("_")[2]
    found = f"re_{command.order_id}_{command.tender_id}"
    if not isinstance(command, RefundIssue):
        return Answer(outcome="not_found", detail="simulated")
    if fate == "stalls":
        return None
    if fate == "retries" and command.attempt == 1:
        return Answer(outcome="retryable", code="rate_limit", detail="debug id f00")
    if fate == "uncertain":
        return Answer(outcome="uncertain", code="timeout")
    if fate == "declines":
        return Answer(outcome="declined", code="expired_or_canceled_card", provider_refund_id=found)
    outcome = "pending" if fate == "pends" else "succeeded"
    return Answer(outcome=outcome, provider_refund_id=found)  # type: ignore[arg-type]  # a Literal


def of(name: str, **fields: Any) -> dict[str, Any]:
    """Whom the order is between; each has a conversation of its own, and they share few sellers."""
    parties = {"conversation_id": f"cnv_{name}", "client_id": f"cli_{name}", "seller_id": f"sel_{len(name) % 3}"}
    return {**parties, **fields}


def seller(name: str) -> dict[str, Any]:
    """The seller of `of`."""
    return {"seller_id": of(name)["seller_id"]}


def cancellation(name: str, *tenders: Any, currency: str = "EUR", **fields: Any) -> tuple[str, Message]:
    """`order.cancelled` of `ord_<name>`, an hour ago in progress."""
    given = of(name, cancelled_at=ago(hours=1), escrow=escrow(*tenders, currency=currency), reason="Jane Doe is ill")
    return "order.cancelled", cancelled(f"ord_{name}", **{**given, **fields})


def placement(name: str, **fields: Any) -> tuple[str, Message]:
    """`order.placed` of `ord_<name>`, two days ago."""
    return "order.placed", placed(f"ord_{name}", **of(name, **{"placed_at": ago(days=2), **fields}))


def acceptance(name: str, **fields: Any) -> tuple[str, Message]:
    """`order.accepted` of `ord_<name>`, a day ago."""
    return "order.accepted", accepted(f"ord_{name}", **{**seller(name), "occurred_at": ago(days=1), **fields})


async def populate(feed: Feed) -> None:
    """All of it."""
    card = tender(reference="pi_1_good")
    wallet = tender("tnd_2", provider="wallet", reference="wal_1", captured_minor=500)
    await feed.take(placement("refunded"), acceptance("refunded"), cancellation("refunded", card, wallet))
    await feed.take(cancellation("pending", tender(provider="paypal", reference="8AC_pends")))
    await feed.take(cancellation("retried", tender(reference="pi_3_retries", captured_minor=700), currency="JPY"))
    await feed.take(cancellation("uncertain", tender(reference="pi_4_uncertain")))
    await feed.take(cancellation("declined", tender(reference="pi_5_declines")))
    await feed.take(cancellation("stalled", tender(reference="pi_6_stalls", captured_minor=1005), currency="KWD"))
    bounced = tender(reference="pi_7_bounces", captured_minor=4500, refunded_minor=1500)
    before = tender("tnd_2", reference="pi_8", captured_minor=900, refunded_minor=900)
    await feed.take(cancellation("bounced", bounced, before))
    (command,) = feed.commands("ord_bounced")
    await feed.tell(command, "declined", provider_refund_id="re_ord_bounced_tnd_1", code="lost_or_stolen_card")
    await feed.take(cancellation("free"))
    await feed.take(placement("completed"), acceptance("completed"))
    await feed.take(
        ("order.delivered", delivered("ord_completed", **seller("completed"), occurred_at=ago(hours=9))),
        ("order.completed", completed("ord_completed", **seller("completed"), occurred_at=ago(hours=8))),
        placement("placed"),
    )
    await feed.take(cancellation("late", card, stage="awaiting_acceptance"))
    await feed.take(acceptance("late"))
    await feed.take(cancellation("early", card, stage="awaiting_acceptance"))
    await feed.take(cancellation("outlived", card))
    await feed.take(placement("newer", conversation_id="cnv_outlived", placed_at=ago(minutes=5)))
    await feed.take(cancellation("closed", card, cancelled_at=ago(days=8)))
    await feed.take(cancellation("refunded", wallet))  # other money: a person must look
    await feed.put("orders.events.v1", b"\xffjunk", key=b"ord_unread")
    await feed.work()
    while await feed.fire():
        pass
