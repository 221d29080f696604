"""What the first word of a cancellation causes (SPEC R1): refunds of all that is held, commands and ledger lines."""

from datetime import timedelta

import msgspec
import pytest
from kit.builders import (
    CANCELLED_AT,
    NOW,
    ORDER,
    POLICY,
    REFUND,
    cancelled,
    cancelled_order,
    escrow,
    known,
    order,
    refund,
    tender,
)
from kit.memory import OrdersInMemory

from schemas.base import encode
from schemas.envelope import Envelope, decode_data, headers_of, open_record
from schemas.orders import OrderCancelled, Tender
from schemas.refunds import OrderRefunded, RefundDue, RefundEvent, RefundIssue
from schemas.topics import BY_NAME
from workers.domain import ids
from workers.domain.emission import Emission
from workers.domain.order_types import OrderDecision
from workers.domain.orders import decide_order_event
from workers.domain.seller import told

SPLIT = (
    tender("tnd_1", captured_minor=4500),
    tender("tnd_2", captured_minor=500, provider="wallet", reference="wal_cli_1"),
    tender("tnd_3", captured_minor=1000, refunded_minor=400, provider="paypal", reference="cap_9"),
)


def decide(event: OrderCancelled) -> OrderDecision:
    return decide_order_event(event, known(order=order(order_id=event.order_id)), NOW, POLICY)


def of_type(decision: OrderDecision, type_: str) -> list[Emission]:
    return [emission for emission in decision.emissions if emission.type == type_]


def test_everything_held_goes_back_at_once() -> None:
    decision = decide(cancelled())
    assert decision.label == "applied"
    assert decision.fault is None
    assert decision.refunds == (refund(),)


def test_the_order_is_recorded_as_cancelled() -> None:
    assert decide(cancelled()).known.order == cancelled_order()


def test_each_tender_is_refunded_where_it_came_from_and_less_what_went_back_before() -> None:
    found = [
        (one.tender_id, one.provider, one.reference, one.amount_minor, one.currency)
        for one in decide(cancelled(ORDER, *SPLIT)).refunds
    ]
    assert found == [
        ("tnd_1", "card", "pi_3Nx", 4500, "EUR"),
        ("tnd_2", "wallet", "wal_cli_1", 500, "EUR"),
        ("tnd_3", "paypal", "cap_9", 600, "EUR"),
    ]


@pytest.mark.parametrize(("currency", "amount"), [("JPY", 5800), ("KWD", 1234), ("EUR", 1), ("XOF", 10**15)])
def test_amounts_are_never_scaled_or_rounded(currency: str, amount: int) -> None:
    decision = decide(cancelled(escrow=escrow(tender(captured_minor=amount), currency=currency)))
    assert [(one.amount_minor, one.currency) for one in decision.refunds] == [(amount, currency)]
    command = of_type(decision, "refund.issue")[0].data
    assert isinstance(command, RefundIssue)
    assert (command.amount_minor, command.currency) == (amount, currency)


def test_each_refund_is_commanded_on_its_providers_topic_and_told() -> None:
    decision = decide(cancelled(ORDER, *SPLIT))
    commands = of_type(decision, "refund.issue")
    assert [(one.topic, one.key) for one in commands] == [
        ("refunds.commands.card.v1", ORDER),
        ("refunds.commands.wallet.v1", ORDER),
        ("refunds.commands.paypal.v1", ORDER),
    ]
    assert [one.data.attempt for one in commands if isinstance(one.data, RefundIssue)] == [1, 1, 1]
    told = of_type(decision, "refund.requested")
    assert [(one.data.tender_id, one.data.state) for one in told if isinstance(one.data, RefundEvent)] == [
        ("tnd_1", "requested"),
        ("tnd_2", "requested"),
        ("tnd_3", "requested"),
    ]


def test_a_refund_waits_for_its_answer_no_longer_than_its_due_row() -> None:
    decision = decide(cancelled(ORDER, *SPLIT))
    waiting = [one for one in decision.later if one.emission.type == "refund.due"]
    assert [one.subject for one in waiting] == [one.refund_id for one in decision.refunds]
    assert {one.due_at for one in waiting} == {NOW + timedelta(seconds=POLICY.refunds.command_again_s)}
    assert [one.emission.data.revision for one in waiting if isinstance(one.emission.data, RefundDue)] == [1, 1, 1]
    assert POLICY.refunds.command_again_s > POLICY.refunds.lease_s


@pytest.mark.parametrize(
    "tenders",
    [
        (),
        (tender(captured_minor=4500, refunded_minor=4500),),
        (tender(captured_minor=0),),
        (tender("a", captured_minor=7, refunded_minor=7), tender("b", captured_minor=0, provider="wallet")),
    ],
)
def test_an_order_of_which_nothing_is_due_is_refunded_at_once(tenders: tuple[Tender, ...]) -> None:
    decision = decide(cancelled(escrow=escrow(*tenders)))
    assert decision.refunds == ()
    assert of_type(decision, "refund.issue") == []
    told = of_type(decision, "order.refunded")
    assert [one.data for one in told] == [
        OrderRefunded(order_id=ORDER, currency="EUR", amount_minor=0, settled_at=NOW, revision=1)
    ]
    assert decision.known.order.refunded_at == NOW


