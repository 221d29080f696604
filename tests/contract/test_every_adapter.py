"""One contract for every adapter, the wallet's too: a command moves money once, whatever happens on the way."""

import asyncio
import itertools
import random
from typing import Any

import pytest
from kit.provider_kit import SHORT_S
from kit.rig import ADAPTERS, LEASE, AdapterKind, rig
from msgspec.structs import replace

from schemas.refunds import RefundIssue, RefundLookUp
from workers.claims import claim
from workers.store.database import Database

PROVIDERS: tuple[AdapterKind, ...] = ("paypal", "card")


def look_up(command: Any, **changes: Any) -> RefundLookUp:
    """A look-up of a command's refund."""
    fields = {name: getattr(command, name) for name in command.__struct_fields__}
    return RefundLookUp(**{**fields, "look_up_no": 1, **changes})


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_a_command_is_carried_out_once_and_told(kind: AdapterKind, database: Database, observer: Any) -> None:
    async with rig(kind, database, observer) as at:
        command = await at.cancel()
        (told,) = await at.take(command)
        assert await at.paid() == [command.refund_id]
        assert (told.outcome, told.via, told.attempt) == ("succeeded", "call", 1)
        assert (told.refund_id, told.provider) == (command.refund_id, kind)
        assert told.provider_refund_id
        await at.decide(told)
        assert await at.state(command) == "succeeded"


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_copies_of_a_command_do_nothing(kind: AdapterKind, database: Database, observer: Any) -> None:
    async with rig(kind, database, observer) as at:
        command = await at.cancel()
        told = await at.take(command, command, command)
        assert len(told) == 1
        assert await at.take(command) == []
        await at.decide(*told, *told)
        assert await at.take(command) == []
        assert await at.paid() == [command.refund_id]


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_copies_taken_by_many_at_once_are_carried_out_once(
    kind: AdapterKind, database: Database, observer: Any
) -> None:
    async with rig(kind, database, observer) as at:
        command = await at.cancel()
        verdicts = await asyncio.gather(*(at.desk.decide(at.worker, command) for _ in range(3)))
        told = await at.performed([one for batch in verdicts for one in batch])
        assert len(told) == 1
        assert await at.paid() == [command.refund_id]


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_a_command_that_comes_too_late_reaches_nobody(
    kind: AdapterKind, database: Database, observer: Any
) -> None:
    """From a process that was thought dead, after the refund was declined, or redirected, or settled by a person."""
    async with rig(kind, database, observer) as at:
        for state in ("declined", "redirected", "needs_review", "succeeded", "bounced", "uncertain"):
            command = await at.cancel(name=state)
            await observer.execute(
                "UPDATE refunds SET state = $1, revision = 2, settled_at = now() WHERE refund_id = $2",
                state,
                command.refund_id,
            )
            assert await at.take(command) == []
        assert await at.paid() == []


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_a_command_that_nobody_decided_moves_nothing(
    kind: AdapterKind, database: Database, observer: Any
) -> None:
    async with rig(kind, database, observer) as at:
        command = await at.cancel()
        forged: list[dict[str, Any]] = [
            {"amount_minor": 4501},
            {"currency": "USD"},
            {"reference": "other"},
            {"order_id": "ord_2"},
            {"idempotency_key": "another"},
            {"attempt": 2},
            {"refund_id": "rf_nobody"},
        ]
        for changes in forged:
            assert await at.take(replace(command, **changes)) == []
        assert await at.paid() == []
        # The true one is not hindered by them, beside one in its batch neither.
        assert len(await at.take(replace(command, amount_minor=1), command)) == 1
        assert await at.paid() == [command.refund_id]


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_what_was_never_carried_out_is_not_found_and_may_be_sent_again(
    kind: AdapterKind, database: Database, observer: Any
) -> None:
    async with rig(kind, database, observer) as at:
        command = await at.cancel()
        (told,) = await at.take(look_up(command, look_up_no=7))
        assert (told.outcome, told.via, told.look_up_no) == ("not_found", "look_up", 7)
        assert await at.paid() == []


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_what_was_carried_out_is_found(kind: AdapterKind, database: Database, observer: Any) -> None:
    async with rig(kind, database, observer) as at:
        command = await at.cancel()
        (made,) = await at.take(command)
        known_id = made.provider_refund_id if kind == "paypal" else None
        (found,) = await at.take(look_up(command, provider_refund_id=known_id))
        assert (found.outcome, found.provider_refund_id) == ("succeeded", made.provider_refund_id)
        assert await at.paid() == [command.refund_id]


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_a_crash_before_the_claim_is_recorded_leaves_the_command_to_others(
    kind: AdapterKind, database: Database, observer: Any
) -> None:
    async with rig(kind, database, observer) as at:
        command = await at.cancel()
        await at.crash_in(command)
        assert await at.paid() == []
        assert await at.to_the_end(command, await at.take(command)) == "succeeded"
        assert await at.paid() == [command.refund_id]


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_a_crash_between_claim_and_call_is_looked_up_and_sent_again(
    kind: AdapterKind, database: Database, observer: Any
) -> None:
    async with rig(kind, database, observer) as at:
        command = await at.cancel()
        async with at.desk.transaction() as connection:
            (answer,) = await claim(connection, [command], "who dies", LEASE)
        assert answer.word == "claimed"
        assert await at.take(command) == []
        assert await at.to_the_end(command, []) == "succeeded"
        assert await at.paid() == [command.refund_id]


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_a_result_that_is_lost_is_looked_up(kind: AdapterKind, database: Database, observer: Any) -> None:
    """The worker dies after the effect, before it told anybody."""
    async with rig(kind, database, observer) as at:
        command = await at.cancel()
        lost = await at.take(command)
        assert [one.outcome for one in lost] == ["succeeded"]
        assert await at.to_the_end(command, []) == "succeeded"
        assert await at.paid() == [command.refund_id]
        # It comes after all.
        await at.decide(*lost)
        assert await at.state(command) == "succeeded"
        assert await at.paid() == [command.refund_id]


