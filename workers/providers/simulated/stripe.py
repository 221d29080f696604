"""The simulated card provider: Stripe's refunds API, as strict with its parameters as the real one."""

import base64
import hmac
import operator
import re
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from workers.providers.simulated.book import Entry
from workers.providers.simulated.engine import Post, Simulator, World
from workers.providers.simulated.fault_table import FAULTS, Fault
from workers.providers.simulated.keys import Stored
from workers.providers.simulated.wire import Reply, Request, json_reply

_POST_FIELDS: Final = frozenset(
    {
        *("amount", "charge", "currency", "customer", "instructions_email", "origin", "payment_intent", "reason"),
        *("refund_application_fee", "reverse_transfer"),
    }
)
_PERIOD: Final = {
    "created[gt]": operator.gt,
    "created[gte]": operator.ge,
    "created[lt]": operator.lt,
    "created[lte]": operator.le,
    "created": operator.eq,
}
_LIST_FIELDS: Final = frozenset({"charge", "payment_intent", "limit", "starting_after", "ending_before", *_PERIOD})
_REASONS: Final = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
_METADATA: Final = re.compile(r"metadata\[([^\[\]]{1,40})\]\Z")
_AMOUNT: Final = re.compile(r"[1-9]\d{0,14}\Z")
_MAX_KEY: Final = 255
_MAX_METADATA: Final = 500
_MAX_LIMIT: Final = 100
_TOO_MUCH: Final = Fault(name="too_much", stage="work", act="refuse", status=400)


class _Invalid(Exception):
    """A parameter that Stripe refuses."""

    def __init__(self, code: str, parameter: str) -> None:
        super().__init__(code)
        self.code, self.parameter = code, parameter


