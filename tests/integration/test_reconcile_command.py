"""`annul reconcile` as a person calls it, against the simulated providers over HTTP."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kit.command import Annul, console_script
from kit.provider_kit import API_KEY, KINDS, Bench, Kind, bench
from kit.reconciling import fact, insert_refund, money_rows, plan, told

from workers.pipeline.clock import SystemClock
from workers.reconcile.run import reconcile
from workers.reconcile.types import Report
from workers.store.database import Database

AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=30)


@pytest.fixture
async def card() -> AsyncIterator[Bench]:
    """A card provider whose clock stood still 30 hours ago."""
    async with at_work("card") as at:
        yield at


@asynccontextmanager
async def at_work(kind: Kind) -> AsyncIterator[Bench]:
    async with bench(kind) as at:
        at.providers.stripe.world.clock = AGO.timestamp
        yield at


@pytest.fixture
def annul(card: Bench, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Annul:
    for name in [name for name in os.environ if name.startswith("ANNUL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANNUL_STRIPE_API_BASE", card.providers.stripe_base)
    monkeypatch.setenv("ANNUL_STRIPE_API_KEY", API_KEY)
    return console_script(monkeypatch, tmp_path, database_url, "reconcile")


async def made(at: Bench, observer: Any, refund_id: str = "rfd_1", **changes: Any) -> str:
    """A refund that the provider made and that we hold; the provider's id."""
    reference = at.reference(refund_id)
    answer = await at.adapter.issue(
        at.issue(refund_id=refund_id, reference=reference, idempotency_key=f"annul-{refund_id}")
    )
    assert answer.provider_refund_id is not None
    held = fact(answer.provider_refund_id, refund_id=refund_id, heard_at=AGO)
    fields = {"provider": at.kind, "reference": reference, "first_issued_at": AGO, "issued_at": AGO, "settled_at": AGO}
    await insert_refund(observer, refund_id, held, **{**fields, **changes})
    return answer.provider_refund_id


