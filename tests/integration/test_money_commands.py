"""`annul refund`, `annul ledger`, `annul audit` as a person calls them: what is printed where, and the exit codes."""

import asyncio
import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from kit.builders import tender
from kit.command import Annul, console_script
from kit.feed import break_rows
from kit.population import cancellation
from kit.reviewing import Review

Printed = pytest.CaptureFixture[str]
DISPUTE = "INSERT INTO disputes VALUES ('card', 'dp_1', 'pi_one', 'needs_response', true, now())"
REASON = ("--reason", "Jane asked for it", "--wait", "0")


@pytest.fixture
def annul(review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Annul:
    return console_script(monkeypatch, tmp_path, review.url)


async def told_by(annul: Annul, capsys: Printed, *arguments: str, code: int = 0) -> Any:
    """The JSON that a command prints."""
    capsys.readouterr()
    assert await annul(*arguments, "--json") == code
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    return json.loads(printed)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("refund show RFD", 0),
        ("refund show rfd_none", 1),
        ("refund redirect RFD", 2),
        ("refund redirect RFD --reason", 2),
        ("refund redirect RFD --dry-run", 0),
        ("refund redirect rfd_none --dry-run", 1),
        ("refund mark-settled RFD --dry-run --evidence x", 1),
        ("refund redirect RFD --reason why --wait 0", 0),
        ("refund redirect RFD --reason why --revision 1", 1),
        ("refund redirect RFD --reason why --revision 0", 2),
        (f"refund redirect RFD --reason {'x' * 501}", 2),
        (f"refund redirect RFD --dry-run --evidence {'x' * 1001}", 2),
        (f"refund redirect RFD --reason why --by {'x' * 129}", 2),
        ("refund redirect rfd_none --reason why", 1),
        ("refund mark-settled RFD --reason why --evidence x", 1),
        ("refund look-up RFD --reason why --wait 0", 0),
        ("refund approve act_none", 1),
        ("refund approve act_none --dry-run", 1),
        ("refund reject act_none", 2),
        ("refund reject act_none --reason why", 1),
        ("refund list", 0),
        ("refund list --code other --state succeeded", 0),
        ("refund list --state lost", 2),
        ("refund list --limit 0", 2),
        ("disputes list", 0),
        ("disputes list --open --limit 5", 0),
        ("disputes close dp_1 --reason won", 0),
        ("disputes close dp_1", 2),
        (f"disputes close dp_1 --reason {'x' * 501}", 2),
        ("disputes close dp_none --reason won", 1),
        ("refund actions", 0),
        ("refund actions --open --refund RFD", 0),
        ("audit list", 0),
        ("audit list --limit 0", 2),
        ("ledger ord_one", 0),
        ("ledger ord_none", 1),
        ("ledger --trial", 0),
        ("ledger", 2),
        ("ledger ord_one --trial", 2),
    ],
)
async def test_exit_codes(annul: Annul, review: Review, capsys: Printed, arguments: str, code: int) -> None:
    await break_rows(review.url, DISPUTE)
    assert await annul(*arguments.replace("RFD", review.refund_id).split()) == code
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert bool(printed.err) == (code != 0)
    assert printed.out or code


async def test_without_a_reason_nothing_is_asked_for(annul: Annul, review: Review, capsys: Printed) -> None:
    for reason in ((), ("--reason", "  ")):
        assert await annul("refund", "redirect", review.refund_id, *reason) == 2
        assert capsys.readouterr().err == "annul: --reason is mandatory: say why, for those who look at it later\n"
    assert await review.rows("SELECT * FROM manual_actions WHERE true") == []


async def test_a_dry_run_shows_ledger_and_provider_and_asks_for_nothing(
    annul: Annul, review: Review, capsys: Printed
) -> None:
    assert await annul("refund", "redirect", review.refund_id, "--dry-run") == 0
    printed = capsys.readouterr().out
    for part in (
        "45.00 EUR from refunding:card to refunding:wallet",
        "refund.look_up",
        "wal_cli_one",
        "order.refunded",
    ):
        assert part in printed
    told = await told_by(annul, capsys, "refund", "redirect", review.refund_id, "--dry-run")
    assert [line["kind"] for stage in told["stages"] for line in stage["ledger"]] == [
        "refund_redirected",
        "refund_settled",
    ]
    assert await review.rows("SELECT * FROM manual_actions WHERE true") == []


