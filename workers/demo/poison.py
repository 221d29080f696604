"""Messages that nobody can process, of many kinds; each is one fault away from a good cancellation."""

import json
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from schemas.envelope import MAX_VALUE_BYTES, STRUCTURED, headers_of
from schemas.topics import ORDERS_EVENTS
from workers.pipeline.ports import Outgoing

Change = Callable[[dict[str, Any]], Any]


def _good(order_id: str) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "conversation_id": f"cnv_{order_id}",
        "client_id": "cli_bad",
        "seller_id": "sel_bad",
        "cancelled_at": "2026-11-23T09:15:00Z",
        "cancelled_by": "client",
        "reason": "free text",
        "stage": "in_progress",
        "escrow": {
            "currency": "EUR",
            "tenders": [
                {
                    "tender_id": "tnd_1",
                    "provider": "card",
                    "reference": "pi_1",
                    "captured_minor": 4500,
                    "refunded_minor": 0,
                }
            ],
        },
        "client_locale": "fr-FR",
        "seller_locale": "fr-FR",
    }


def _without(name: str) -> Change:
    return lambda body: body.pop(name)


def _tender_without(name: str) -> Change:
    return lambda body: body["escrow"]["tenders"][0].pop(name)


def _tender(**changes: Any) -> Change:
    return lambda body: body["escrow"]["tenders"][0].update(changes)


BROKEN_BODIES: Final[dict[str, tuple[Change, str]]] = {
    **{f"no {name}": (_without(name), name) for name in _good("x")},
    **{
        f"no {name}": (_tender_without(name), f"escrow.tenders[0].{name}")
        for name in ("tender_id", "provider", "reference", "captured_minor", "refunded_minor")
    },
    "no currency": (lambda body: body["escrow"].pop("currency"), "escrow.currency"),
    "id with a space": (lambda body: body.update(order_id="ord 1"), "order_id"),
    "id too long": (lambda body: body.update(order_id="o" * 65), "order_id"),
    "empty id": (lambda body: body.update(seller_id=""), "seller_id"),
    "id a number": (lambda body: body.update(client_id=4), "client_id"),
    "time without zone": (lambda body: body.update(cancelled_at="2026-11-23T09:15:00"), "cancelled_at"),
    "time a number": (lambda body: body.update(cancelled_at=1764000000), "cancelled_at"),
    "no such day": (lambda body: body.update(cancelled_at="2026-02-30T09:15:00Z"), "cancelled_at"),
    "time of another age": (lambda body: body.update(cancelled_at="1026-11-23T09:15:00Z"), "cancelled_at"),
    "reason too long": (lambda body: body.update(reason="x" * 501), "reason"),
    "unknown stage": (lambda body: body.update(stage="finished"), "stage"),
    "unknown canceller": (lambda body: body.update(cancelled_by="nobody"), "cancelled_by"),
    "bad locale": (lambda body: body.update(client_locale="français"), "client_locale"),
    "escrow a list": (lambda body: body.update(escrow=[]), "escrow"),
    "unknown currency": (lambda body: body["escrow"].update(currency="XXX"), "escrow.currency"),
    "currency in small letters": (lambda body: body["escrow"].update(currency="eur"), "escrow.currency"),
    "tenders missing": (lambda body: body["escrow"].pop("tenders"), "escrow.tenders"),
    "too many tenders": (lambda body: body["escrow"].update(tenders=body["escrow"]["tenders"] * 33), "escrow.tenders"),
    "two tenders of one id": (
        lambda body: body["escrow"].update(tenders=body["escrow"]["tenders"] * 2),
        "escrow.tenders",
    ),
    "unknown provider": (_tender(provider="cash"), "escrow.tenders[0].provider"),
    "negative amount": (_tender(captured_minor=-1), "escrow.tenders[0].captured_minor"),
    "fraction": (_tender(captured_minor=45.5), "escrow.tenders[0].captured_minor"),
    "amount as text": (_tender(captured_minor="4500"), "escrow.tenders[0].captured_minor"),
    "amount beyond measure": (_tender(captured_minor=10**30), "escrow.tenders[0].captured_minor"),
    "more refunded than captured": (_tender(refunded_minor=4501), "escrow.tenders[0].refunded_minor"),
}
"""A change to a good body, and the field that the reason must name."""

BROKEN_VALUES: Final[dict[str, tuple[bytes | None, str]]] = {
    "tombstone": (None, "value"),
    "empty": (b"", "value"),
    "half an object": (b'{"order_id":"ord_1"', "value"),
    "a list": (b"[]", "value"),
    "null": (b"null", "value"),
    "not UTF-8": (b'{"order_id":"\xff\xfe"}', "value"),
    "plain bytes": (bytes(range(256)), "value"),
    "too deep": (b"[" * 20_000, "value"),
    "too large": (b'{"reason":"' + b"x" * MAX_VALUE_BYTES + b'"}', "value"),
}

BROKEN_HEADERS: Final[dict[str, tuple[dict[str, bytes | None], str]]] = {
    "no type": ({"ce_type": None}, "ce_type"),
    "unknown type": ({"ce_type": b"order.exploded"}, "ce_type"),
    "no id": ({"ce_id": None}, "ce_id"),
    "id with a slash": ({"ce_id": b"a/b"}, "ce_id"),
    "no source": ({"ce_source": None}, "ce_source"),
    "another version": ({"ce_specversion": b"0.3"}, "ce_specversion"),
    "bad time": ({"ce_time": b"yesterday"}, "ce_time"),
    "header not UTF-8": ({"ce_type": b"\xff"}, "ce_type"),
    "another format": ({"content-type": b"application/avro"}, "content-type"),
    "structured, but empty": ({"content-type": STRUCTURED.encode()}, "specversion"),
}

KINDS: Final = (*BROKEN_BODIES, *BROKEN_VALUES, *BROKEN_HEADERS)


def field_of(kind: str) -> str:
    """The field that the reason must name for a kind of poison."""
    for table in (BROKEN_BODIES, BROKEN_VALUES, BROKEN_HEADERS):
        if kind in table:
            return table[kind][1]
    raise KeyError(kind)


def poison(number: int, rng: random.Random, now: datetime) -> Outgoing:
    """The record of kind `number`, counted round."""
    kind = KINDS[number % len(KINDS)]
    order_id = f"bad_{number:05d}"
    body = _good(order_id)
    headers = dict(headers_of("order.cancelled", f"bad_{rng.getrandbits(48):012x}", now))
    value: bytes | None
    if kind in BROKEN_VALUES:
        value = BROKEN_VALUES[kind][0]
    else:
        if kind in BROKEN_BODIES:
            BROKEN_BODIES[kind][0](body)
        else:
            for name, changed in BROKEN_HEADERS[kind][0].items():
                if changed is None:
                    del headers[name]
                else:
                    headers[name] = changed
        value = json.dumps(body, ensure_ascii=False).encode()
    return Outgoing(ORDERS_EVENTS.name, order_id.encode(), value, list(headers.items()))