def test_chat_and_statistics_go_their_way_when_nothing_was_paid() -> None:
    decision = decide(cancelled(escrow=escrow()))
    assert len(of_type(decision, "chat.close_scheduled")) == 1
    assert [one.outcome for one in decision.outcomes] == ["accepted", "cancelled_after_acceptance"]


def test_an_order_with_something_due_is_not_yet_refunded() -> None:
    decision = decide(cancelled(ORDER, tender("a", captured_minor=5, refunded_minor=5), tender("b", captured_minor=1)))
    assert [one.tender_id for one in decision.refunds] == ["b"]
    assert of_type(decision, "order.refunded") == []
    assert decision.known.order.refunded_at is None


def test_escrow_is_opened_and_emptied_line_by_line() -> None:
    decision = decide(cancelled(ORDER, *SPLIT))
    lines = [
        (one.kind, one.debit_account, one.credit_account, one.amount_minor, one.refund_id) for one in decision.transfers
    ]
    first, second, third = (one.refund_id for one in decision.refunds)
    assert lines == [
        ("captured", "provider:card", "escrow:ord_1", 4500, None),
        ("refund_requested", "escrow:ord_1", "refunding:card", 4500, first),
        ("captured", "provider:wallet", "escrow:ord_1", 500, None),
        ("refund_requested", "escrow:ord_1", "refunding:wallet", 500, second),
        ("captured", "provider:paypal", "escrow:ord_1", 1000, None),
        ("refunded_before", "escrow:ord_1", "provider:paypal", 400, None),
        ("refund_requested", "escrow:ord_1", "refunding:paypal", 600, third),
    ]
    assert {(one.currency, one.order_id, one.posted_at) for one in decision.transfers} == {("EUR", ORDER, NOW)}
    assert len({one.transfer_id for one in decision.transfers}) == len(decision.transfers)


def test_nothing_is_posted_where_nothing_moved() -> None:
    assert decide(cancelled(ORDER, tender(captured_minor=0))).transfers == ()


def test_ids_follow_from_the_order_and_never_from_the_clock() -> None:
    first = decide(cancelled(ORDER, *SPLIT))
    later = decide_order_event(cancelled(ORDER, *SPLIT), known(), NOW + timedelta(hours=5), POLICY)
    assert [one.id for one in later.emissions] == [one.id for one in first.emissions]
    assert [one.refund_id for one in later.refunds] == [one.refund_id for one in first.refunds]
    assert [one.transfer_id for one in later.transfers] == [one.transfer_id for one in first.transfers]
    assert decide(cancelled(ORDER, *SPLIT)) == first


def test_the_order_of_tenders_changes_no_id() -> None:
    one, two = decide(cancelled(ORDER, *SPLIT)), decide(cancelled(ORDER, *reversed(SPLIT)))
    assert {emission.id for emission in one.emissions} == {emission.id for emission in two.emissions}
    assert one.known == two.known


def test_no_two_messages_share_an_id() -> None:
    store = OrdersInMemory()
    store.take(cancelled(ORDER, *SPLIT), NOW)
    store.take(cancelled("ord_2", *SPLIT), NOW)
    assert len({emission.id for emission in store.emitted}) == len(store.emitted)


def test_the_reason_goes_nowhere() -> None:
    secret = "my knee operation"  # personal data, not a password
    decision = decide(cancelled(reason=secret))
    assert secret not in repr(decision)


def test_whatever_is_sent_can_be_read_by_its_topics_own_schema() -> None:
    decision = decide(cancelled(ORDER, *SPLIT))
    sent = [*decision.emissions, *(later.emission for later in decision.later)]
    sent += [told(outcome, NOW) for outcome in decision.outcomes]
    assert len(sent) == 3 * 2 + 1 + 2 + 3 + 2
    for one in sent:
        topic = BY_NAME[one.topic]
        envelope, data = open_record(encode(one.data), headers_of(one.type, one.id, one.time))
        assert envelope == Envelope(one.id, "/annul", one.type, envelope.time, None)
        assert decode_data(topic.decoders(), envelope, data) == one.data
        assert one.key == getattr(one.data, topic.key)


def test_ids_fit_and_keep_apart_what_differs() -> None:
    longest = ids.refund_id("o" * 64, "t" * 64)
    assert len(longest) <= 64
    assert ids.refund_id("a:b", "c") != ids.refund_id("a", "b:c")
    assert ids.refund_id("ab", "c") != ids.refund_id("a", "bc")
    assert ids.refund_id("ord_1", "tnd_1") != ids.refund_id("ord_2", "tnd_1") != ids.refund_id("ord_1", "tnd_2")
    assert ids.refund_id(ORDER, "tnd_1") == REFUND
    assert ids.idempotency_key(REFUND) == f"annul-{REFUND}"
    assert len(ids.idempotency_key(longest)) <= 108


def test_a_cancellation_needs_nothing_known_before() -> None:
    after = decide(cancelled()).known
    assert after.order.placed_at is None
    assert after.order.cancelled_at == CANCELLED_AT
    assert msgspec.structs.asdict(after.order)["seller_id"] == "sel_1"
