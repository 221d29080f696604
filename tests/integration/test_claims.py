"""Before a provider is called its attempt is claimed: once, by one, and only while it is the attempt that counts."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from kit.builders import result, tender
from kit.clock import VirtualClock
from kit.database import set_clock, until_someone_waits
from kit.desk import Desk, messages_of, reasons_of, results_of
from kit.provider import PlayedProvider, pauses_of
from msgspec.structs import replace

from schemas.refunds import RefundIssue
from workers.adapter import Adapter
from workers.claims import claim
from workers.pipeline.emit import Emitter
from workers.refunds import Refunds
from workers.store.database import Database
from workers.telemetry import Metrics
from workers.wallet import Wallet

LEASE = timedelta(seconds=30)
STATES = ["pending", "succeeded", "declined", "retrying", "uncertain", "bounced", "redirected", "needs_review"]


class NoProducer:
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send_all(self, records: Any) -> None: ...


def adapter(process: str = "one", key_kept: timedelta | None = None) -> Adapter:
    clock = VirtualClock()
    emitter, provider = Emitter(NoProducer(), clock), PlayedProvider()
    pauses = pauses_of(provider, Database("postgresql://nobody@nowhere/none"), clock)
    return Adapter(
        provider,
        emitter,
        clock,
        Metrics(),
        pauses,
        process=process,
        concurrency=10,
        deadline_s=10,
        lease_s=30,
        key_kept=key_kept,
    )


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    database = Database(database_url, max_connections=20)
    yield Desk(database)
    await database.close()


async def words(desk: Desk, *commands: RefundIssue, process: str = "one") -> list[str]:
    async with desk.transaction() as connection:
        return [answer.word for answer in await claim(connection, commands, process, LEASE)]


async def move(observer: Any, state: str, attempt: int = 1) -> None:
    """Whatever led to it: the refund is in another state now."""
    await observer.execute(
        "UPDATE refunds SET state = $1, attempt = $2, revision = revision + 1, settled_at = now()", state, attempt
    )


async def claims(observer: Any) -> list[tuple[int, str]]:
    return [tuple(row) for row in await observer.fetch("SELECT attempt, claimed_by FROM refund_attempts ORDER BY 1, 2")]


async def test_of_two_copies_in_one_batch_one_is_claimed(desk: Desk, observer: Any) -> None:
    (command,) = await desk.cancel()
    assert await words(desk, command, command) == ["claimed", "stale"]
    assert await words(desk, command) == ["stale"]
    assert await claims(observer) == [(1, "one")]


async def test_of_many_processes_that_claim_at_once_one_gets_it(desk: Desk, observer: Any) -> None:
    (command,) = await desk.cancel()
    answers = await asyncio.gather(*(words(desk, command, process=f"process {number}") for number in range(10)))
    assert Counter(word for (word,) in answers) == {"claimed": 1, "stale": 9}
    assert len(await claims(observer)) == 1


async def test_batches_that_overlap_in_another_order_do_not_lock_each_other_out(desk: Desk) -> None:
    commands = [command for number in range(20) for command in await desk.cancel(f"ord_{number}")]
    answers = await asyncio.gather(*(words(desk, *(commands if turn % 2 else commands[::-1])) for turn in range(10)))
    assert Counter(word for answer in answers for word in answer) == {"claimed": 20, "stale": 180}


async def test_who_comes_second_waits_and_claims_only_what_the_first_gave_back(desk: Desk, observer: Any) -> None:
    (command,) = await desk.cancel()
    for given_back, expected in ((True, "claimed"), (False, "stale")):
        async with desk.transaction() as first:
            savepoint = first.transaction()
            await savepoint.start()
            await claim(first, [command], "first", LEASE)
            second = asyncio.create_task(words(desk, command, process="second"))
            await until_someone_waits(observer)
            await (savepoint.rollback() if given_back else savepoint.commit())
        assert await second == [expected]


async def test_a_copy_of_an_older_or_of_a_later_attempt_reaches_nobody(desk: Desk, observer: Any) -> None:
    (command,) = await desk.cancel()
    await move(observer, "requested", attempt=2)
    assert await words(desk, command, replace(command, attempt=3)) == ["stale", "stale"]
    assert await words(desk, replace(command, attempt=2)) == ["claimed"]


@pytest.mark.parametrize("state", STATES)
async def test_only_a_requested_refund_is_claimed(desk: Desk, observer: Any, state: str) -> None:
    (command,) = await desk.cancel()
    await move(observer, state)
    assert await words(desk, command) == ["stale"]
    assert await claims(observer) == []


async def test_a_claim_waits_for_a_decision_on_its_refund_and_comes_too_late(desk: Desk, observer: Any) -> None:
    (command,) = await desk.cancel()
    async with desk.transaction() as deciding:
        await move(deciding, "declined")
        claiming = asyncio.create_task(words(desk, command))
        await until_someone_waits(observer)
    assert await claiming == ["stale"]


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": "paypal"},
        {"reference": "pi_other"},
        {"amount_minor": 4501},
        {"currency": "USD"},
        {"idempotency_key": "another"},
        {"order_id": "ord_2"},
    ],
)
async def test_a_command_that_contradicts_its_refund_is_parked_and_claims_nothing(
    desk: Desk, observer: Any, changes: dict[str, Any]
) -> None:
    (command,) = await desk.cancel()
    (verdict,) = await desk.decide(adapter(), replace(command, **changes))
    assert reasons_of([verdict]) == ["contradicts_recorded"]
    assert verdict.effect is None
    assert await claims(observer) == []


@pytest.mark.parametrize("forged_first", [True, False])
async def test_beside_a_forged_copy_in_its_batch_the_true_command_alone_is_called(
    desk: Desk, forged_first: bool
) -> None:
    """Answers found by refund and attempt would be mixed up: the forged amount would go to the provider."""
    (command,) = await desk.cancel()
    forged = replace(command, amount_minor=450_000)
    batch = [forged, command] if forged_first else [command, forged]
    verdicts = await desk.decide(adapter(), *batch)
    called = [verdict.effect.command for verdict in verdicts if verdict.effect]
    assert called == [command]
    assert sorted(map(str, reasons_of(verdicts))) == ["None", "contradicts_recorded"]


async def test_a_command_for_a_refund_that_nobody_decided_is_parked(desk: Desk) -> None:
    (command,) = await desk.cancel()
    verdicts = await desk.decide(adapter(), replace(command, refund_id="rfd_unknown"), command)
    assert reasons_of(verdicts) == ["unknown_refund", None]
    assert [verdict.effect is not None for verdict in verdicts] == [False, True]


async def test_a_claim_says_who_took_it_and_until_when(desk: Desk, observer: Any) -> None:
    (command,) = await desk.cancel()
    await desk.decide(adapter("worker-7"), command)
    (row,) = await observer.fetch("SELECT * FROM refund_attempts")
    assert row["claimed_by"] == "worker-7"
    assert LEASE <= row["lease_until"] - row["claimed_at"] < LEASE + timedelta(seconds=1)


@pytest.mark.parametrize(("left_s", "called"), [(-1, False), (29, False), (31, True)])
async def test_what_the_provider_may_have_forgotten_before_the_lease_ends_is_uncertain_and_never_called(
    desk: Desk, observer: Any, left_s: int, called: bool
) -> None:
    """A key is kept from the first claim on, however long the command lay there before."""
    (command,) = await desk.cancel()
    await desk.decide(adapter(), command)
    retried = await desk.retry(command)
    kept = timedelta(hours=24)
    claimed_at = await observer.fetchval("SELECT claimed_at FROM refund_attempts")
    await set_clock(observer, claimed_at + kept - timedelta(seconds=left_s))
    verdicts = await desk.decide(adapter(key_kept=kept), retried)
    assert (verdicts[0].effect is not None) == called
    assert [(one.outcome, one.provider_code) for one in results_of(verdicts)] == (
        [] if called else [("uncertain", "key_retention_passed")]
    )
    assert len(await claims(observer)) == 1 + int(called)


async def test_a_command_that_lay_for_long_and_was_never_claimed_is_called(desk: Desk, observer: Any) -> None:
    (command,) = await desk.cancel()
    now = await observer.fetchval("SELECT annul_now()")
    await set_clock(observer, now + timedelta(days=3))
    (verdict,) = await desk.decide(adapter(key_kept=timedelta(hours=24)), command)
    assert verdict.effect is not None


@pytest.mark.parametrize(("is_open", "called"), [(True, False), (False, True)])
async def test_nothing_of_a_disputed_payment_is_refunded(
    desk: Desk, observer: Any, is_open: bool, called: bool
) -> None:
    (command,) = await desk.cancel()
    row = ("card", "dp_1", command.reference, "needs_response", is_open)
    await observer.execute("INSERT INTO disputes VALUES ($1, $2, $3, $4, $5, now())", *row)
    (verdict,) = await desk.decide(adapter(), command)
    assert (verdict.effect is not None) == called
    assert [(one.outcome, one.provider_code) for one in results_of([verdict])] == (
        [] if called else [("rejected", "disputed")]
    )
    assert len(await claims(observer)) == int(called)


async def test_a_dispute_that_opens_after_the_claim_makes_no_copy_speak_for_the_attempt(
    desk: Desk, observer: Any
) -> None:
    """The call is under way: a copy's refusal would count as its answer, and the gate would not wait for it."""
    (command,) = await desk.cancel()
    async with desk.transaction() as connection:
        (first,) = await claim(connection, [command], "one", LEASE)
        assert first.word == "claimed"
        await dispute(observer, command.reference)
        copy = asyncio.create_task(words(desk, command, process="two"))
        await until_someone_waits(observer)
    assert await copy == ["stale"]