class StripeSimulator(Simulator):
    """`POST /v1/refunds`, `GET /v1/refunds`, `GET /v1/refunds/{id}`."""

    provider = "stripe"
    made_status = 200

    def __init__(self, world: World) -> None:
        super().__init__(world, world.settings.stripe_key_ttl_s)
        self.stores_errors = world.settings.stripe_stores_errors

    async def route(self, request: Request) -> Reply:
        """As the base says."""
        if not self._authentic(request.headers.get("authorization", "")):
            return self.refusal(FAULTS["http_401"])
        try:
            if request.path == "/v1/refunds" and request.method == "POST":
                return await self.make(_post_of(request))
            if request.path == "/v1/refunds" and request.method == "GET":
                reference, page = self._page(dict(request.query))
                return await self.look_up(reference, json_reply(200, page, self._headers()))
            if request.path.startswith("/v1/refunds/") and request.method == "GET":
                entry = self._known(request.path.removeprefix("/v1/refunds/"), "id")
                return await self.look_up(entry.reference, self.shown(entry, 200, whole=True))
        except _Invalid as error:
            missing = error.code == "resource_missing"
            return self._error(404 if missing else 400, error.code, parameter=error.parameter)
        return self._error(404, None)

    def refusal(self, fault: Fault) -> Reply:
        """As the base says."""
        code = None if fault.code == "PERMISSION_DENIED" else fault.code
        kind = "api_error" if fault.status >= 500 else fault.kind  # noqa: PLR2004 - server errors
        headers = {"retry-after": str(self.world.settings.retry_after_s)} if fault.status == 429 else {}  # noqa: PLR2004
        return self._error(fault.status, code, kind, headers=headers)

    def refuses(self, post: Post) -> Fault | None:
        """As the base says."""
        if ("stripe", post.reference) in self.book.disputed:
            return FAULTS["charge_disputed"]
        left = self.book.captured("stripe", post.reference).amount - self.book.refunded("stripe", post.reference)
        if left <= 0:
            return FAULTS["charge_already_refunded"]
        return _TOO_MUCH if post.amount > left else None

    def shown(self, entry: Entry, status: int, *, whole: bool) -> Reply:  # noqa: ARG002 - PayPal's preference
        """As the base says."""
        return json_reply(status, refund_object(entry), self._headers())

    def in_progress(self) -> Reply:
        """As the base says."""
        return self.refusal(FAULTS["idempotency_key_in_use"])

    def key_misused(self) -> Reply:
        """As the base says."""
        return self.refusal(FAULTS["idempotency_error"])

    def replayed(self, stored: Stored, post: Post) -> Reply:  # noqa: ARG002
        """The very response of the first time, even if the refund moved since."""
        assert stored.reply is not None
        return msgspec.structs.replace(stored.reply, headers={**stored.reply.headers, "idempotent-replayed": "true"})

    def _authentic(self, header: str) -> bool:
        scheme, _, value = header.partition(" ")
        if scheme == "Basic":
            try:
                value = base64.b64decode(value).decode().partition(":")[0]
            except ValueError:
                return False
        return hmac.compare_digest(value.encode(), self.world.settings.stripe_api_key.encode())

    def _headers(self) -> dict[str, str]:
        return {"request-id": f"req_{self.world.rng.randbytes(7).hex()}"}

    def _error(
        self,
        status: int,
        code: str | None,
        kind: str = "invalid_request_error",
        *,
        parameter: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        told = {"code": code, "message": f"Simulated: {code or kind}.", "param": parameter, "type": kind}
        error = {name: value for name, value in told.items() if value is not None}
        return json_reply(status, {"error": error}, {**self._headers(), **(headers or {})})

    def _known(self, refund_id: str, parameter: str) -> Entry:
        entry = self.book.get("stripe", refund_id)
        if entry is None:
            raise _Invalid("resource_missing", parameter)
        return entry

    def _page(self, query: dict[str, str]) -> tuple[str, dict[str, Any]]:
        for name in query:
            if name not in _LIST_FIELDS:
                raise _Invalid("parameter_unknown", name)
        limit = query.get("limit", "10")
        if not limit.isdigit() or not 1 <= int(limit) <= _MAX_LIMIT:
            raise _Invalid("parameter_invalid_integer", "limit")
        reference = query.get("payment_intent") or query.get("charge")
        if reference:
            entries = self.book.of("stripe", reference)
        else:
            entries = [entry for entry in self.book.everything()[::-1] if entry.provider == "stripe"]
        for name in query.keys() & _PERIOD.keys():
            if not query[name].isdigit():
                raise _Invalid("parameter_invalid_integer", name)
            entries = [entry for entry in entries if _PERIOD[name](entry.created, int(query[name]))]
        if after := query.get("starting_after"):
            entries = entries[entries.index(self._known(after, "starting_after")) + 1 :]
        shown = entries[: int(limit)]
        return reference or "", {
            "object": "list",
            "url": "/v1/refunds",
            "has_more": len(entries) > len(shown),
            "data": [refund_object(entry) for entry in shown],
        }


def refund_object(entry: Entry) -> dict[str, Any]:
    """A refund as Stripe shows it."""
    charge = entry.reference.startswith(("ch_", "py_"))
    shown: dict[str, Any] = {
        "id": entry.id,
        "object": "refund",
        "amount": entry.amount,
        "balance_transaction": None,
        "charge": entry.reference if charge else None,
        "created": entry.created,
        "currency": entry.currency.lower(),
        "destination_details": {"card": {"type": "pending"}, "type": "card"},
        "metadata": entry.sent,
        "payment_intent": None if charge else entry.reference,
        "reason": "requested_by_customer",
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": entry.status,
        "transfer_reversal": None,
    }
    if entry.status == "succeeded":
        arn = f"7400{int.from_bytes(entry.id.encode()[-8:]) % 10**19:019d}"
        shown["destination_details"] = {"card": {"reference": arn, "type": "refund"}, "type": "card"}
    if entry.status == "failed":
        shown["failure_reason"] = entry.reason or "unknown"
    if entry.status == "pending":
        shown["pending_reason"] = entry.reason or "processing"
    return shown


def _post_of(request: Request) -> Post:
    """Read the form as strictly as Stripe. Raises `_Invalid`."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise _Invalid("parameter_invalid_empty", "content-type")
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= _MAX_KEY:
        raise _Invalid("parameter_invalid_string", "Idempotency-Key")
    pairs = parse_qsl(request.body.decode(), keep_blank_values=True)
    form: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for name, value in pairs:
        if found := _METADATA.match(name):
            if len(value) > _MAX_METADATA:
                raise _Invalid("parameter_invalid_string", name)
            metadata[found.group(1)] = value
        elif name in _POST_FIELDS and name not in form:
            form[name] = value
        else:
            raise _Invalid("parameter_unknown", name)
    if ("charge" in form) == ("payment_intent" in form):
        raise _Invalid("parameter_missing", "payment_intent")
    # The real one takes a missing amount for all that is left; this one holds callers to naming it.
    if not _AMOUNT.match(form.get("amount", "")):
        raise _Invalid("parameter_invalid_integer", "amount")
    if form.get("reason", "duplicate") not in _REASONS:
        raise _Invalid("parameter_invalid_string", "reason")
    return Post(
        reference=form.get("payment_intent") or form["charge"],
        amount=int(form["amount"]),
        currency=None,
        refund_id=metadata.get("refund_id"),
        order_id=metadata.get("order_id"),
        key=key,
        fingerprint=repr(sorted(pairs)),
        sent=metadata,
    )
