"""A provider's own list of refunds: whole, exact, in our words, or not at all."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from kit.provider_kit import KINDS, Bench, Kind, bench, post

from workers.providers import paypal_list
from workers.providers.port import ListedRefund, ListFailed
from workers.providers.simulated.wire import Reply, Request, json_reply

DAY = timedelta(days=1)


def _now(at: Bench) -> datetime:
    return datetime.fromtimestamp(at.clock.now, UTC)


async def _listed(at: Bench, since: datetime | None = None, until: datetime | None = None) -> dict[str, ListedRefund]:
    now = _now(at)
    listed = [one async for one in at.adapter.list_refunds(since or now - DAY, until or now + timedelta(seconds=1))]
    assert len({one.provider_refund_id for one in listed}) == len(listed)
    return {one.provider_refund_id: one for one in listed}


def _answer_with(at: Bench, answer: Callable[[Request], Awaitable[Reply]]) -> None:
    """Whatever the list is asked, it says this."""
    real = at.simulator.route

    async def route(request: Request) -> Reply:
        listing = request.path in ("/v1/refunds", "/v1/reporting/transactions")
        return await answer(request) if listing else await real(request)

    at.simulator.route = route  # type: ignore[method-assign]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_we_refunded_is_listed_as_we_know_it(kind: Kind) -> None:
    async with bench(kind) as at:
        made = await at.adapter.issue(at.issue())
        listed = await _listed(at)
        now = _now(at)
    assert list(listed.values()) == [
        ListedRefund(
            provider_refund_id=str(made.provider_refund_id),
            reference=at.reference("1"),
            refund_id="rf_1",
            standing="succeeded",
            amount_minor=4500,
            currency="EUR",
            made_at=now,
        )
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "standing"),
    [("succeeded", "succeeded"), ("pending", "pending"), ("failed", "failed"), ("canceled", "failed")],
)
async def test_every_refund_is_listed_however_it_stands(kind: Kind, status: str, standing: str) -> None:
    async with bench(kind) as at:
        made = await at.adapter.issue(at.issue())
        at.book.move(str(made.provider_refund_id), status)
        (one,) = (await _listed(at)).values()
    assert one.standing == standing


@pytest.mark.parametrize("kind", KINDS)
async def test_refunds_that_are_not_ours_are_listed_without_our_mark(kind: Kind) -> None:
    async with bench(kind) as at:
        made = await at.adapter.issue(at.issue())
        entry = at.book.get(at.simulator.provider, str(made.provider_refund_id))
        assert entry is not None
        entry.sent = {"custom_id": "Mrs O'Neill, room 7"} if kind == "paypal" else {"refund_id": "../etc"}
        (one,) = (await _listed(at)).values()
    assert one.refund_id is None
    assert one.reference == at.reference("1")


@pytest.mark.parametrize("reference", ["pi_1", "ch_1"])
async def test_a_card_refund_is_listed_by_the_name_that_its_payment_has(reference: str) -> None:
    async with bench("card") as at:
        await at.adapter.issue(at.issue(reference=reference))
        (one,) = (await _listed(at)).values()
    assert one.reference == reference


@pytest.mark.parametrize(
    ("kind", "currency", "amount_minor"),
    [
        *(("card", currency, 12_300) for currency in ("EUR", "JPY", "KWD", "ISK", "UGX", "HUF", "TWD", "MGA")),
        *(("paypal", currency, 12_300) for currency in ("EUR", "JPY", "HUF", "TWD")),
    ],
)
async def test_amounts_are_listed_as_they_were_asked_for(kind: Kind, currency: str, amount_minor: int) -> None:
    """The hard-coded hundred that turned 5,800 yen into 58 strikes on the way back too."""
    async with bench(kind) as at:
        # Stripe's request names no currency: it is that of the payment.
        at.book.register(
            at.simulator.provider,
            at.reference("1"),
            msgspec.structs.replace(at.book.captured(at.simulator.provider, "?"), currency=currency),
        )
        await at.adapter.issue(at.issue(currency=currency, amount_minor=amount_minor))
        (one,) = (await _listed(at)).values()
    assert (one.amount_minor, one.currency) == (amount_minor, currency)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_holds_what_was_made_in_its_period_and_nothing_else(kind: Kind) -> None:
    async with bench(kind) as at:
        ids = []
        for number in range(3):
            answer = await at.adapter.issue(at.issue(refund_id=f"rf_{number}", idempotency_key=f"k{number}"))
            ids.append(str(answer.provider_refund_id))
            at.clock.now += 3600
        now = _now(at)
        hour = timedelta(hours=1)
        middle = await _listed(at, now - 2.5 * hour, now - 1.5 * hour)
        nothing = await _listed(at, now - 9 * hour, now - 8 * hour)
    assert set(middle) == {ids[1]}
    assert nothing == {}


async def test_a_period_holds_its_beginning_and_not_its_end() -> None:
    """So that periods one after the other hold everything once."""
    async with bench("card") as at:
        await at.adapter.issue(at.issue())
        now, second = _now(at), timedelta(seconds=1)
        assert len(await _listed(at, now, now + second)) == 1
        assert len(await _listed(at, now - second, now)) == 0
        # Where a border lies within a second, that second is in the list.
        half = second / 2
        assert len(await _listed(at, now + half, now + second)) == 1
        assert len(await _listed(at, now - second, now + half)) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_long_list_is_read_page_by_page_to_its_end(kind: Kind) -> None:
    async with bench(kind) as at:
        for number in range(411):
            order = at.issue(refund_id=f"rf_{number}", idempotency_key=f"k{number}", amount_minor=1 + number)
            await at.adapter.issue(order)
        at.simulator.received.clear()
        listed = await _listed(at)
        asked = [dict(request.query) for request in at.simulator.received]
    assert Counter(one.refund_id for one in listed.values()) == {f"rf_{number}": 1 for number in range(411)}
    assert len(asked) == (5 if kind == "card" else 3)


async def test_paypal_is_asked_for_no_more_than_31_days_at_once() -> None:
    async with bench("paypal") as at:
        begin = _now(at)
        ids = set()
        for number in range(10):
            answer = await at.adapter.issue(at.issue(refund_id=f"rf_{number}", idempotency_key=f"k{number}"))
            ids.add(str(answer.provider_refund_id))
            at.clock.now += 10 * 86_400
        at.simulator.received.clear()
        listed = await _listed(at, begin, begin + 100 * DAY)
        reports = [dict(request.query) for request in at.simulator.received if "reporting" in request.path]
    assert set(listed) == ids
    assert len(reports) == 4
    assert reports[0]["end_date"] == reports[1]["start_date"]


async def test_a_refund_on_the_border_of_two_periods_is_listed_once() -> None:
    async with bench("paypal") as at:
        begin = _now(at)
        at.clock.now += 25 * 86_400
        await at.adapter.issue(at.issue())
        assert len(await _listed(at, begin, begin + 50 * DAY)) == 1


async def test_a_period_with_more_than_paypal_gives_at_once_is_halved() -> None:
    async with bench("paypal") as at:
        begin = _now(at)
        asked: list[tuple[str, str]] = []

        async def crowded(request: Request) -> Reply:
            query = dict(request.query)
            asked.append((query["start_date"], query["end_date"]))
            since, until = (datetime.fromisoformat(text) for text in asked[-1])
            if until - since > timedelta(hours=6):
                return json_reply(400, {"name": "RESULTSET_TOO_LARGE", "message": "Too large."})
            info = _transaction(since.strftime("T%H"), since)
            return json_reply(200, {"transaction_details": [info], "total_items": 1, "total_pages": 1})

        _answer_with(at, crowded)
        listed = await _listed(at, begin, begin + DAY)
    assert len(listed) == 4
    assert len(asked) == 7


async def test_what_never_fits_into_one_answer_fails_the_list() -> None:
    async with bench("paypal") as at:

        async def crowded(request: Request) -> Reply:
            return json_reply(200, {"transaction_details": [], "total_items": 10**6, "total_pages": 10**5})

        _answer_with(at, crowded)
        with pytest.raises(ListFailed, match="within a minute"):
            await _listed(at)
        assert len(at.simulator.received) < 100


async def test_what_paypal_tells_beside_our_refunds_is_left_out() -> None:
    async with bench("paypal") as at:
        now = _now(at)
        others = [
            _transaction("OURS", now),
            # A seller of ours refunded us; a payment that came in; a fee.
            _transaction("INCOMING", now, transaction_amount={"currency_code": "EUR", "value": "1.00"}),
            _transaction("PAYMENT", now, transaction_event_code="T0006"),
            _transaction("OTHER", now, paypal_reference_id="B-1", paypal_reference_id_type="PAP"),
        ]

        async def mixed(request: Request) -> Reply:
            return json_reply(200, {"transaction_details": others, "total_items": 4, "total_pages": 1})

        _answer_with(at, mixed)
        listed = await _listed(at)
    assert {one.provider_refund_id: one.reference for one in listed.values()} == {"OURS": "8AC1", "OTHER": None}


async def test_paypal_doesn_t_show_what_is_too_new() -> None:
    async with bench("paypal", report_lag_s=10_800) as at:
        made = await at.adapter.issue(at.issue())
        assert await _listed(at) == {}
        # The look-up covers the gap.
        found = await at.adapter.look_up(at.look_up(provider_refund_id=made.provider_refund_id))
        assert found.outcome == "succeeded"
        at.clock.now += 10_800
        assert len(await _listed(at)) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fault",
    ["look_up_http_503", "look_up_drop_before", "look_up_rate_limited", "look_up_too_large"],
)
async def test_a_page_is_asked_for_again_where_that_may_help(kind: Kind, fault: str) -> None:
    async with bench(kind, retry_after_s=7) as at:
        made = await at.adapter.issue(at.issue())
        await _plan(at, fault, 2)
        assert set(await _listed(at)) == {made.provider_refund_id}
    # The client itself asks again, once, where a connection that was kept open turns out to be dead.
    dropped = fault == "look_up_drop_before"
    assert at.paused_s == ([7, 7] if fault == "look_up_rate_limited" else [1] if dropped else [1, 2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        ("look_up_http_503", 4),
        ("look_up_rate_limited", 4),
        ("look_up_http_403", 1),
        ("look_up_http_401", 1),
        ("look_up_unreadable", 1),
    ],
)
async def test_a_list_that_can_t_be_read_fails(kind: Kind, fault: str, tries: int) -> None:
    async with bench(kind) as at:
        await at.adapter.issue(at.issue())
        await _plan(at, fault, 100)
        at.simulator.received.clear()
        with pytest.raises(ListFailed) as failed:
            await _listed(at)
        asked = [request for request in at.simulator.received if "token" not in request.path]
    # PayPal's token is refreshed once after a 401, and the page asked for with the new one.
    assert len(asked) == (2 if kind == "paypal" and fault == "look_up_http_401" else tries)
    assert len(at.paused_s) == tries - 1
    assert str(failed.value)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_provider_that_asks_for_hours_is_left_alone(kind: Kind) -> None:
    async with bench(kind, retry_after_s=3600) as at:
        await at.adapter.probe()
        await _plan(at, "look_up_rate_limited", 1)
        with pytest.raises(ListFailed):
            await _listed(at)
    assert at.paused_s == []


def _refund(**changes: Any) -> dict[str, Any]:
    usual = {"id": "re_1", "amount": 1, "currency": "eur", "created": 1_800_000_000, "status": "succeeded"}
    return {**usual, **changes}


def _transaction(refund_id: str, at: datetime, **changes: Any) -> dict[str, Any]:
    usual = {
        "transaction_id": refund_id,
        "paypal_reference_id": "8AC1",
        "paypal_reference_id_type": "TXN",
        "transaction_event_code": paypal_list.REFUND,
        "transaction_initiation_date": at.isoformat(),
        "transaction_amount": {"currency_code": "EUR", "value": "-1.00"},
        "transaction_status": "S",
    }
    return {"transaction_info": {**usual, **changes}}


NOW = datetime(2027, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "entry"),
    [
        ("card", _refund(id="")),
        ("card", _refund(status="someday")),
        ("card", _refund(amount=0)),
        ("card", _refund(amount=150, currency="isk")),
        ("card", _refund(currency="abc")),
        ("card", _refund(created=10**18)),
        ("card", _refund(amount="1")),
        ("paypal", _transaction("", NOW)),
        ("paypal", _transaction("A1", NOW, transaction_status="X")),
        ("paypal", _transaction("A1", NOW, transaction_amount={"currency_code": "EUR", "value": "-1,00"})),
        ("paypal", _transaction("A1", NOW, transaction_amount={"currency_code": "EUR", "value": "-1.001"})),
        ("paypal", _transaction("A1", NOW, transaction_initiation_date="yesterday")),
        ("paypal", _transaction("A1", NOW, transaction_initiation_date="2027-01-15T00:00:00")),
        ("paypal", {"transaction_info": {}}),
    ],
)
async def test_an_entry_that_can_t_be_read_fails_the_list(kind: Kind, entry: dict[str, Any]) -> None:
    """It might be the very refund that is looked for."""
    async with bench(kind) as at:

        async def odd(request: Request) -> Reply:
            paged = {"transaction_details": [entry], "total_items": 1, "total_pages": 1}
            return json_reply(200, {"data": [entry], "has_more": False} if kind == "card" else paged)

        _answer_with(at, odd)
        with pytest.raises(ListFailed, match="unreadable"):
            await _listed(at)


@pytest.mark.parametrize("data", [[], [_refund()]])
async def test_a_list_that_turns_in_a_circle_ends(data: list[object]) -> None:
    async with bench("card") as at:

        async def endless(request: Request) -> Reply:
            return json_reply(200, {"data": data, "has_more": True})

        _answer_with(at, endless)
        with pytest.raises(ListFailed):
            await _listed(at)
        assert len(at.simulator.received) <= 3


async def _plan(at: Bench, fault: str, times: int) -> None:
    told = {"provider": at.simulator.provider, "fault": fault, "times": times}
    status, _ = await post(at.providers.stripe_base + "/_annul/faults", msgspec.json.encode(told))
    assert status == 200
