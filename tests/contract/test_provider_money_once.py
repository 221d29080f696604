"""One key moves money once, whatever is lost on the way; and what happens when the key is forgotten."""

import asyncio

import pytest
from kit.provider_kit import KINDS, SHORT_S, Bench, Clock, Kind, bench

from workers.providers.port import Answer
from workers.providers.simulated import reference_for

LOST = ["timeout_before", "timeout_after", "drop_before", "drop_after", "unreadable", "http_503"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", LOST)
async def test_the_same_key_after_a_lost_answer_refunds_exactly_once(kind: Kind, fault: str) -> None:
    deadline_s = SHORT_S if fault.startswith("timeout") else 10.0
    async with bench(kind, deadline_s=deadline_s) as at:
        order = at.issue(reference=reference_for(fault, "t", times=1))
        lost = await at.adapter.issue(order)
        assert lost.outcome == "uncertain"
        assert len(at.book.effective()) == (0 if fault.endswith("before") or fault == "http_503" else 1)
        again = await _patiently(at, order)
        (entry,) = at.book.effective()
    assert (again.outcome, again.provider_refund_id) == ("succeeded", entry.id)
    assert (entry.refund_id, entry.amount, entry.currency) == ("rf_1", 4500, "EUR")
    assert entry.idempotency_key == order.idempotency_key


async def _patiently(at: Bench, order: object) -> Answer:
    at.adapter._deadline_s = 10.0  # type: ignore[attr-defined]
    return await at.adapter.issue(order)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refund_sent_twice_at_once_is_made_once(kind: Kind) -> None:
    async with bench(kind, latency_s=0.1) as at:
        # PayPal's token is fetched first, so that both calls are under way together.
        await at.adapter.look_up(at.look_up())
        answers = await asyncio.gather(at.adapter.issue(at.issue()), at.adapter.issue(at.issue()))
        third = await at.adapter.issue(at.issue())
        assert len(at.book.effective()) == 1
    assert sorted(answer.outcome for answer in answers) == ["retryable", "succeeded"]
    busy = next(answer for answer in answers if answer.outcome == "retryable")
    assert busy.code in ("idempotency_key_in_use", "PREVIOUS_REQUEST_IN_PROGRESS")
    assert third.outcome == "succeeded"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_is_replayed_under_the_same_key(kind: Kind) -> None:
    async with bench(kind) as at:
        first, second = [await at.adapter.issue(at.issue()) for _ in range(2)]
        assert len(at.book.everything()) == 1
    assert first.provider_refund_id == second.provider_refund_id
    assert first.outcome == second.outcome == "succeeded"


@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_key_with_another_amount_is_for_a_person(kind: Kind) -> None:
    async with bench(kind) as at:
        await at.adapter.issue(at.issue())
        answer = await at.adapter.issue(at.issue(amount_minor=4400))
        assert len(at.book.everything()) == 1
    assert answer.outcome == "rejected"
    assert answer.code in ("idempotency_error", "DUPLICATE_REQUEST_ID")


@pytest.mark.parametrize(("kind", "kept_s"), [("card", 24 * 3600), ("paypal", 45 * 24 * 3600)])
async def test_a_forgotten_key_executes_anew(kind: Kind, kept_s: int) -> None:
    """Why a look-up must come before the same key is sent again so late: the provider pays a second time."""
    clock = Clock()
    async with bench(kind, clock=clock) as at:
        first = await at.adapter.issue(at.issue())
        clock.now += kept_s - 1
        kept = await at.adapter.issue(at.issue())
        clock.now += 1
        anew = await at.adapter.issue(at.issue())
        assert len(at.book.effective()) == 2
        looked_up = await at.adapter.look_up(at.look_up())
    assert kept.provider_refund_id == first.provider_refund_id != anew.provider_refund_id
    if kind == "card":
        assert (looked_up.outcome, looked_up.code) == ("succeeded", "duplicate_refunds")
        assert looked_up.detail is not None
        assert str(first.provider_refund_id) in looked_up.detail
        assert str(anew.provider_refund_id) in looked_up.detail


@pytest.mark.parametrize("kind", KINDS)
async def test_a_capture_refunded_by_others_must_be_looked_up_first(kind: Kind) -> None:
    async with bench(kind) as at:
        provider = at.simulator.provider
        at.book.register(provider, at.reference("1"), at.book.captured(provider, "?").__class__(4500, "EUR"))
        await at.adapter.issue(at.issue(refund_id="rf_other", idempotency_key="other"))
        at.book.effective()[0].sent.clear()  # by hand, in the provider's dashboard: it names no refund of ours
        answer = await at.adapter.issue(at.issue())
        looked_up = await at.adapter.look_up(at.look_up())
        assert len(at.book.effective()) == 1
    assert answer.outcome == "uncertain"
    assert answer.code in ("charge_already_refunded", "CAPTURE_FULLY_REFUNDED")
    # Nothing of ours: but for PayPal that is no proof, and the code says so.
    assert (looked_up.outcome, looked_up.code) == (
        "not_found",
        "other_refunds" if kind == "card" else "CAPTURE_REFUNDED",
    )


async def test_stripe_replays_a_stored_500_and_a_look_up_finds_the_refund() -> None:
    """Sending the same key again can never tell; only the look-up can."""
    async with bench("card") as at:
        order = at.issue(reference=reference_for("http_500_after", "t", times=1))
        answers = [await at.adapter.issue(order) for _ in range(3)]
        looked_up = await at.adapter.look_up(at.look_up(reference=order.reference))
        (entry,) = at.book.effective()
    assert {answer.outcome for answer in answers} == {"uncertain"}
    assert "replayed" in str(answers[-1].detail)
    assert (looked_up.outcome, looked_up.provider_refund_id) == ("succeeded", entry.id)


async def test_stripe_replays_a_stored_refusal_even_when_its_cause_is_gone() -> None:
    async with bench("card") as at:
        order = at.issue(reference=reference_for("insufficient_funds", "t", times=1))
        first, second = [await at.adapter.issue(order) for _ in range(2)]
        fresh = await at.adapter.issue(at.issue(reference=order.reference, idempotency_key="annul:rf_1:2"))
    assert first.outcome == second.outcome == "retryable"
    assert "replayed" not in str(first.detail)
    assert "replayed" in str(second.detail)
    assert fresh.outcome == "succeeded"


async def test_paypal_carries_a_refused_request_out_once_its_cause_is_gone() -> None:
    async with bench("paypal") as at:
        order = at.issue(reference=reference_for("REFUND_FAILED_INSUFFICIENT_FUNDS", "t", times=1, prefix=""))
        first, second = [await at.adapter.issue(order) for _ in range(2)]
    assert (first.outcome, first.retry_after_s) == ("retryable", 600)
    assert second.outcome == "succeeded"


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_faults_strike_each_refund_is_made_once(kind: Kind) -> None:
    """Every second call goes wrong somehow; the same key is sent until the provider says that it is done."""
    async with bench(kind, deadline_s=SHORT_S, fault_rate=0.5, slow_s=0.0) as at:

        async def until_done(number: int) -> Answer:
            reference = at.reference(f"R{number}")
            order = at.issue(refund_id=f"rf_{number}", idempotency_key=f"k{number}", reference=reference)
            for _ in range(40):
                answer = await at.adapter.issue(order)
                if answer.outcome == "succeeded":
                    return answer
                assert answer.outcome in ("uncertain", "retryable")
            pytest.fail("never done")

        answers = await asyncio.gather(*(until_done(number) for number in range(40)))
        made = at.book.effective()
    assert sorted(entry.id for entry in made) == sorted(str(answer.provider_refund_id) for answer in answers)
    assert len({entry.refund_id for entry in made}) == len(made) == 40