async def dispute(observer: Any, reference: str) -> None:
    """The client's bank may take this payment back."""
    await observer.execute("INSERT INTO disputes VALUES ('card', 'dp_1', $1, 'needs_response', true, now())", reference)


@pytest.mark.parametrize("asked", [False, True])
async def test_the_wallet_is_not_credited_for_a_disputed_payment_unless_a_person_asked_for_it(
    desk: Desk, observer: Any, asked: bool
) -> None:
    (command,) = await desk.cancel()
    refunds = Refunds(desk.policy.refunds, random.Random(1))
    await desk.decide(adapter(), command)
    of = {"refund_id": command.refund_id}
    await desk.decide(refunds, result("declined", **of))
    number = await observer.fetchval("SELECT gate_look_up FROM refunds")
    opened = await desk.decide(refunds, result("not_found", via="look_up", look_up_no=number, **of))
    (issue,) = [one for one in messages_of(opened) if isinstance(one, RefundIssue)]
    await dispute(observer, command.reference)
    if asked:
        await observer.execute(
            """INSERT INTO manual_actions (action_id, refund_id, order_id, kind, revision, actor, reason, asked_at,
                                           needs_second, decided_at, outcome)
               VALUES ('act_1', $1, 'ord_1', 'redirect', 1, 'ann', 'weighed', now(), false, now(), 'applied')""",
            command.refund_id,
        )
    (told,) = results_of(await desk.decide(Wallet("one", LEASE), issue))
    assert (told.outcome, told.provider_code) == (("succeeded", None) if asked else ("rejected", "disputed"))
    (verdict,) = await desk.decide(refunds, told)
    assert verdict.fault is None
    state = await observer.fetchval("SELECT state FROM refunds WHERE provider = 'wallet'")
    assert state == ("succeeded" if asked else "needs_review")


async def test_a_wallet_is_credited_once_however_often_and_by_whomever_it_is_asked(desk: Desk, observer: Any) -> None:
    (command,) = await desk.cancel("ord_1", tender(provider="wallet", reference="wal_1"))
    wallets = [Wallet(f"wallet-{number}", LEASE) for number in range(5)]
    verdicts = await asyncio.gather(*(desk.decide(wallet, command, command) for wallet in wallets))
    assert [one.outcome for batch in verdicts for one in results_of(batch)] == ["succeeded"]
    credits_ = "SELECT sum(amount_minor) FROM ledger_transfers WHERE credit_account = 'wallet:cli_1'"
    assert await observer.fetchval(credits_) == 4500


async def test_a_wallet_batch_that_fails_leaves_neither_claim_nor_credit(desk: Desk, observer: Any) -> None:
    (command,) = await desk.cancel("ord_1", tender(provider="wallet", reference="wal_1"))
    with pytest.raises(ZeroDivisionError):
        async with desk.transaction() as connection:
            assert messages_of(await desk.decide_in(connection, Wallet("one", LEASE), command))
            raise ZeroDivisionError
    assert await claims(observer) == []
    assert results_of(await desk.decide(Wallet("two", LEASE), command))[0].outcome == "succeeded"
