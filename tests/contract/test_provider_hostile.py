"""Whatever a provider sends, or fails to, comes out as an answer: no adapter ever raises for it."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.provider_kit import KINDS, SECRETS, Kind, bench

from schemas.refunds import Outcome, RefundIssue, RefundLookUp
from workers.providers.card import CardProvider
from workers.providers.http import ConnectionLost, ConnectionRefused, Response, TimedOut
from workers.providers.paypal import PayPalProvider
from workers.providers.port import ListedRefund, ListFailed, Provider

UNTIL = datetime(2026, 11, 23, tzinfo=UTC)
WORDS = st.sampled_from(
    """id status succeeded COMPLETED FAILED failed failure_reason metadata refund_id amount value currency currency_code
    created data has_more error code type message name details issue debug_id access_token expires_in eur EUR T1107
    transaction_details transaction_info transaction_id transaction_event_code transaction_amount transaction_status
    transaction_initiation_date total_pages re_1 -1.00 S destination_details card reference
    2026-11-23T00:00:00Z""".split()
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | WORDS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=8), max_leaves=30
)
CARD_REFUND: dict[str, Any] = {
    "id": "re_1",
    "status": "failed",
    "amount": 100,
    "currency": "eur",
    "created": 1_800_000_000,
    "failure_reason": "lost_or_stolen_card",
    "metadata": {"refund_id": "rf_1"},
    "payment_intent": "pi_1",
    "charge": "ch_1",
    "destination_details": {"card": {"reference": "7400", "type": "refund"}},
}
PAYPAL_REFUND = {
    "id": "1JU",
    "status": "PENDING",
    "status_details": {"reason": "ECHECK"},
    "acquirer_reference_number": "7400",
}
TRANSACTION = {
    "transaction_event_code": "T1107",
    "transaction_id": "1JU",
    "transaction_status": "S",
    "transaction_initiation_date": "2026-11-23T00:00:00+0000",
    "transaction_amount": {"value": "-1.00", "currency_code": "EUR"},
    "paypal_reference_id": "8AC",
    "paypal_reference_id_type": "TXN",
    "custom_field": "rf_1",
}
GOOD: list[tuple[int, Any]] = [
    (200, CARD_REFUND),
    (200, {**CARD_REFUND, "status": "pending", "pending_reason": "processing"}),
    (200, {"data": [CARD_REFUND], "has_more": False}),
    (201, PAYPAL_REFUND),
    (200, {"status": "COMPLETED"}),
    (200, {"transaction_details": [{"transaction_info": TRANSACTION}], "total_items": 1, "total_pages": 1}),
    (402, {"error": {"code": "insufficient_funds", "type": "card_error", "message": "x"}}),
    (422, {"name": "UNPROCESSABLE_ENTITY", "debug_id": "d1", "message": "x", "details": [{"issue": "A"}]}),
]
ODD: list[Any] = [None, True, -1, 10**30, 1.5, 1e300, "", "x", "\x00\u202e", "y" * 9000, [], [[]], {}, {"id": 7}]


def _spoiled(thing: Any) -> Iterator[Any]:
    """The thing with one of its parts, at any depth, missing or replaced."""
    yield from ODD
    if isinstance(thing, list):
        yield from ([part] for part in _spoiled(thing[0]))
    if isinstance(thing, dict):
        for name, value in thing.items():
            yield {other: kept for other, kept in thing.items() if other != name}
            yield from ({**thing, name: part} for part in _spoiled(value))


HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "request-id", "paypal-debug-id", "idempotent-replayed", "content-type"]),
    st.text(max_size=30) | st.sampled_from(["9" * 400, "-1", "Mon, 99 Zzz 9999 99:99:99 GMT", "true"]),
)
BODIES = st.binary(max_size=50) | JSON.map(msgspec.json.encode) | st.just(b"[" * 5000) | st.just(b'{"a":' * 5000)
STATUSES = st.sampled_from([200, 201, 204, 301, 400, 401, 402, 403, 404, 409, 422, 429, 500, 503, 599])
RESPONSES = st.builds(Response, STATUSES, HEADERS, BODIES)
FAILURES = st.sampled_from([ConnectionLost("x"), ConnectionRefused("x"), TimedOut("x")])
TOKEN = Response(200, {}, b'{"access_token":"t0ken","expires_in":900}')


class Hostile:
    """A transport that gives what it is told, the last again and again; tokens are given now and then."""

    def __init__(self, steps: list[Any], *, tokens: bool) -> None:
        self._steps = steps
        self._tokens = tokens

    async def request(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, deadline_s: float
    ) -> Response:
        if self._tokens and url.endswith("/v1/oauth2/token"):
            return TOKEN
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if isinstance(step, Exception):
            raise step
        assert isinstance(step, Response)
        return step

    async def close(self) -> None: ...


async def _no_pause(_: float) -> None: ...


def _adapter(kind: Kind, steps: list[Any], *, tokens: bool) -> Provider:
    transport = Hostile(steps, tokens=tokens)
    if kind == "card":
        return CardProvider(transport, "http://x.test", SECRETS[0], 10, pause=_no_pause)
    return PayPalProvider(transport, "http://x.test", "id", SECRETS[1], 10, pause=_no_pause)


@pytest.fixture(scope="module")
async def commands() -> dict[Kind, tuple[RefundIssue, RefundLookUp, RefundLookUp]]:
    made: dict[Kind, tuple[RefundIssue, RefundLookUp, RefundLookUp]] = {}
    for kind in KINDS:
        async with bench(kind) as at:
            made[kind] = (at.issue(), at.look_up(), at.look_up(provider_refund_id="re_1"))
    return made


@pytest.mark.parametrize("kind", KINDS)
@given(steps=st.lists(RESPONSES | FAILURES, min_size=1, max_size=4), tokens=st.booleans())
async def test_every_call_ends_with_an_answer(
    kind: Kind,
    steps: list[Any],
    tokens: bool,
    commands: dict[Kind, tuple[RefundIssue, RefundLookUp, RefundLookUp]],
) -> None:
    adapter = _adapter(kind, steps, tokens=tokens)
    issue, by_mark, by_id = commands[kind]
    answers = [
        await adapter.issue(issue),
        await adapter.look_up(by_mark),
        await adapter.look_up(by_id),
        await adapter.probe(),
    ]
    for answer in answers:
        assert answer.outcome in get_args(Outcome)
        text = msgspec.json.encode(answer).decode()
        assert not any(secret in text for secret in SECRETS)
        assert answer.retry_after_s is None or 0 <= answer.retry_after_s <= 86_400
    # A look-up moves no money and proves no refusal that isn't the refund's own.
    assert answers[1].outcome != "rejected" or answers[1].provider_refund_id is not None
    await adapter.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_object_that_is_odd_in_one_part_ends_with_an_answer(
    kind: Kind, commands: dict[Kind, tuple[RefundIssue, RefundLookUp, RefundLookUp]]
) -> None:
    issue, by_mark, by_id = commands[kind]
    for status, good in GOOD:
        for thing in _spoiled(good):
            body = json.dumps(thing).encode()
            adapter = _adapter(kind, [Response(status, {}, body)], tokens=True)
            for answer in (await adapter.issue(issue), await adapter.look_up(by_mark), await adapter.look_up(by_id)):
                assert answer.outcome in get_args(Outcome)
                assert answer.outcome not in ("succeeded", "pending") or answer.provider_refund_id
                assert len(answer.code or "") <= 128
                assert len(answer.detail or "") <= 500
            with suppress(ListFailed):
                [one async for one in adapter.list_refunds(UNTIL - timedelta(days=1), UNTIL)]


@pytest.mark.parametrize("kind", KINDS)
@given(steps=st.lists(RESPONSES | FAILURES, min_size=1, max_size=4), tokens=st.booleans())
async def test_every_list_ends_whole_or_fails(kind: Kind, steps: list[Any], tokens: bool) -> None:
    adapter = _adapter(kind, steps, tokens=tokens)
    told = None
    listed: list[ListedRefund] = []
    try:
        listed = [one async for one in adapter.list_refunds(UNTIL - timedelta(days=1), UNTIL)]
    except ListFailed as failed:
        told = str(failed)
    assert told != ""
    assert not any(secret in (told or "") for secret in SECRETS)
    assert all(one.amount_minor > 0 and one.made_at.tzinfo is not None for one in listed)
    await adapter.close()
