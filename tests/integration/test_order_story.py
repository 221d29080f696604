"""`annul order ID`: what became of an order, from all that was recorded of it."""

import json
from typing import Any

import pytest
from kit.builders import tender
from kit.feed import Feed, break_rows, rows_of
from kit.population import POLICY, ago, cancellation, populate, script, settings_for

from workers.commands import order as order_command
from workers.domain.order_types import Order
from workers.insight.money import money
from workers.insight.story import Story, state_of, tell_story


async def story(url: str, name: str) -> Story:
    """The story of `ord_<name>`."""
    found = await tell_story(settings_for(url), f"ord_{name}")
    assert found is not None
    return found


def whats(told: Story) -> list[str]:
    """What happened, in order."""
    return [step.what for step in told.timeline]


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("placed", "placed"),
        ("completed", "completed"),
        ("pending", "cancelled"),
        ("stalled", "cancelled"),
        ("refunded", "refunded"),
        ("free", "refunded"),
        ("declined", "in_review"),
        ("bounced", "in_review"),
        ("unread", "unknown"),
    ],
)
async def test_the_state_says_where_an_order_stands(populated_shared: str, name: str, state: str) -> None:
    assert (await story(populated_shared, name)).state == state


def test_the_latest_step_known_is_the_state() -> None:
    at = ago(hours=1)
    assert state_of(Order(order_id="ord_1", reactivation_at=at), []) == "unknown"
    assert state_of(Order(order_id="ord_1", placed_at=at, accepted_at=at), []) == "accepted"
    assert state_of(Order(order_id="ord_1", delivered_at=at), []) == "delivered"


async def test_a_refunded_order_is_told_from_its_placing_to_what_is_due(populated_shared: str) -> None:
    told = await story(populated_shared, "refunded")
    assert [step.at for step in told.timeline] == sorted(step.at for step in told.timeline)
    assert [what for what in whats(told) if not what.startswith("ledger.")] == [
        "order.placed",
        "order.accepted",
        "seller.outcome",
        "order.cancelled",
        "seller.outcome",
        "refund.requested",
        "refund.requested",
        "chat.close_scheduled",
        "refund.claimed",
        "refund.claimed",
        "refund.answered",
        "refund.answered",
        "refund.succeeded",
        "refund.succeeded",
        "order.refunded",
        "message.parked",
        "refund.look_due",
        "chat.closing_soon_due",
        "chat.close_due",
    ]
    details = {step.what: step.detail for step in told.timeline}
    assert details["order.cancelled"] == (
        "by client (in_progress); 50.00 EUR captured (tnd_1 by card, tnd_2 by wallet)"
    )
    assert details["order.refunded"] == "50.00 EUR went back"
    assert details["message.parked"].startswith("order.cancelled as orders.events.v1:0:21: contradicts_recorded")
    assert [line["kind"] for line in told.ledger].count("refund_settled") == 2
    assert told.chat is not None
    assert (told.chat.state, told.chat.cancelled_order) == ("closing", "ord_refunded")
    assert told.chat.close_at is not None


async def test_answers_carry_what_the_provider_said(populated_shared: str) -> None:
    answers = [step for step in (await story(populated_shared, "retried")).timeline if step.what == "refund.answered"]
    refund_id = (await story(populated_shared, "retried")).refunds[0]["refund_id"]
    said = "card on attempt {} of {}: {} (by call); {}; now {} (revision {})"
    assert [step.detail for step in answers] == [
        said.format(1, refund_id, "retryable", "code rate_limit; debug id f00", "retrying", 2),
        said.format(2, refund_id, "succeeded", "their id re_ord_retried_tnd_1", "succeeded", 4),
    ]
    assert all(step.message_id and step.message_id.startswith("msg_") for step in answers)


async def test_a_bounce_is_told_with_its_ledger_lines(populated_shared: str) -> None:
    told = await story(populated_shared, "bounced")
    kinds = [line["kind"] for line in told.ledger]
    assert sorted(kinds) == [
        "captured",
        "captured",
        "refund_bounced",
        "refund_requested",
        "refund_settled",
        "refunded_before",
        "refunded_before",
    ]
    assert "by webhook" in [step for step in told.timeline if step.what == "refund.answered"][-1].detail
    (step,) = [step for step in told.timeline if step.what == "order.cancelled"]
    assert step.detail.endswith("54.00 EUR captured (tnd_1 by card, tnd_2 by card), 24.00 EUR refunded before")


async def test_a_closed_chat_is_told(populated_shared: str) -> None:
    told = await story(populated_shared, "closed")
    assert told.chat is not None
    assert told.chat.state == "closed"
    (step,) = [step for step in told.timeline if step.what == "chat.close"]
    assert step.at == told.chat.closed_at
    assert "chat.close_due" not in whats(told)