async def test_nothing_differs(
    annul: Annul, card: Bench, observer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await made(card, observer)
    file = tmp_path / "report.json"
    assert await annul("--json", "--file", str(file)) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    report = json.loads(printed)
    assert set(report) >= {
        *("run_id", "started_at", "finished_at", "period_from", "period_to", "providers", "differences", "ok"),
    }
    assert (report["ok"], report["differences"]) == (True, [])
    cards, paypal = report["providers"]
    assert cards == {
        "provider": "card",
        "listed": 1,
        "ours": 1,
        "looked_up": 1,
        "woken": 0,
        "failed": None,
    }
    assert (paypal["provider"], paypal["failed"]) == ("paypal", "not_configured")
    assert json.loads(file.read_text()) == report
    assert await observer.fetchval("SELECT run_id FROM reconciliations") == report["run_id"]
    assert await annul() == 0
    assert "Nothing differs" in capsys.readouterr().out


async def test_a_difference_ends_with_one_and_is_shown(
    annul: Annul, card: Bench, observer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    provider_refund_id = await made(card, observer, amount_minor=5800, currency="JPY")
    assert await annul("--json", "--dry-run") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["differences"] == [
        {
            "kind": "amount_differs",
            "provider": "card",
            "refund_id": "rfd_1",
            "order_id": "ord_rfd_1",
            "provider_refund_id": provider_refund_id,
            "ours": {"state": "succeeded", "amount_minor": 5800, "currency": "JPY"},
            "theirs": {"state": "succeeded", "amount_minor": 4500, "currency": "EUR"},
            "action": "would_review",
        }
    ]
    assert await annul("--provider", "card") == 1
    shown = capsys.readouterr().out
    assert provider_refund_id in shown
    assert "5800 JPY" in shown
    assert "45.00 EUR" in shown


async def test_a_list_that_cannot_be_read_ends_with_one(
    annul: Annul, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANNUL_STRIPE_API_KEY", "sk_test_wrong")
    assert await annul("--json") == 1
    printed = capsys.readouterr()
    (cards, _) = json.loads(printed.out)["providers"]
    assert cards["failed"].startswith("list_failed")
    assert "sk_test_wrong" not in printed.out + printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        "--provider wallet",
        "--provider paypal",
        "--from 2026-11-23 --days 2",
        "--from yesterday",
        "--from 2026-11-23 --to 2026-11-22",
        "--from 2999-01-01",
        "--days 0",
        "--sample -1",
        "--file /nowhere/at/all.json",
    ],
)
async def test_a_bad_call_ends_with_two_and_does_nothing(
    annul: Annul, observer: Any, capsys: pytest.CaptureFixture[str], arguments: str
) -> None:
    assert await annul(*arguments.split()) == 2
    printed = capsys.readouterr()
    assert printed.err
    assert "Traceback" not in printed.err
    assert await observer.fetchval("SELECT count(*) FROM reconciliations") == 0


async def test_no_provider_at_all_ends_with_two(
    annul: Annul, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ANNUL_STRIPE_API_KEY")
    assert await annul() == 2
    assert "ANNUL_STRIPE_API_KEY" in capsys.readouterr().err


async def test_the_period_is_as_asked(annul: Annul, capsys: pytest.CaptureFixture[str]) -> None:
    assert await annul("--json", "--from", "2026-11-01", "--to", "2026-11-02T10:00:00+01:00") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["period_from"], report["period_to"]) == ("2026-11-01T00:00:00Z", "2026-11-02T09:00:00Z")


# ---------------------------------------------------------------- both providers, over HTTP


async def reconciled(database: Database, at: Bench) -> Report:
    now = datetime.now(UTC)
    asked = plan(period_from=now - timedelta(days=2), period_to=now, sample=10)
    return await reconcile(database, SystemClock(), {at.kind: at.adapter}, asked)


@pytest.mark.parametrize("kind", KINDS)
async def test_all_agree(kind: Kind, database: Database, observer: Any) -> None:
    async with at_work(kind) as at:
        for number in range(3):
            await made(at, observer, f"rfd_{number}")
        report = await reconciled(database, at)
    assert report.ok, report
    assert (report.providers[0].listed, report.providers[0].ours) == (3, 3)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_planted_at_the_provider_is_found(kind: Kind, database: Database, observer: Any) -> None:
    async with at_work(kind) as at:
        bounced = await made(at, observer, "rfd_bounced")
        at.book.move(bounced, "failed", "lost_or_stolen_card")
        await made(at, observer, "rfd_twice")
        again = await at.adapter.issue(
            at.issue(refund_id="rfd_twice", reference=at.reference("rfd_twice"), idempotency_key="forgotten")
        )
        gone = fact("re_gone" if kind == "card" else "0GONE000000000000", refund_id="rfd_gone", heard_at=AGO)
        times = {"first_issued_at": AGO, "issued_at": AGO, "settled_at": AGO}
        await insert_refund(observer, "rfd_gone", gone, provider=kind, **times)
        by_hand = await at.adapter.issue(
            at.issue(
                refund_id="not_ours", reference=at.reference("rfd_bounced"), idempotency_key="hand", amount_minor=5
            )
        )
        before = await money_rows(observer)
        report = await reconciled(database, at)
    assert sorted((one.kind, one.provider_refund_id, one.action) for one in report.differences) == [
        ("duplicate", again.provider_refund_id, "review"),
        ("missing_at_provider", gone.provider_refund_id, "review"),
        ("state_differs", bounced, "told"),
        ("unknown_refund", by_hand.provider_refund_id, "review"),
    ]
    words = {(one["type"], one["refund_id"]): one for one in await told(observer)}
    assert words["refund.result", "rfd_bounced"]["outcome"] == "declined"
    assert words["refund.result", "rfd_twice"]["provider_refund_id"] == again.provider_refund_id
    assert await money_rows(observer) == before
    assert msgspec.json.encode(report)
