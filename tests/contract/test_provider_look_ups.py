"""What a look-up finds: by the refund's id, by its mark, or not at all."""

import pytest
from kit.provider_kit import KINDS, Kind, bench

from workers.providers.simulated import reference_for
from workers.providers.simulated.book import Captured
from workers.providers.simulated.wire import Reply, Request, json_reply


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refund_is_found_by_its_id(kind: Kind) -> None:
    async with bench(kind) as at:
        made = await at.adapter.issue(at.issue())
        found = await at.adapter.look_up(at.look_up(provider_refund_id=made.provider_refund_id))
    assert (found.outcome, found.provider_refund_id) == ("succeeded", made.provider_refund_id)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_id_that_the_provider_doesn_t_know_is_not_found(kind: Kind) -> None:
    async with bench(kind) as at:
        found = await at.adapter.look_up(at.look_up(provider_refund_id="re_nobody"))
    assert found.outcome == "not_found"
    assert found.code == ("resource_missing" if kind == "card" else "INVALID_RESOURCE_ID")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_payment_without_refunds_has_none(kind: Kind) -> None:
    async with bench(kind) as at:
        found = await at.adapter.look_up(at.look_up())
    assert (found.outcome, found.code, found.provider_refund_id) == ("not_found", None, None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "before", "after"),
    [
        ("pending", "pending", "succeeded"),
        ("pending_failed", "pending", "declined"),
        ("bounce", "succeeded", "declined"),
    ],
)
async def test_a_look_up_sees_a_refund_move(kind: Kind, fault: str, before: str, after: str) -> None:
    async with bench(kind, settle_after_s=3600) as at:
        reference = reference_for(fault, "t")
        made = await at.adapter.issue(at.issue(reference=reference))
        ask = at.look_up(reference=reference, provider_refund_id=made.provider_refund_id)
        first = await at.adapter.look_up(ask)
        assert made.provider_refund_id is not None
        at.book.move(made.provider_refund_id, "succeeded" if after == "succeeded" else "failed", "declined")
        second = await at.adapter.look_up(ask)
        assert len(at.book.effective()) == (1 if after == "succeeded" else 0)
    assert made.outcome == first.outcome == before
    assert second.outcome == after
    assert second.provider_refund_id == made.provider_refund_id


@pytest.mark.parametrize("reference", ["pi_1", "ch_1", "py_1", "src_1"])
async def test_a_card_refund_is_found_by_its_mark_beside_others(reference: str) -> None:
    async with bench("card") as at:
        for number in range(3):
            await at.adapter.issue(
                at.issue(reference=reference, refund_id=f"rf_{number}", idempotency_key=f"k{number}")
            )
        found = await at.adapter.look_up(at.look_up(reference=reference, refund_id="rf_1"))
        ours = next(entry for entry in at.book.effective() if entry.refund_id == "rf_1")
        missing = await at.adapter.look_up(at.look_up(reference=reference, refund_id="rf_9"))
    assert (found.outcome, found.provider_refund_id) == ("succeeded", ours.id)
    # Each of those is another refund of ours, and so none of this one: a payment may be of several tenders.
    assert (missing.outcome, missing.code) == ("not_found", None)


async def test_a_card_refund_that_names_no_refund_of_ours_may_be_the_one_that_is_looked_for() -> None:
    async with bench("card") as at:
        await at.adapter.issue(at.issue(reference="pi_1", refund_id="rf_1", idempotency_key="k1"))
        at.book.effective()[0].sent.clear()
        missing = await at.adapter.look_up(at.look_up(reference="pi_1", refund_id="rf_9"))
    assert (missing.outcome, missing.code) == ("not_found", "other_refunds")


async def test_a_card_refund_is_found_on_the_third_page() -> None:
    async with bench("card") as at:
        await at.adapter.issue(at.issue(amount_minor=1))
        for number in range(201):
            await at.adapter.issue(at.issue(refund_id=f"other_{number}", idempotency_key=f"k{number}", amount_minor=1))
        at.simulator.received.clear()
        found = await at.adapter.look_up(at.look_up())
        pages = [dict(request.query) for request in at.simulator.received]
    assert found.outcome == "succeeded"
    assert [page.get("payment_intent") for page in pages] == ["pi_1"] * 3
    assert [page.get("limit") for page in pages] == ["100"] * 3
    assert pages[0].get("starting_after") is None
    assert len({page.get("starting_after") for page in pages}) == 3


async def test_a_card_refund_that_moved_money_counts_before_one_that_failed() -> None:
    async with bench("card") as at:
        reference = reference_for("failed_declined", "t", times=1)
        failed = await at.adapter.issue(at.issue(reference=reference))
        only_failed = await at.adapter.look_up(at.look_up(reference=reference))
        paid = await at.adapter.issue(at.issue(reference=reference, idempotency_key="second"))
        found = await at.adapter.look_up(at.look_up(reference=reference))
    assert (only_failed.outcome, only_failed.provider_refund_id) == ("declined", failed.provider_refund_id)
    assert (found.outcome, found.provider_refund_id) == ("succeeded", paid.provider_refund_id)
    assert found.code is None


@pytest.mark.parametrize(("captured", "code"), [(10_000, "CAPTURE_PARTIALLY_REFUNDED"), (4500, "CAPTURE_REFUNDED")])
async def test_a_paypal_capture_tells_no_more_than_that_it_was_refunded(captured: int, code: str) -> None:
    async with bench("paypal") as at:
        at.book.register("paypal", at.reference("1"), Captured(captured, "EUR"))
        await at.adapter.issue(at.issue())
        found = await at.adapter.look_up(at.look_up())
    assert (found.outcome, found.code, found.provider_refund_id) == ("not_found", code, None)


@pytest.mark.parametrize("data", [[], [{"id": "re_1", "metadata": {}}]])
async def test_a_list_without_an_end_proves_no_absence(data: list[object]) -> None:
    async with bench("card") as at:

        async def endless(request: Request) -> Reply:
            return json_reply(200, {"data": data, "has_more": True})

        at.simulator.route = endless  # type: ignore[method-assign]
        found = await at.adapter.look_up(at.look_up())
        assert len(at.simulator.received) <= 20
    assert found.outcome == "uncertain"
    assert found.code == ("list_too_long" if data else "unreadable")


async def test_refund_ids_of_look_ups_are_escaped_in_the_path() -> None:
    async with bench("paypal") as at:
        await at.adapter.look_up(at.look_up(provider_refund_id="a:b"))
        assert at.simulator.received[-1].path == "/v2/payments/refunds/a:b"