async def test_the_worker_decides_while_the_command_waits(annul: Annul, review: Review, capsys: Printed) -> None:
    command = asyncio.create_task(
        annul("refund", "settle", review.refund_id, "--reason", "by transfer", "--by", "ann", "--wait", "60")
    )
    while not command.done():
        await review.feed.fire()
    assert command.result() == 0
    assert "was carried out." in capsys.readouterr().out
    told = await told_by(annul, capsys, "refund", "show", review.refund_id)
    assert (told["refund"]["gate"], told["actions"][0]["actor"]) == ("frozen", "ann")
    possible = {one["kind"]: one["refused"] for one in told["possible"]}
    assert possible["mark_settled"] is None
    assert possible["redirect"] == "gate_open"


async def test_what_the_worker_refuses_ends_with_one(annul: Annul, review: Review, capsys: Printed) -> None:
    told = await told_by(annul, capsys, "refund", "settle", review.refund_id, *REASON)
    assert told["standing"] == "scheduled"
    await review.flag("disputed")
    command = asyncio.create_task(annul("refund", "redirect", review.refund_id, "--reason", "why", "--wait", "60"))
    while not await review.rows("SELECT * FROM manual_actions WHERE kind = 'redirect'"):
        assert not command.done()
    await review.flag("capture_reversed")
    while not command.done():
        await review.feed.fire()
    assert command.result() == 1
    assert "was refused (refund_moved)" in capsys.readouterr().err


