"""A probe moves no money, and tells a provider that is there from one that is not."""

import asyncio

import msgspec
import pytest
from kit.provider_kit import KINDS, SHORT_S, Bench, Kind, bench, post

from workers.providers.answers import CONFIGURATION_FAULTS
from workers.providers.simulated.wire import Reply, Request, json_reply


@pytest.mark.parametrize("kind", KINDS)
async def test_a_provider_that_is_there_is_well(kind: Kind) -> None:
    async with bench(kind) as at:
        empty = await at.adapter.probe()
        await at.adapter.issue(at.issue())
        probed = await at.adapter.probe()
        assert len(at.book.everything()) == 1
    assert empty.outcome == probed.outcome == "succeeded"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("http_503", "uncertain"),
        ("drop_before", "uncertain"),
        ("timeout_before", "uncertain"),
        ("http_401", "retryable"),
        ("http_403", "retryable"),
        ("rate_limited", "retryable"),
    ],
)
async def test_a_probe_tells_an_outage_until_it_is_over(kind: Kind, mode: str, outcome: str) -> None:
    async with bench(kind, deadline_s=SHORT_S if mode == "timeout_before" else 10.0) as at:
        await _outage(at, mode)
        down = await at.adapter.probe()
        issued = await at.adapter.issue(at.issue())
        assert not at.book.everything()
        await _outage(at, "none")
        assert (await at.adapter.probe()).outcome == "succeeded"
        assert (await at.adapter.issue(at.issue())).outcome == "succeeded"
    # Without a token nothing of the refund was sent, and so nothing is uncertain about it.
    unsent = kind == "paypal" and outcome == "uncertain"
    assert down.outcome == issued.outcome == ("retryable" if unsent else outcome)
    assert (down.code in CONFIGURATION_FAULTS) == (mode in ("http_401", "http_403"))


async def test_an_outage_can_end_by_itself() -> None:
    async with bench("card") as at:
        await _outage(at, "http_503", for_s=30)
        assert (await at.adapter.probe()).outcome == "uncertain"
        at.clock.now += 30
        assert (await at.adapter.probe()).outcome == "succeeded"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=200, body=b"<html>all is well</html>"),
        Reply(status=200, body=b"{}"),
        Reply(status=404, body=b"<html>no such page</html>"),
        json_reply(400, {"name": "INVALID_REQUEST", "error": {"type": "invalid_request_error"}}),
    ],
    ids=["page", "empty", "missing", "refused"],
)
async def test_something_else_in_the_provider_s_place_is_not_well(kind: Kind, reply: Reply) -> None:
    """A gateway's page, or an address that belongs to somebody else."""
    async with bench(kind) as at:
        await at.adapter.look_up(at.look_up())  # PayPal's token is there from now on

        async def other(_: Request) -> Reply:
            return reply

        at.simulator.route = other  # type: ignore[method-assign, assignment]
        assert (await at.adapter.probe()).outcome in ("uncertain", "rejected")


async def test_paypal_s_probe_refreshes_a_token_that_was_revoked() -> None:
    async with bench("paypal") as at:
        await at.adapter.probe()
        at.providers.paypal.revoke_tokens()
        assert (await at.adapter.probe()).outcome == "succeeded"


@pytest.mark.parametrize("kind", KINDS)
async def test_probes_at_once_are_all_answered(kind: Kind) -> None:
    async with bench(kind) as at:
        answers = await asyncio.gather(*(at.adapter.probe() for _ in range(10)))
    assert {answer.outcome for answer in answers} == {"succeeded"}


async def _outage(at: Bench, mode: str, for_s: float | None = None) -> None:
    told = {"provider": at.simulator.provider, "mode": mode, "for_s": for_s}
    status, _ = await post(at.providers.stripe_base + "/_annul/outage", msgspec.json.encode(told))
    assert status == 200