BEFORE = ["timeout_before", "drop_before", "http_503", "rate_limited"]
AFTER = ["timeout_after", "drop_after", "unreadable", "too_large", "http_500_after"]


@pytest.mark.parametrize("kind", PROVIDERS)
@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
async def test_an_answer_that_is_lost_before_or_after_the_effect_ends_with_one_refund(
    kind: AdapterKind, fault: str, database: Database, observer: Any
) -> None:
    async with rig(kind, database, observer, deadline_s=SHORT_S if fault.startswith("timeout") else 10.0) as at:
        command = await at.cancel(fault)
        (told,) = await at.take(command)
        assert told.outcome == ("retryable" if fault == "rate_limited" else "uncertain")
        assert await at.paid() == ([command.refund_id] if fault in AFTER else [])
        at.at.adapter._deadline_s = 10.0  # type: ignore[union-attr]
        assert await at.to_the_end(command, [told]) == "succeeded"
        assert await at.paid() == [command.refund_id]


@pytest.mark.parametrize(
    ("kind", "fault", "state"),
    [("card", "already_refunded_by_us", "succeeded"), ("paypal", "fully_refunded_by_us", "needs_review")],
)
async def test_already_refunded_is_a_success_only_on_proof_that_it_was_ours(
    kind: AdapterKind, fault: str, state: str, database: Database, observer: Any
) -> None:
    """Stripe's list shows our mark; PayPal's capture never says whose refund it saw."""
    async with rig(kind, database, observer) as at:
        command = await at.cancel(fault)
        (told,) = await at.take(command)
        assert told.outcome == "uncertain"
        assert await at.to_the_end(command, [told]) == state
        assert await at.paid() == [command.refund_id]


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_already_refunded_by_others_is_for_a_person(kind: AdapterKind, database: Database, observer: Any) -> None:
    async with rig(kind, database, observer) as at:
        command = await at.cancel("charge_already_refunded" if kind == "card" else "CAPTURE_FULLY_REFUNDED")
        assert await at.to_the_end(command, await at.take(command)) == "needs_review"
        assert await at.paid() == []


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_money_that_the_platform_lacks_is_waited_for(
    kind: AdapterKind, database: Database, observer: Any
) -> None:
    """Stripe stores the refusal: the same key would be refused for a day, so that a new one must follow."""
    async with rig(kind, database, observer) as at:
        fault = "insufficient_funds" if kind == "card" else "REFUND_FAILED_INSUFFICIENT_FUNDS"
        command = await at.cancel(fault)
        (told,) = await at.take(command)
        assert (told.outcome, told.retry_after_s) == ("retryable", 600)
        if kind == "paypal":
            assert await at.to_the_end(command, [told]) == "succeeded"
            assert await at.paid() == [command.refund_id]
            return
        assert await at.to_the_end(command, [told]) == "redirected"
        (renewed,) = at.followed
        assert isinstance(renewed, RefundIssue)
        assert (renewed.provider, renewed.reference) == (command.provider, command.reference)
        assert renewed.idempotency_key != command.idempotency_key
        assert await at.to_the_end(renewed, await at.take(renewed)) == "succeeded"
        assert await at.paid() == [renewed.refund_id]