async def test_above_the_amount_a_second_person_is_asked_for(
    annul: Annul, review: Review, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNUL_APPROVAL_ABOVE", "44")
    told = await told_by(annul, capsys, "refund", "redirect", review.refund_id, *REASON, "--by", "ann")
    assert told["standing"] == "waits_for_approval"
    action_id = told["action"]["action_id"]
    assert await annul("refund", "approve", action_id, "--by", "Ann ") == 1
    assert "a second person must" in capsys.readouterr().err
    assert await annul("refund", "approve", action_id, "--dry-run") == 0
    assert "refund_redirected" in capsys.readouterr().out
    assert await annul("refund", "approve", action_id, "--by", "bob", "--wait", "0") == 0
    await review.feed.fire()
    assert await annul("refund", "reject", action_id, "--by", "bob", "--reason", "no") == 1
    told = await told_by(annul, capsys, "refund", "actions")
    assert (told["actions"][0]["outcome"], told["actions"][0]["approved_by"]) == ("applied", "bob")
    assert (await told_by(annul, capsys, "refund", "actions", "--open"))["actions"] == []
    told = await told_by(annul, capsys, "audit", "list", "--subject", action_id)
    assert [one["what"] for one in told["entries"]] == ["action.applied", "action.approved", "action.asked"]
    assert await annul("audit", "list") == 0
    assert "action.approved" in capsys.readouterr().out


async def test_a_rejected_action_is_told(annul: Annul, review: Review, capsys: Printed) -> None:
    told = await told_by(annul, capsys, "refund", "redirect", review.refund_id, *REASON)
    action_id = told["action"]["action_id"]
    told = await told_by(annul, capsys, "refund", "reject", action_id, "--reason", "no")
    assert (told["standing"], told["action"]["detail"]) == ("rejected", "no")


async def test_who_asks_is_the_systems_user_unless_told(
    annul: Annul, review: Review, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await told_by(annul, capsys, "refund", "look-up", review.refund_id, *REASON)
    assert told["action"]["actor"] == getpass.getuser()

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1001")

    monkeypatch.setattr(getpass, "getuser", nobody)
    told = await told_by(annul, capsys, "refund", "redirect", review.refund_id, *REASON)
    assert told["action"]["actor"] == "unknown"


async def test_reasons_and_evidence_stay_in_the_database(annul: Annul, review: Review, capsys: Printed) -> None:
    await annul("refund", "settle", review.refund_id, *REASON)
    await review.feed.fire()
    await annul("refund", "mark-settled", review.refund_id, *REASON, "--evidence", "Jane's receipt 5")
    await review.feed.fire()
    assert (await review.refund())["state"] == "settled_elsewhere"
    assert all(b"Jane" not in (message.value or b"") for message in review.feed.sent)
    assert "Jane" not in capsys.readouterr().err


async def test_the_books_are_printed(annul: Annul, review: Review, capsys: Printed) -> None:
    assert await annul("ledger", "ord_one") == 0
    printed = capsys.readouterr().out
    assert "45.00 EUR" in printed
    assert "It balances." in printed
    told = await told_by(annul, capsys, "ledger", "ord_one")
    assert [(one["from"], one["to"], one["escrow_minor"]) for one in told["lines"]] == [
        ("provider:card", "escrow:ord_one", 4500),
        ("escrow:ord_one", "refunding:card", 0),
    ]
    told = await told_by(annul, capsys, "ledger", "--trial")
    assert (told["balanced"], told["sums_minor"]) == (True, {"EUR": 0})
    await break_rows(review.url, "DELETE FROM ledger_transfers WHERE kind = 'captured'")
    for arguments in (("ledger", "ord_one"), ("ledger", "--trial")):
        told = await told_by(annul, capsys, *arguments, code=1)
        assert told["balanced"] is False
        assert await annul(*arguments) == 1
        printed_now = capsys.readouterr()
        assert "It does not balance." in printed_now.out
        assert printed_now.err.startswith("annul: ")


async def test_a_tampered_chain_ends_verify_with_one(annul: Annul, review: Review, capsys: Printed) -> None:
    await review.act("look_up")
    await break_rows(review.url, "UPDATE audit_entries SET actor = 'eve' WHERE seq = 1")
    told = await told_by(annul, capsys, "verify", code=1)
    assert {one["invariant"] for one in told["violations"]} == {"I10"}


async def test_refunds_in_review_are_listed_the_oldest_first(annul: Annul, review: Review, capsys: Printed) -> None:
    first = review.refund_id
    await review.feed.take(cancellation("two", tender(reference="pi_two", captured_minor=500), currency="JPY"))
    told = await told_by(annul, capsys, "refund", "list")
    assert [one["order_id"] for one in told["refunds"]] == ["ord_one", "ord_two"]
    oldest = told["refunds"][0]
    assert (oldest["refund_id"], oldest["provider"], oldest["code"]) == (first, "card", "charge_disputed")
    assert (oldest["amount_minor"], oldest["currency"]) == (4500, "EUR")
    assert oldest["since"] <= told["refunds"][1]["since"]
    assert len((await told_by(annul, capsys, "refund", "list", "--limit", "1"))["refunds"]) == 1
    assert (await told_by(annul, capsys, "refund", "list", "--code", "disputed"))["refunds"] == []
    assert (await told_by(annul, capsys, "refund", "list", "--state", "succeeded"))["refunds"] == []
    assert await annul("refund", "list", "--code", "charge_disputed") == 0
    printed = capsys.readouterr().out
    for part in (first, "ord_two", "45.00 EUR", "500 JPY", "charge_disputed"):
        assert part in printed


async def test_a_dispute_is_shown_with_the_refund_and_closed(annul: Annul, review: Review, capsys: Printed) -> None:
    await break_rows(review.url, DISPUTE)
    assert await annul("refund", "show", review.refund_id) == 0
    assert "dp_1" in capsys.readouterr().out
    assert await annul("disputes", "list") == 0
    assert review.refund_id in capsys.readouterr().out
    told = await told_by(annul, capsys, "disputes", "close", "dp_1", "--reason", "Jane won", "--by", "ann")
    assert [(one["reference"], one["status"]) for one in told["closed"]] == [("pi_one", "closed_by_hand")]
    assert (await told_by(annul, capsys, "disputes", "list", "--open"))["disputes"] == []
    told = await told_by(annul, capsys, "audit", "list", "--subject", "dp_1")
    assert [(one["what"], one["actor"]) for one in told["entries"]] == [("dispute.closed", "ann")]
    assert await annul("disputes", "close", "dp_1", "--reason", "again") == 1
    assert capsys.readouterr().err == "annul: dispute dp_1: it is closed already\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "refund show ID",
        "refund redirect ID --dry-run",
        "refund approve ID",
        "disputes close ID --reason won",
        "order ID",
        "ledger ID",
        "parked show ID",
        "sellers show ID",
    ],
)
async def test_a_name_that_nobody_has_is_not_repeated_at_length(annul: Annul, capsys: Printed, arguments: str) -> None:
    assert await annul(*("x" * 100_000 if word == "ID" else word for word in arguments.split())) == 1
    printed = capsys.readouterr()
    assert "x" * 64 + "'…" in printed.err
    assert len(printed.out + printed.err) < 300


@pytest.mark.parametrize("arguments", ["refund list", "refund show x", "disputes list", "ledger --trial", "verify"])
async def test_what_is_away_is_named(
    annul: Annul, capsys: Printed, monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    for url, why in (
        ("postgresql://annul@127.0.0.1:1/annul", "[Errno 111]"),
        ("postgresql://annul@nowhere.invalid/annul", "[Errno -"),
        ("postgresql:///annul?host=/nonexistent", "[Errno 2]"),
    ):
        monkeypatch.setenv("ANNUL_DATABASE_URL", url)
        assert await annul(*arguments.split()) == 3
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"annul: PostgreSQL can't be reached: {why}")


async def test_kafka_that_is_away_is_named(annul: Annul, capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNUL_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    for arguments in (("verify", "--topics"), ("topics",)):
        assert await annul(*arguments) == 3
        assert capsys.readouterr().err.startswith("annul: Kafka can't be reached: ")