async def test_a_chat_that_a_newer_order_keeps_open_is_told(populated_shared: str) -> None:
    told = await story(populated_shared, "outlived")
    assert told.chat is not None
    assert (told.chat.state, told.chat.close_at) == ("open", None)
    (step,) = [step for step in told.timeline if step.what == "chat.close_scheduled"]
    assert step.detail.endswith("withdrawn since")


async def test_of_a_shared_chat_an_order_is_told_its_own_part(database_url: str) -> None:
    async with Feed(database_url, script, policy=POLICY) as feed:
        card = tender(reference="pi_good")
        await feed.take(cancellation("first", card, conversation_id="cnv_both", cancelled_at=ago(hours=2)))
        await feed.take(cancellation("second", card, conversation_id="cnv_both"))
    first, second = await story(database_url, "first"), await story(database_url, "second")
    assert first.chat == second.chat
    assert first.chat is not None
    assert first.chat.cancelled_order == "ord_second"
    assert "chat.close_due" not in whats(first)
    assert "chat.close_due" in whats(second)


async def test_a_step_without_an_answer_is_told_with_what_caused_it(database_url: str) -> None:
    async with Feed(database_url, script, policy=POLICY) as feed:
        await feed.take(cancellation("stalled", tender(reference="pi_stalls")))
        await break_rows(
            database_url,
            "UPDATE refund_attempts SET lease_until = now() - interval '1 s'",
            "UPDATE scheduled_messages SET due_at = now() WHERE schedule_id LIKE 'refund:%'",
        )
        assert await feed.fire() == 1
    told = await story(database_url, "stalled")
    (step,) = [step for step in told.timeline if step.what == "refund.uncertain"]
    assert step.detail.endswith("was requested (revision 2); code lease_expired")
    assert step.message_id is not None
    assert step.message_id in feed.ids("refund.due")


async def test_message_ids_are_those_that_were_sent(database_url: str) -> None:
    async with Feed(database_url, script, policy=POLICY) as feed:
        await populate(feed)
    sent = {type_: set(feed.ids(type_)) for type_ in ("refund.requested", "order.refunded", "seller.outcome")}
    sent |= {type_: set(feed.ids(type_)) for type_ in ("chat.close_scheduled", "chat.close", "refund.result")}
    told: dict[str, set[str | None]] = {}
    for row in await rows_of(database_url, "SELECT order_id FROM orders"):
        for step in (await story(database_url, row["order_id"].removeprefix("ord_"))).timeline:
            told.setdefault(step.what, set()).add(step.message_id)
    told["refund.result"] = told.pop("refund.answered")
    bounce = told["refund.result"] - sent["refund.result"]
    assert len(bounce) == 1, "the webhook came from outside"
    for type_, ids in sent.items():
        assert told[type_] - bounce == ids, type_
    for type_ in ("refund.succeeded", "refund.pending", "refund.retrying"):
        assert told[type_] <= sent["refund.result"], "a step names the answer that caused it"
    assert told["refund.sent_again"] <= set(feed.ids("refund.due"))


async def test_nothing_personal_is_told(populated_shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (True, False):
        assert await order_command.run(settings_for(populated_shared), "ord_refunded", as_json=as_json)
    printed = capsys.readouterr().out
    assert "ord_refunded" in printed
    assert "Jane" not in printed


async def test_as_json_it_has_the_contracts_fields(populated_shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await order_command.run(settings_for(populated_shared), "ord_stalled", as_json=True)
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {"order_id", "state", "refunds", "chat", "ledger", "timeline"} <= set(told)
    assert set(told["timeline"][0]) == {"at", "what", "message_id", "detail"}
    assert told["timeline"][0]["at"].endswith("Z")
    assert told["refunds"][0]["amount_minor"] == 1005
    assert told["ledger"][0]["amount_minor"] == 1005


async def test_people_are_shown_money_with_its_decimals(
    populated_shared: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, amount in (("stalled", "1.005 KWD"), ("retried", "700 JPY"), ("pending", "45.00 EUR")):
        assert await order_command.run(settings_for(populated_shared), f"ord_{name}", as_json=False)
        assert amount in capsys.readouterr().out


async def test_every_order_can_be_printed(populated_shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    for row in await rows_of(populated_shared, "SELECT order_id FROM orders"):
        assert await order_command.run(settings_for(populated_shared), row["order_id"], as_json=False)
        assert row["order_id"] in capsys.readouterr().out


async def test_an_unknown_order_is_one_clear_line(populated_shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert not await order_command.run(settings_for(populated_shared), "ord_none", as_json=False)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "annul: nothing is known of order 'ord_none'\n")


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (4500, "EUR", "45.00 EUR"),
        (5, "EUR", "0.05 EUR"),
        (-5, "KWD", "-0.005 KWD"),
        (10**15 + 1, "EUR", "10000000000000.01 EUR"),
        (700, "JPY", "700 JPY"),
        (7, "XXX", "7 minor units of XXX"),
        (7, None, "7 minor units of an unknown currency"),
    ],
)
def test_money_is_exact(amount: int, currency: str | None, shown: str) -> None:
    assert money(amount, currency) == shown
