"""PayPal's token: asked for once, refreshed in time and after a 401, and never a reason for doubt about money."""

import asyncio

import pytest
from kit.provider_kit import SHORT_S, Bench, Clock, bench

from workers.providers.http import Response
from workers.providers.paypal import PayPalProvider
from workers.providers.simulated.wire import json_reply


def _asked_for(at: Bench) -> int:
    return sum(request.path == "/v1/oauth2/token" for request in at.simulator.received)


async def test_one_token_serves_every_call_until_shortly_before_it_expires() -> None:
    clock = Clock()
    async with bench("paypal", clock=clock, token_ttl_s=300) as at:
        await at.adapter.issue(at.issue())
        clock.now += 239
        await at.adapter.look_up(at.look_up())
        assert _asked_for(at) == 1
        clock.now += 1
        await at.adapter.look_up(at.look_up())
        assert _asked_for(at) == 2


async def test_callers_at_once_ask_for_one_token() -> None:
    async with bench("paypal") as at:
        orders = [at.issue(refund_id=f"rf_{number}", idempotency_key=f"k{number}") for number in range(10)]
        answers = await asyncio.gather(*(at.adapter.issue(order) for order in orders))
        assert _asked_for(at) == 1
        assert len(at.book.effective()) == 10
    assert {answer.outcome for answer in answers} == {"succeeded"}


async def test_a_401_refreshes_the_token_once_under_the_same_request_id() -> None:
    async with bench("paypal") as at:
        await at.adapter.look_up(at.look_up())
        at.providers.paypal.revoke_tokens()
        at.simulator.received.clear()
        answer = await at.adapter.issue(at.issue())
        paths = [request.path for request in at.simulator.received]
        ids = {request.headers.get("paypal-request-id") for request in at.simulator.received}
        assert len(at.book.effective()) == 1
    assert answer.outcome == "succeeded"
    assert paths == ["/v2/payments/captures/8AC1/refund", "/v1/oauth2/token", "/v2/payments/captures/8AC1/refund"]
    assert ids == {"annul:rf_1", None}


async def test_a_second_401_is_a_fault_of_the_settings() -> None:
    async with bench("paypal") as at:
        answer = await at.adapter.issue(at.issue(reference="x.http_401-t"))
        paths = [request.path for request in at.simulator.received]
    assert (answer.outcome, answer.code, answer.retry_after_s) == ("retryable", "AUTHENTICATION_FAILURE", 60)
    assert len(paths) == 4


@pytest.mark.parametrize("known_id", [None, "1JU"])
async def test_wrong_credentials_are_a_fault_of_the_settings(known_id: str | None) -> None:
    async with bench("paypal", paypal_client_secret="another") as at:
        answer = await at.adapter.issue(at.issue())
        looked_up = await at.adapter.look_up(at.look_up(provider_refund_id=known_id))
    for one in (answer, looked_up):
        assert (one.outcome, one.code, one.retry_after_s) == ("retryable", "invalid_client", 60)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (json_reply(500, {}), "http_500"),
        (json_reply(429, {}, {"retry-after": "7"}), "http_429"),
        (json_reply(200, {"token_type": "Bearer"}), "unreadable"),
        (json_reply(200, {"access_token": "a b", "expires_in": 9}), "unreadable"),
        (None, "timeout"),
    ],
)
async def test_without_a_token_the_refund_was_not_sent(failure: object, told: str) -> None:
    async with bench("paypal", deadline_s=SHORT_S if failure is None else 10.0) as at:
        at.providers.paypal.token_failures += [failure, failure]  # type: ignore[list-item]
        answer = await at.adapter.issue(at.issue())
        looked_up = await at.adapter.look_up(at.look_up())
        assert not at.book.everything()
        assert {request.path for request in at.simulator.received} == {"/v1/oauth2/token"}
    assert (answer.outcome, answer.code) == ("retryable", "token_unavailable")
    assert told in str(answer.detail)
    assert answer.retry_after_s == (7 if told == "http_429" else None)
    assert (looked_up.outcome, looked_up.code) == ("uncertain", "token_unavailable")


async def test_a_caller_that_gives_up_takes_no_token_from_the_others() -> None:
    async with bench("paypal", latency_s=0.0) as at:
        first = asyncio.ensure_future(at.adapter.issue(at.issue()))
        second = asyncio.ensure_future(at.adapter.issue(at.issue(idempotency_key="k2", refund_id="rf_2")))
        await asyncio.sleep(0)
        first.cancel()
        answer = await second
        assert _asked_for(at) == 1
    assert answer.outcome == "succeeded"


class _Scripted:
    """A transport on a clock of its own: each exchange takes some seconds and gives a response."""

    def __init__(self, clock: Clock, *steps: tuple[float, Response]) -> None:
        self.clock = clock
        self.steps = list(steps)
        self.deadlines_s: list[float] = []

    async def request(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, deadline_s: float
    ) -> Response:
        self.deadlines_s.append(deadline_s)
        took_s, response = self.steps.pop(0)
        self.clock.now += took_s
        return response

    async def close(self) -> None:
        pass


TOKEN = Response(200, {}, b'{"access_token":"t","expires_in":900}')
MADE = Response(201, {}, b'{"id":"1JU","status":"COMPLETED"}')
DENIED = Response(401, {}, b"")


async def test_one_deadline_covers_token_call_and_second_try() -> None:
    async with bench("paypal") as at:
        order = at.issue()
    clock = Clock()
    transport = _Scripted(clock, (4, TOKEN), (3, DENIED), (2, TOKEN), (0.5, MADE))
    adapter = PayPalProvider(transport, "http://paypal.test", "id", "secret", 10.0, clock)
    assert (await adapter.issue(order)).outcome == "succeeded"
    assert transport.deadlines_s == [10, 6, 3, 1]


async def test_a_token_that_took_all_the_time_leaves_the_refund_unsent() -> None:
    async with bench("paypal") as at:
        order = at.issue()
    clock = Clock()
    adapter = PayPalProvider(_Scripted(clock, (10, TOKEN)), "http://paypal.test", "id", "secret", 10.0, clock)
    answer = await adapter.issue(order)
    assert (answer.outcome, answer.code) == ("retryable", "token_unavailable")
