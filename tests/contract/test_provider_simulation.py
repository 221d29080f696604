"""The simulated providers themselves: strict like the real ones, and a book that tells the truth."""

import asyncio
import json
import random
import re
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest
from kit.provider_kit import API_KEY, CLIENT_ID, CLIENT_SECRET, KINDS, PATIENT_S, Kind, bench, post, settings_for_tests

from workers.providers.card import CardProvider
from workers.providers.http import AiohttpTransport
from workers.providers.paypal import PayPalProvider
from workers.providers.simulated import FAULTS, SimulatedProviders, reference_for
from workers.providers.simulated.direct import DirectTransport
from workers.providers.simulated.faults import Faults, asked_for

ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_fault_can_be_asked_for_in_an_id(name: str) -> None:
    reference = reference_for(name, "7f3a", times=2)
    assert ID.match(reference)
    assert asked_for(reference) == [(FAULTS[name], 2)]
    assert asked_for(f"8AC_x.{name}_A1") == [(FAULTS[name], None)]
    assert asked_for(f"x.{name}") == [(FAULTS[name], None)]


@pytest.mark.parametrize("plain", ["pi_3Nx", "pi_max.pending", "x.nonsense", "pi_x.http_5001", "pi_x.", "ax.pending"])
def test_other_references_ask_for_nothing(plain: str) -> None:
    assert asked_for(plain) == []


def test_several_faults_strike_one_after_the_other() -> None:
    faults = Faults(random.Random(1), 0)
    reference = "pi_x.drop_before.1_x.timeout_after.2_x.look_up_http_503.1-a"
    met = [faults.draw("stripe", reference, look_up=False) for _ in range(4)]
    assert [fault and fault.name for fault in met] == ["drop_before", "timeout_after", "timeout_after", None]
    met = [faults.draw("stripe", reference, look_up=True) for _ in range(2)]
    assert [fault and fault.name for fault in met] == ["look_up_http_503", None]


def test_random_faults_repeat_with_their_seed() -> None:
    def drawn(seed: int) -> list[str | None]:
        faults = Faults(random.Random(seed), 0.3)
        met = [faults.draw("paypal", "8AC", look_up=False) for _ in range(200)]
        return [None if fault is None else fault.name for fault in met]

    assert drawn(5) == drawn(5) != drawn(6)
    assert 30 < sum(name is not None for name in drawn(5)) < 90
    with pytest.raises(ValueError, match="nonsense"):
        Faults(random.Random(1), 0.1, ("nonsense",))


GOOD = {"payment_intent": "pi_1", "amount": "100"}


@pytest.mark.parametrize(
    "form",
    [
        {"payment_intent": "pi_1"},
        {"amount": "100"},
        {**GOOD, "charge": "ch_1"},
        {**GOOD, "amount": "0"},
        {**GOOD, "amount": "1.5"},
        {**GOOD, "reason": "because"},
        {**GOOD, "metadata": "x"},
        {**GOOD, "metadata[a]": "x" * 501},
        {**GOOD, "refund_id": "rf_1"},
    ],
)
async def test_stripe_refuses_what_it_doesn_t_know(form: dict[str, str]) -> None:
    async with bench("card") as at:
        status, told = await post(at.providers.stripe_base + "/v1/refunds", urlencode(form).encode(), API_KEY)
        assert not at.book.everything()
    assert status == 400
    assert told["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/refunds", "/v2/payments/captures/8AC/refund"])
async def test_nobody_gets_in_without_credentials(path: str) -> None:
    async with bench("card") as at:
        base = at.providers.stripe_base if path.startswith("/v1") else at.providers.paypal_base
        for token in ("", "sk_test_another"):
            status, _ = await post(base + path, urlencode(GOOD).encode(), token)
            assert status == 401
        assert not at.book.everything()


MONEY = {"value": "1.00", "currency_code": "EUR"}


