"""PayPal's published rules for the requests that Annul sends, held to the letter.

From its OpenAPI documents (Payments v2.9, Transaction Search v1.9, Webhooks v1) and the reference of its OAuth2 call.
Where a document leaves a length open the reference's own is taken. A field that no document names is a fault too: a
mock made from them refuses it.
"""

import base64
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from workers.providers.simulated.wire import Request

Rule = tuple[int, int, str]
"""Shortest, longest, pattern."""

_ANY: Final = r"^.*$"
_WORDS: Final = r"^(?!\d+$)\w+\S+"
_ID: Final = r"^[A-Za-z0-9_.:%-]+$"
_MONEY: Final = r"^((-?[0-9]+)|(-?([0-9]+)?[.][0-9]+))$"
_TIME: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[1-2][0-9]|3[0-1])[T,t]([0-1][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)"
    r"([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_MAX_PERIOD: Final = timedelta(days=31)

MONEY: Final[dict[str, Rule]] = {"value": (0, 32, _MONEY), "currency_code": (3, 3, r"^[A-Z]{3}$")}
REFUND: Final[dict[str, Rule]] = {
    "custom_id": (1, 127, _ANY),
    "invoice_id": (1, 127, _ANY),
    "note_to_payer": (1, 255, _ANY),
}
HEADERS: Final[dict[str, Rule]] = {
    "paypal-request-id": (1, 108, _ANY),
    "prefer": (1, 25, r"^return=(minimal|representation)$"),
    "paypal-auth-assertion": (1, 10_000, _ANY),
}
REPORT: Final[dict[str, Rule]] = {
    "transaction_id": (17, 19, r"^[a-zA-Z0-9]*$"),
    "transaction_type": (1, 5, r"^T[0-9]{4}$"),
    "transaction_status": (1, 1, r"^[DPSV]$"),
    "start_date": (20, 64, _TIME),
    "end_date": (20, 64, _TIME),
    "fields": (1, 200, r"^(all|[a-z_]+_info(,[a-z_]+_info)*)$"),
    "balance_affecting_records_only": (1, 1, r"^[YN]$"),
    "page_size": (1, 3, r"^([1-9]|[1-9][0-9]|[1-4][0-9]{2}|500)$"),
    "page": (1, 10, r"^[1-9][0-9]*$"),
}
VERIFICATION: Final[dict[str, Rule]] = {
    "auth_algo": (0, 100, r"^[a-zA-Z0-9]+$"),
    "cert_url": (0, 500, r"^https?://\S+$"),
    "transmission_id": (0, 50, _WORDS),
    "transmission_sig": (0, 500, _WORDS),
    "transmission_time": (0, 100, _TIME),
    "webhook_id": (0, 50, r"^[a-zA-Z0-9]+$"),
}
_DECIMALS: Final = {"HUF": 0, "JPY": 0, "TWD": 0}
_USUAL: Final = frozenset({"host", "accept", "user-agent", "connection", "authorization", "content-type"}) | {
    "content-length",
    "accept-encoding",
}


class BrokenRule(AssertionError):
    """A request that PayPal would refuse."""


def check(request: Request) -> str:
    """Hold a request to the rules of its operation, and give that one's name. Raises `BrokenRule`."""
    path, method = request.path, request.method
    if (method, path) == ("POST", "/v1/oauth2/token"):
        return _token(request)
    _bearer(request)
    if (method, path) == ("GET", "/v1/reporting/transactions"):
        return _report(request)
    if (method, path) == ("POST", "/v1/notifications/verify-webhook-signature"):
        return _verification(request)
    if request.query:
        raise BrokenRule(f"parameters that no document names: {request.query}")
    found = re.fullmatch(r"/v2/payments/(captures|refunds)/([^/]+)(/refund)?", path)
    if found is None:
        raise BrokenRule(f"no such operation: {method} {path}")
    _hold("id", found.group(2), (1, 64, _ID))
    match method, found.group(1), found.group(3):
        case "POST", "captures", "/refund":
            return _refund(request)
        case "GET", kind, None:
            _headers(request, ("paypal-auth-assertion",))
            _no_body(request)
            return f"{kind}.get"
    raise BrokenRule(f"no such operation: {method} {path}")


def _token(request: Request) -> str:
    _form(request, "application/x-www-form-urlencoded")
    _headers(request, ())
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    client, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
    if scheme != "Basic" or not (client and colon and secret):
        raise BrokenRule("Basic authorization of client id and secret")
    if parse_qsl(request.body.decode(), strict_parsing=True) != [("grant_type", "client_credentials")]:
        raise BrokenRule("grant_type=client_credentials and nothing else")
    return "token"


def _refund(request: Request) -> str:
    _form(request, "application/json")
    _headers(request, ("paypal-request-id", "prefer", "paypal-auth-assertion"))
    if "paypal-request-id" not in request.headers:
        raise BrokenRule("without PayPal-Request-Id a refund may be made twice")
    body = _object(request)
    amount = body.pop("amount", None)
    if not isinstance(amount, dict):
        raise BrokenRule("amount: an object")
    _fields(amount, MONEY, needed=MONEY)
    _fields(body, REFUND, needed=())
    whole, _, decimals = amount["value"].partition(".")
    if len(decimals) > _DECIMALS.get(amount["currency_code"], 2) or amount["value"].startswith("-"):
        raise BrokenRule(f"amount.value: {amount}")
    if not int(whole + decimals):
        raise BrokenRule("amount.value: zero")
    return "captures.refund"


def _report(request: Request) -> str:
    _headers(request, ())
    _no_body(request)
    asked = dict(request.query)
    if len(asked) != len(request.query):
        raise BrokenRule("a parameter twice")
    _fields(asked, REPORT, needed=("start_date", "end_date"))
    since, until = (datetime.fromisoformat(asked[name]) for name in ("start_date", "end_date"))
    if not timedelta(0) <= until - since <= _MAX_PERIOD:
        raise BrokenRule(f"a period of {until - since}")
    return "search.get"


def _verification(request: Request) -> str:
    _form(request, "application/json")
    _headers(request, ())
    body = _object(request)
    if not isinstance(body.pop("webhook_event", None), dict):
        raise BrokenRule("webhook_event: an object")
    _fields(body, VERIFICATION, needed=VERIFICATION)
    return "verify-webhook-signature.post"


def _bearer(request: Request) -> None:
    if not re.fullmatch(r"Bearer [!-~]+", request.headers.get("authorization", "")):
        raise BrokenRule("Bearer authorization")


def _form(request: Request, kind: str) -> None:
    if request.headers.get("content-type", "").partition(";")[0] != kind:
        raise BrokenRule(f"content-type: {kind}")


def _no_body(request: Request) -> None:
    if request.body:
        raise BrokenRule("a GET has no body")


def _object(request: Request) -> dict[str, Any]:
    body = msgspec.json.decode(request.body)
    if not isinstance(body, dict):
        raise BrokenRule("the body: an object")
    return body


def _headers(request: Request, known: tuple[str, ...]) -> None:
    given = {name: value for name, value in request.headers.items() if name not in _USUAL}
    if unknown := given.keys() - set(known):
        raise BrokenRule(f"headers that the operation doesn't take: {sorted(unknown)}")
    _fields(given, HEADERS, needed=())


def _fields(given: Mapping[str, Any], rules: Mapping[str, Rule], needed: Mapping[str, Rule] | tuple[str, ...]) -> None:
    if missing := set(needed) - given.keys():
        raise BrokenRule(f"missing: {sorted(missing)}")
    if unknown := given.keys() - rules.keys():
        raise BrokenRule(f"that no document names: {sorted(unknown)}")
    for name, value in given.items():
        _hold(name, value, rules[name])


def _hold(name: str, value: Any, rule: Rule) -> None:
    shortest, longest, pattern = rule
    if not isinstance(value, str) or not shortest <= len(value) <= longest or not re.search(pattern, value):
        raise BrokenRule(f"{name}: {value!r} is not {shortest} to {longest} characters of {pattern}")