LIVES = {
    "pending_succeeded": ("pending", "succeeded", "succeeded"),
    "pending_failed": ("pending", "failed", "failed"),
    "bounce": (None, "failed", "failed"),
}


@pytest.mark.parametrize("kind", PROVIDERS)
@pytest.mark.parametrize("life", sorted(LIVES))
async def test_webhooks_repeated_and_in_any_order_come_to_one_end(
    kind: AdapterKind, life: str, database: Database, observer: Any
) -> None:
    """Those that outrun the call's own answer too: what is known of a refund only moves forward."""
    begins, moved_to, standing = LIVES[life]
    chance = random.Random(5)
    ends = set()
    async with rig(kind, database, observer, settle_after_s=3600) as at:
        assert at.at is not None
        heard = at.at.overhear()
        for number in range(12):
            heard.clear()
            command = await at.cancel(begins, f"n{number}")
            (told,) = await at.take(command)
            at.at.book.move(str(told.provider_refund_id), moved_to, "lost_or_stolen_card")
            bodies = [body for body, _ in heard]
            assert len(bodies) >= 2
            deliveries: list[Any] = [*bodies, *bodies, told, told]
            if number == 0:
                deliveries = [told, *bodies]
            elif number == 1:
                deliveries = [*reversed(bodies), told, *bodies]
            else:
                chance.shuffle(deliveries)
            for one in deliveries:
                await at.decide(*(await at.heard(one) if isinstance(one, bytes) else [one]))
            facts = await observer.fetch(
                "SELECT provider_refund_id, standing FROM refund_facts WHERE refund_id = $1", command.refund_id
            )
            assert [tuple(row) for row in facts] == [(told.provider_refund_id, standing)]
            ends.add(await at.state(command))
        paid = await at.paid()
    if standing == "succeeded":
        assert ends == {"succeeded"}
        assert len(paid) == len(set(paid)) == 12
    else:
        # On its way to the client's wallet, and never shown as done.
        assert ends <= {"declined", "bounced", "redirected"}
        assert paid == []


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_a_payment_that_is_disputed_is_not_refunded_beside_it(
    kind: AdapterKind, database: Database, observer: Any
) -> None:
    """Refund and chargeback would debit the seller twice. The command that is under way finds the dispute recorded."""
    async with rig(kind, database, observer) as at:
        assert at.at is not None
        heard = at.at.overhear()
        command, other = await at.cancel(name="1"), await at.cancel(name="2")
        at.at.providers.webhooks.dispute(at.at.simulator.provider, command.reference)
        for body in [heard[0][0]] * 2:
            await at.heard(body)
        at.at.simulator.received.clear()
        (told,) = await at.take(command)
        assert (told.outcome, told.provider_code) == ("rejected", "disputed")
        assert not at.at.simulator.received
        await at.decide(told)
        assert await at.state(command) == "needs_review"
        assert await at.to_the_end(other, await at.take(other)) == "succeeded"
        assert await at.paid() == [other.refund_id]


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_orders_side_by_side_each_get_their_own_refund(
    kind: AdapterKind, database: Database, observer: Any
) -> None:
    async with rig(kind, database, observer) as at:
        faults = [None, "drop_after", "http_503", None, "unreadable"]
        commands = [await at.cancel(fault, f"n{number}") for number, fault in enumerate(faults)]
        told = await at.take(*itertools.chain(commands, commands))
        assert len(told) == len(commands)
        ends = [
            await at.to_the_end(command, [one for one in told if one.refund_id == command.refund_id])
            for command in commands
        ]
        assert ends == ["succeeded"] * len(commands)
        assert await at.paid() == sorted(command.refund_id for command in commands)
