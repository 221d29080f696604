"""Which fact is told to whom (SPEC R1-R8), under which key and id."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from kit import builders
from kit.builders import CLIENT, NOW, REFUND, SELLER
from kit.notices import (
    BOUNCED,
    CLIENT_REFUND,
    CLOSE_AT,
    ELSEWHERE,
    IN_REVIEW,
    REDIRECTED,
    TO_WALLET,
    WALLET,
    all_refunded,
    arrived,
    chat,
    chat_command,
    decide,
    event,
    known,
    open_chat,
    payout,
    refund_now,
    refused,
    sides,
    told_by,
)

from schemas.notifications import NotificationRequested
from workers.domain.notices.rules import request_of

BOTH_CANCELLED = [("client", "cancellation"), ("seller", "cancellation")]
RENEWED = refund_now(refund_id=WALLET)
BOTH_CHAT = [("client", "chat"), ("seller", "chat")]


@pytest.mark.parametrize(
    ("type_", "data", "at", "told"),
    [
        pytest.param("refund.requested", event(refund_now()), known(refund_now()), BOTH_CANCELLED, id="cancelled"),
        pytest.param("order.refunded", all_refunded(0), known(), BOTH_CANCELLED, id="cancelled, nothing due"),
        pytest.param("refund.succeeded", event(arrived()), known(arrived()), CLIENT_REFUND, id="succeeded"),
        pytest.param("refund.succeeded", event(ELSEWHERE), known(ELSEWHERE), CLIENT_REFUND, id="settled elsewhere"),
        pytest.param("refund.redirected", event(REDIRECTED), known(REDIRECTED, TO_WALLET), CLIENT_REFUND, id="wallet"),
        pytest.param("refund.redirected", event(REDIRECTED), known(REDIRECTED, RENEWED), "silent", id="a new key"),
        pytest.param(
            "refund.redirected",
            event(refund_now(provider="wallet", state="redirected", redirected_to=REFUND), refund_id=WALLET),
            known(arrived(), refund_now(refund_id=WALLET, provider="wallet", state="redirected")),
            "silent",
            id="a redirect that is withdrawn",
        ),
        pytest.param("refund.bounced", event(BOUNCED), known(BOUNCED), CLIENT_REFUND, id="bounced"),
        pytest.param("refund.needs_review", event(IN_REVIEW), known(IN_REVIEW), CLIENT_REFUND, id="review"),
        pytest.param(
            "refund.needs_review", event(IN_REVIEW, code="overpaid"), known(IN_REVIEW), "silent", id="overpaid"
        ),
        pytest.param("refund.pending", event(refund_now()), known(refund_now()), "silent", id="pending"),
        pytest.param("refund.failed", event(refund_now()), known(refund_now()), "silent", id="failed"),
        pytest.param("chat.close_scheduled", chat_command(1), known(), "silent", id="close scheduled"),
        pytest.param("chat.closing_soon", chat_command(), known(), BOTH_CHAT, id="closing soon"),
        pytest.param("chat.close", chat_command(3), known(), "silent", id="close"),
        pytest.param(
            "chat.close_withdrawn", chat_command(4), known(conversation=open_chat()), BOTH_CHAT, id="stays open"
        ),
        pytest.param(
            "order.refused",
            refused("order.reactivation_requested"),
            known(),
            [("client", "refused"), ("seller", "refused")],
            id="reactivation",
        ),
        pytest.param("order.refused", refused("order.accepted"), known(), [("seller", "refused")], id="accepted"),
        pytest.param("order.refused", refused("order.delivered"), known(), [("seller", "refused")], id="delivered"),
        pytest.param("order.refused", refused("order.completed"), known(), [("seller", "refused")], id="completed"),
        pytest.param("order.refused", refused("order.cancelled"), known(), [("client", "refused")], id="too late"),
        pytest.param("order.refused", refused("order.of_tomorrow"), known(), "silent", id="unknown attempt"),
        pytest.param("payout.refused", payout()[0], known(payout=payout()[1]), [("seller", "refused")], id="payout"),
        pytest.param("payout.allowed", payout()[0], known(payout=payout()[1]), "silent", id="payout allowed"),
    ],
)
def test_who_is_told_of_what(type_: str, data: Any, at: Any, told: Any) -> None:
    said = decide(type_, data, at)
    if told == "silent":
        assert (said.label, said.notices) == ("silent", ())
        return
    assert (said.label, sides(said)) == ("applied", told)
    assert {one.recipient_id for one in said.notices} <= {CLIENT, SELLER}
    again = decide(type_, data, msgspec.structs.replace(at, told=told_by(said)))
    assert (again.label, again.notices) == ("duplicate", ()), "once a fact and person"


@pytest.mark.parametrize(
    ("type_", "data", "at"),
    [
        pytest.param("refund.succeeded", event(arrived()), known(BOUNCED), id="a success that came back"),
        pytest.param(
            "refund.succeeded",
            event(arrived()),
            known(arrived(revision=5), bounces={REFUND: (3,)}),
            id="a success that came back before the next one",
        ),
        pytest.param("refund.succeeded", event(ELSEWHERE), known(IN_REVIEW), id="settled elsewhere no more"),
        pytest.param(
            "refund.bounced", event(BOUNCED), known(arrived(revision=4)), id="a bounce nobody knew of, mended since"
        ),
        pytest.param(
            "refund.redirected", event(REDIRECTED), known(arrived(), TO_WALLET), id="a redirect that was withdrawn"
        ),
        pytest.param("refund.needs_review", event(IN_REVIEW), known(arrived(revision=4)), id="a review that ended"),
        pytest.param(
            "refund.needs_review",
            event(IN_REVIEW),
            known(arrived(state="needs_review")),
            id="a review of money that arrived",
        ),
        pytest.param("chat.closing_soon", chat_command(), known(conversation=open_chat()), id="a close withdrawn"),
        pytest.param(
            "chat.closing_soon",
            chat_command(),
            known(conversation=chat(close_at=CLOSE_AT + timedelta(days=1))),
            id="a close put off",
        ),
        pytest.param("chat.closing_soon", chat_command(), known(now=CLOSE_AT), id="a reminder after the close"),
        pytest.param("chat.close_withdrawn", chat_command(4), known(conversation=chat(revision=7)), id="closes again"),
        pytest.param("refund.succeeded", event(arrived()), known(), id="an unknown refund"),
    ],
)
def test_what_is_not_so_any_more_is_told_nobody(type_: str, data: Any, at: Any) -> None:
    said = decide(type_, data, at)
    assert (said.label, said.notices) == ("stale", ())


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"client_id": None}, ["seller"]),
        ({"seller_id": None}, ["client"]),
        ({"client_id": None, "seller_id": None}, []),
    ],
)
def test_whom_nobody_knows_is_not_told(order: dict[str, Any], told: list[str]) -> None:
    said = decide("order.refused", refused("order.reactivation_requested"), known(order=order))
    assert [one.kind for one in said.notices] == told
    assert said.label == ("applied" if told else "unaddressed")


def test_of_an_order_that_nobody_knows_nothing_is_told() -> None:
    unknown = {name: None for name in builders.cancelled_order().__struct_fields__ if name != "order_id"}
    at = known(refund_now(), order={**unknown, "revision": 0}, conversation=None)
    for type_, data in (
        ("refund.requested", event(refund_now())),
        ("order.refunded", all_refunded()),
        ("order.refused", refused("order.accepted")),
        ("payout.refused", payout()[0]),
    ):
        assert decide(type_, data, at).label == "unaddressed", type_


def test_a_payout_names_the_seller_even_where_the_order_does_not() -> None:
    told, row = payout("not_completed")
    said = decide("payout.refused", told, known(order={"seller_id": None, "seller_locale": None}, payout=row))
    (one,) = said.notices
    assert (one.recipient_id, one.locale) == (SELLER, "en")


def test_what_is_sent_is_keyed_by_its_recipient_and_named_by_its_fact() -> None:
    at = known(refund_now(), order={"client_locale": "pt-BR"})
    client, seller = (request_of(one, NOW) for one in decide("refund.requested", event(refund_now()), at).notices)
    assert (client.topic, client.type, client.key) == ("notifications.requested.v1", "notification.requested", CLIENT)
    assert isinstance(client.data, NotificationRequested)
    assert client.data.locale == "pt-BR", "the recorded locale, whatever language it is written in"
    assert client.data.body.startswith("Your order was cancelled")
    assert client.data.facts == {
        "fact": "order.cancelled",
        "cancelled_by": "client",
        "amount_minor": 4500,
        "currency": "EUR",
        "card_minor": 4500,
        "card_visible_by": "2026-11-30",
        "chat_closes_at": "2026-11-30T09:15:00+00:00",
    }
    assert seller.key == SELLER
    later = msgspec.structs.replace(at, now=NOW + timedelta(hours=1))
    again = request_of(decide("refund.requested", event(refund_now(), revision=9), later).notices[0], later.now)
    assert again.id == client.id, "the same fact has the same message id"
