"""What Stripe's and PayPal's events come to: refunds that stand so, disputes, or nothing of concern."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.base import Fault
from schemas.webhooks import ProviderWebhook
from workers.webhooks.news import DisputeNews, News, RefundNews, at_seconds, at_text, believable
from workers.webhooks.paypal_events import decode_paypal
from workers.webhooks.stripe_events import decode_stripe

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)


def stripe(kind: str, **thing: Any) -> list[News]:
    return decode_stripe(ProviderWebhook(id="evt_1", type=kind, data={"object": thing}))


def stripe_refund(kind: str = "refund.updated", **changes: Any) -> Any:
    fields = {
        "id": "re_1",
        "object": "refund",
        "status": "succeeded",
        "payment_intent": "pi_1",
        "charge": "ch_1",
        "metadata": {"refund_id": "rfd_1"},
    }
    (news,) = stripe(kind, **{**fields, **changes})
    return news


def paypal(kind: str, **thing: Any) -> list[News]:
    return decode_paypal(ProviderWebhook(id="WH-1", event_type=kind, resource=thing))


def paypal_refund(kind: str = "PAYMENT.CAPTURE.REFUNDED", **changes: Any) -> Any:
    links = [
        {"rel": "self", "href": "https://api.paypal.com/v2/payments/refunds/1Y1"},
        {"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/8AC1"},
    ]
    fields = {"id": "1Y1", "status": "COMPLETED", "custom_id": "rfd_1", "links": links}
    (news,) = paypal(kind, **{**fields, **changes})
    return news


# ---------------------------------------------------------------- refunds


@pytest.mark.parametrize("kind", ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"])
@pytest.mark.parametrize(
    ("status", "more", "outcome", "code"),
    [
        ("succeeded", {}, "succeeded", None),
        ("pending", {"pending_reason": "insufficient_funds"}, "pending", "insufficient_funds"),
        ("requires_action", {}, "pending", "requires_action"),
        ("failed", {"failure_reason": "lost_or_stolen_card"}, "declined", "lost_or_stolen_card"),
        ("failed", {"failure_reason": "charge_for_pending_refund_disputed"}, "rejected", None),
        ("canceled", {}, "declined", "canceled"),
    ],
)
def test_a_refund_of_stripe_stands_as_its_status_says_whatever_the_event_is_called(
    kind: str, status: str, more: dict[str, Any], outcome: str, code: str | None
) -> None:
    news = stripe_refund(kind, status=status, **more)
    assert isinstance(news, RefundNews)
    assert (news.provider_refund_id, news.refund_id, news.references) == ("re_1", "rfd_1", ("pi_1", "ch_1"))
    assert news.outcome == outcome
    assert code is None or news.code == code


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [
        ("PAYMENT.CAPTURE.REFUNDED", "COMPLETED", "succeeded"),
        ("PAYMENT.CAPTURE.REFUNDED", "PENDING", "pending"),
        ("PAYMENT.REFUND.PENDING", "PENDING", "pending"),
        ("PAYMENT.REFUND.FAILED", "FAILED", "declined"),
        ("PAYMENT.REFUND.FAILED", "CANCELLED", "declined"),
    ],
)
def test_a_refund_of_paypal_stands_as_its_status_says(kind: str, status: str, outcome: str) -> None:
    news = paypal_refund(kind, status=status)
    assert (news.provider_refund_id, news.refund_id, news.references) == ("1Y1", "rfd_1", ("8AC1",))
    assert news.outcome == outcome


def test_an_expanded_payment_is_known_by_its_id() -> None:
    assert stripe_refund(payment_intent={"id": "pi_1"}, charge=None).references == ("pi_1",)


@pytest.mark.parametrize("ours", [None, "", "a b", "x" * 65, "rfd_1\n", 7, {"$ne": 1}])
def test_an_id_of_ours_that_is_none_is_not_used(ours: Any) -> None:
    assert stripe_refund(metadata={"refund_id": ours}).refund_id is None
    assert paypal_refund(custom_id=ours).refund_id is None
    assert stripe_refund(metadata=ours).refund_id is None


def test_refunds_that_a_charge_carries_are_news_each_and_a_charge_without_is_none() -> None:
    refunds = [
        {"id": "re_1", "status": "succeeded", "metadata": {"refund_id": "rfd_1"}, "charge": "ch_1"},
        {"id": "re_2", "status": "failed", "metadata": {}},
    ]
    news: Any = stripe("charge.refunded", id="ch_1", payment_intent="pi_1", refunds={"data": refunds})
    told = [(one.provider_refund_id, one.refund_id, one.outcome, set(one.references)) for one in news]
    both = {"ch_1", "pi_1"}
    assert told == [("re_1", "rfd_1", "succeeded", both), ("re_2", None, "declined", both)]
    assert stripe("charge.refunded", id="ch_1", payment_intent="pi_1", amount_refunded=100) == []


@pytest.mark.parametrize("changes", [{"status": "on_hold"}, {"status": None}, {"id": "a b"}, {"id": None}])
def test_a_refund_that_can_not_be_read_is_for_a_person(changes: dict[str, Any]) -> None:
    for read in (stripe_refund, paypal_refund):
        with pytest.raises(Fault) as told:
            read(**changes)
        assert told.value.reason == "invalid_field"


@pytest.mark.parametrize("thing", [None, [], "text", 7])
def test_an_event_of_concern_about_no_object_is_for_a_person(thing: Any) -> None:
    with pytest.raises(Fault):
        decode_stripe(ProviderWebhook(id="evt_1", type="refund.updated", data={"object": thing}))
    with pytest.raises(Fault):
        decode_stripe(ProviderWebhook(id="evt_1", type="refund.updated", data=thing))
    with pytest.raises(Fault):
        decode_paypal(ProviderWebhook(id="WH-1", event_type="PAYMENT.REFUND.FAILED", resource=thing))


def test_an_event_without_a_type_is_for_a_person_and_one_of_another_type_is_of_no_concern() -> None:
    for decode in (decode_stripe, decode_paypal):
        with pytest.raises(Fault):
            decode(ProviderWebhook(id="evt_1"))
    assert stripe("payment_intent.succeeded", id="pi_1") == []
    assert paypal("PAYMENT.CAPTURE.COMPLETED", id="8AC1") == []


# ---------------------------------------------------------------- disputes


@pytest.mark.parametrize("kind", ["created", "updated", "closed", "funds_withdrawn", "funds_reinstated"])
@pytest.mark.parametrize(
    ("status", "is_open"),
    [
        ("needs_response", True),
        ("under_review", True),
        ("warning_needs_response", True),
        ("warning_closed", False),
        ("won", False),
        ("lost", True),
        ("a_word_of_tomorrow", True),
    ],
)
def test_a_dispute_of_stripe_holds_refunds_back_unless_it_was_given_up(kind: str, status: str, is_open: bool) -> None:
    (news,) = stripe(f"charge.dispute.{kind}", id="dp_1", payment_intent="pi_1", charge="ch_1", status=status)
    assert isinstance(news, DisputeNews)
    assert (news.dispute_id, news.references, news.code) == ("dp_1", ("pi_1", "ch_1"), "disputed")
    assert (news.status, news.is_open) == (status, is_open)


@pytest.mark.parametrize(
    ("status", "outcome", "shown", "is_open"),
    [
        ("OPEN", None, "OPEN", True),
        ("UNDER_REVIEW", None, "UNDER_REVIEW", True),
        ("RESOLVED", "RESOLVED_SELLER_FAVOUR", "RESOLVED_SELLER_FAVOUR", False),
        ("RESOLVED", "CANCELED_BY_BUYER", "CANCELED_BY_BUYER", False),
        ("RESOLVED", "RESOLVED_BUYER_FAVOUR", "RESOLVED_BUYER_FAVOUR", True),
        ("RESOLVED", "RESOLVED_WITH_PAYOUT", "RESOLVED_WITH_PAYOUT", True),
        ("RESOLVED", None, "RESOLVED", True),
    ],
)
def test_a_dispute_of_paypal_holds_refunds_back_unless_the_client_got_nothing(
    status: str, outcome: str | None, shown: str, is_open: bool
) -> None:
    about = [{"seller_transaction_id": "8AC1"}, {"seller_transaction_id": "8AC2"}, {"buyer_transaction_id": "x"}]
    more = {"dispute_outcome": {"outcome_code": outcome}} if outcome else {}
    (news,) = paypal(
        "CUSTOMER.DISPUTE.RESOLVED", dispute_id="PP-D-1", disputed_transactions=about, status=status, **more
    )
    assert isinstance(news, DisputeNews)
    assert (news.dispute_id, news.references, news.status) == ("PP-D-1", ("8AC1", "8AC2"), shown)
    assert news.is_open is is_open


def test_a_reversed_capture_is_found_by_its_link_or_by_itself() -> None:
    up = [{"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/8AC1"}]
    (linked,) = paypal("PAYMENT.CAPTURE.REVERSED", id="R1", links=up)
    (bare,) = paypal("PAYMENT.CAPTURE.REVERSED", id="8AC1", links=[{"rel": "up", "href": "/v2/checkout/orders/5"}])
    for news in (linked, bare):
        assert isinstance(news, DisputeNews)
        assert (news.references, news.is_open, news.code) == (("8AC1",), True, "capture_reversed")


@pytest.mark.parametrize("links", [None, "text", [7], [{"rel": "up"}], [{"rel": "up", "href": "/captures/a b"}]])
def test_links_that_lead_nowhere_name_no_payment(links: Any) -> None:
    assert paypal_refund(links=links).references == ()


def test_a_dispute_without_a_payment_is_for_a_person() -> None:
    with pytest.raises(Fault):
        stripe("charge.dispute.created", id="dp_1", status="needs_response")
    with pytest.raises(Fault):
        paypal("CUSTOMER.DISPUTE.CREATED", dispute_id="PP-D-1", status="OPEN", disputed_transactions=[])


# ---------------------------------------------------------------- times


def test_an_events_own_time_is_believed_where_it_makes_sense() -> None:
    assert at_seconds(1_795_425_300) == datetime.fromtimestamp(1_795_425_300, UTC)
    assert at_text("2026-11-23T10:15:00+01:00") == NOW
    nonsense: list[Any] = [None, "soon", "2026-11-23T09:15:00", 10**30, -(10**30), [], 1.5]
    assert [at_text(one) for one in nonsense] == [at_seconds(one) for one in nonsense] == [None] * len(nonsense)
    assert believable(NOW - timedelta(days=3), NOW) == NOW - timedelta(days=3)
    for odd in (None, NOW - timedelta(days=400), NOW + timedelta(hours=1)):
        assert believable(odd, NOW) == NOW