@pytest.mark.parametrize(
    ("body", "status", "issue"),
    [
        ({}, 400, "MISSING_REQUIRED_PARAMETER"),
        ({"amount": {"value": "1.00"}}, 400, "MISSING_REQUIRED_PARAMETER"),
        ({"amount": {"value": 1, "currency_code": "EUR"}}, 400, "INVALID_PARAMETER_SYNTAX"),
        ({"amount": {"value": "1,00", "currency_code": "EUR"}}, 400, "INVALID_PARAMETER_SYNTAX"),
        ({"amount": {"value": "1.001", "currency_code": "EUR"}}, 422, "DECIMAL_PRECISION"),
        ({"amount": {"value": "1.00", "currency_code": "JPY"}}, 422, "DECIMALS_NOT_SUPPORTED"),
        ({"amount": {"value": "0.00", "currency_code": "EUR"}}, 422, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ({"amount": {"value": "1.00", "currency_code": "KWD"}}, 422, "INVALID_CURRENCY_CODE"),
        ({"amount": MONEY, "metadata": {}}, 400, "INVALID_PARAMETER_SYNTAX"),
        ({"amount": MONEY, "custom_id": "x" * 128}, 400, "INVALID_STRING_LENGTH"),
    ],
)
async def test_paypal_refuses_what_it_doesn_t_know(body: dict[str, Any], status: int, issue: str) -> None:
    async with bench("paypal") as at:
        await at.adapter.look_up(at.look_up())
        (token,) = at.providers.paypal._tokens
        url = at.providers.paypal_base + "/v2/payments/captures/8AC/refund"
        got, told = await post(url, msgspec.json.encode(body), token, "application/json")
        assert not at.book.everything()
    assert (got, told["details"][0]["issue"]) == (status, issue)


async def test_without_a_request_id_paypal_makes_duplicates() -> None:
    async with bench("paypal") as at:
        await at.adapter.look_up(at.look_up())
        (token,) = at.providers.paypal._tokens
        url = at.providers.paypal_base + "/v2/payments/captures/8AC/refund"
        for _ in range(2):
            await post(url, msgspec.json.encode({"amount": MONEY}), token, "application/json")
        assert len(at.book.effective()) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_the_book_is_served_and_captures_can_be_registered(kind: Kind) -> None:
    async with bench(kind) as at:
        base = at.providers.stripe_base if kind == "card" else at.providers.paypal_base
        capture = {"provider": at.simulator.provider, "reference": at.reference("1"), "amount": 5000, "currency": "EUR"}
        await post(base + "/_annul/captures", msgspec.json.encode(capture))
        await at.adapter.issue(at.issue())
        too_much = await at.adapter.issue(at.issue(refund_id="rf_2", idempotency_key="k2"))
        async with aiohttp.ClientSession() as session, session.get(base + "/_annul/book") as response:
            (refund,) = (await response.json())["refunds"]
    assert too_much.outcome == "rejected"
    assert {name: refund[name] for name in ("refund_id", "amount", "currency", "status", "effective")} == {
        "refund_id": "rf_1",
        "amount": 4500,
        "currency": "EUR",
        "status": "succeeded",
        "effective": True,
    }
    assert refund["idempotency_key"] == "annul:rf_1"


async def test_captures_are_registered_many_at_once_and_without_an_amount_for_their_currency_alone() -> None:
    """Stripe's request for a refund names none; what nobody registered is in euros."""
    currencies = {"pi_1": "JPY", "pi_2": "KWD", "pi_3": "EUR"}
    async with bench("card") as at:
        told = [{"provider": "stripe", "reference": name, "currency": of} for name, of in currencies.items()][:2]
        await post(at.providers.paypal_base + "/_annul/captures", msgspec.json.encode(told))
        for number, (reference, currency) in enumerate(currencies.items()):
            command = at.issue(
                refund_id=f"rf_{number}", reference=reference, currency=currency, idempotency_key=f"k{number}"
            )
            assert (await at.adapter.issue(command)).outcome == "succeeded"
        since = datetime.fromtimestamp(at.clock.now, UTC) - timedelta(days=1)
        listed = [one async for one in at.adapter.list_refunds(since, since + timedelta(days=2))]
    assert {one.reference: (one.amount_minor, one.currency) for one in listed} == {
        "pi_1": (4500, "JPY"),
        "pi_2": (4500, "KWD"),
        "pi_3": (4500, "EUR"),
    }


@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_holds_no_other_providers_refunds(kind: Kind) -> None:
    async with bench("card") as card:
        await card.adapter.issue(card.issue())
        entry = card.book.everything()[0]
        card.book.add(msgspec.structs.replace(entry, id="8RF", provider="paypal", reference="8AC1"))
        paypal = PayPalProvider(
            AiohttpTransport(concurrency=2), card.providers.paypal_base, CLIENT_ID, CLIENT_SECRET, 10, card.clock
        )
        since = datetime.fromtimestamp(card.clock.now, UTC) - timedelta(days=1)
        asked = card.adapter if kind == "card" else paypal
        listed = [one async for one in asked.list_refunds(since, since + timedelta(days=2))]
        await paypal.close()
    assert [one.provider_refund_id for one in listed] == [entry.id if kind == "card" else "8RF"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_disputed_payment_is_refunded_no_more(kind: Kind) -> None:
    async with bench(kind) as at:
        about = {"provider": at.simulator.provider, "reference": at.reference("1")}
        await post(at.providers.stripe_base + "/_annul/disputes", msgspec.json.encode(about))
        answer = await at.adapter.issue(at.issue())
    assert answer.outcome == "rejected"
    assert answer.code in ("charge_disputed", "TRANSACTION_DISPUTED")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dispute_that_is_won_lets_refunds_pass_again(kind: Kind) -> None:
    async with bench(kind) as at:
        heard = at.overhear()
        about = {"provider": at.simulator.provider, "reference": at.reference("1")}
        for won in (False, True):
            await post(at.providers.stripe_base + "/_annul/disputes", msgspec.json.encode({**about, "won": won}))
        answer = await at.adapter.issue(at.issue())
    assert answer.outcome == "succeeded"
    told = [json.loads(body) for body, _ in heard[:2]]
    names = [event.get("type") or event["event_type"] for event in told]
    things = [event.get("data", {}).get("object") or event["resource"] for event in told]
    assert names in (
        ["charge.dispute.created", "charge.dispute.closed"],
        ["CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.RESOLVED"],
    )
    # The end names the dispute that began.
    assert len({thing.get("id") or thing["dispute_id"] for thing in things}) == 1


async def test_the_simulation_is_told_of_no_fault_that_it_doesn_t_know() -> None:
    async with bench("card") as at:
        base = at.providers.stripe_base
        status, _ = await post(base + "/_annul/faults", b'{"provider":"stripe","fault":"nonsense"}')
        assert status == 404
        status, _ = await post(base + "/_annul/outage", b'{"provider":"stripe","mode":"nonsense"}')
        assert status == 400


@pytest.mark.parametrize(
    "query",
    [
        "start_date=2026-11-23T00:00:00Z",
        "start_date=2026-11-23T00:00:00Z&end_date=2026-12-25T00:00:00Z",
        "start_date=2026-11-24T00:00:00Z&end_date=2026-11-23T00:00:00Z",
        "start_date=2026-11-23&end_date=2026-11-24",
        "start_date=2026-11-23T00:00:00Z&end_date=2026-11-24T00:00:00Z&page_size=501",
        "start_date=2026-11-23T00:00:00Z&end_date=2026-11-24T00:00:00Z&page=0",
        "start_date=2026-11-23T00:00:00Z&end_date=2026-11-24T00:00:00Z&limit=1",
    ],
)
async def test_paypal_s_report_refuses_what_it_doesn_t_know(query: str) -> None:
    async with bench("paypal") as at:
        await at.adapter.probe()
        (token,) = at.providers.paypal._tokens
        url = f"{at.providers.paypal_base}/v1/reporting/transactions?{query}"
        headers = {"authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
            assert response.status == 400


async def test_a_refund_can_come_into_effect_after_the_caller_gave_up() -> None:
    async with bench("card", deadline_s=0.1, late_s=0.3) as at:
        made = asyncio.Event()
        at.book.watchers.append(lambda _entry, _new: made.set())
        answer = await at.adapter.issue(at.issue(reference=reference_for("effect_late", "t")))
        assert answer.code == "timeout"
        assert not at.book.everything()
        await made.wait()
        assert len(at.book.effective()) == 1


async def test_the_simulation_works_without_sockets() -> None:
    providers = SimulatedProviders(settings_for_tests(), rng=random.Random(1))
    adapter = CardProvider(DirectTransport({"stripe.test": providers.stripe}), "http://stripe.test", API_KEY, PATIENT_S)
    async with bench("card") as at:
        refunded = await adapter.issue(at.issue())
        lost = await adapter.issue(at.issue(reference=reference_for("drop_after", "t"), idempotency_key="k2"))
        found = await adapter.look_up(at.look_up(reference=reference_for("drop_after", "t")))
        big = await adapter.issue(at.issue(reference=reference_for("too_large", "t"), idempotency_key="k3"))
    assert (refunded.outcome, lost.code, found.outcome) == ("succeeded", "connection_lost", "succeeded")
    assert big.code == "connection_lost"
    elsewhere = CardProvider(DirectTransport({}), "http://stripe.test", API_KEY, PATIENT_S)
    assert (await elsewhere.issue(at.issue())).code == "connection_refused"


async def test_both_servers_run_as_one_process(tmp_path: Path) -> None:
    ports = tmp_path / "ports.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers.providers.simulated",
        *("--ports-file", str(ports), "--seed", "3", "--stripe-api-key", API_KEY, "--latency-ms", "1"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    told = json.loads(await process.stdout.readline())
    assert told == json.loads(ports.read_text())
    status, refund = await post(told["stripe"] + "/v1/refunds", urlencode(GOOD).encode(), API_KEY)
    assert (status, refund["status"]) == (200, "succeeded")
    async with aiohttp.ClientSession() as session, session.get(told["paypal"] + "/_annul/book") as response:
        assert len((await response.json())["refunds"]) == 1
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
