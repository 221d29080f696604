"""The simulated PayPal: OAuth2 tokens, refunds of captures, look-ups, and verification of webhooks."""

import base64
import hmac
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from workers.providers.simulated import paypal_form, paypal_report
from workers.providers.simulated.book import Entry
from workers.providers.simulated.engine import Post, Simulator, World
from workers.providers.simulated.fault_table import FAULTS, Fault
from workers.providers.simulated.keys import Stored
from workers.providers.simulated.signatures import PAYPAL_ALGORITHM, PAYPAL_CERT_PATH, paypal_signature
from workers.providers.simulated.wire import Reply, Request, json_reply

_CAPTURES: Final = "/v2/payments/captures/"
_REFUNDS: Final = "/v2/payments/refunds/"
_STATUS: Final = {
    "succeeded": "COMPLETED",
    "pending": "PENDING",
    "requires_action": "PENDING",
    "failed": "FAILED",
    "canceled": "CANCELLED",
}
_NAMES: Final = {
    400: "INVALID_REQUEST",
    401: "AUTHENTICATION_FAILURE",
    403: "NOT_AUTHORIZED",
    404: "RESOURCE_NOT_FOUND",
    409: "RESOURCE_CONFLICT",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "UNPROCESSABLE_ENTITY",
    429: "RATE_LIMIT_REACHED",
    500: "INTERNAL_SERVER_ERROR",
    503: "SERVICE_UNAVAILABLE",
}


class _Verification(msgspec.Struct, frozen=True):
    auth_algo: str
    cert_url: str
    transmission_id: str
    transmission_sig: str
    transmission_time: str
    webhook_id: str
    webhook_event: msgspec.Raw


class PayPalSimulator(Simulator):
    """The part of PayPal that Annul calls. `base_url` is set by whoever opens the port."""

    provider = "paypal"
    made_status = 201
    stores_errors = False

    def __init__(self, world: World) -> None:
        super().__init__(world, world.settings.paypal_key_ttl_s)
        self.base_url = ""
        self.token_failures: list[Reply | None] = []
        """What the next requests for a token get instead of one; None: they hang."""
        self._tokens: dict[str, float] = {}

    def revoke_tokens(self) -> None:
        """Make every token given so far invalid."""
        self._tokens.clear()

    async def route(self, request: Request) -> Reply:
        """As the base says."""
        path, method = request.path, request.method
        if path == "/v1/oauth2/token" and method == "POST":
            return await self._give_token(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self._tokens.get(token, 0) <= self.world.clock():
            return self.refusal(FAULTS["http_401"])
        if path == "/v1/notifications/verify-webhook-signature" and method == "POST":
            return self._verify(request)
        if path == paypal_report.PATH and method == "GET":
            return await self._report(request)
        if path.startswith(_REFUNDS) and method == "GET":
            entry = self.book.get("paypal", path.removeprefix(_REFUNDS))
            if entry is None:
                return self.refusal(FAULTS["INVALID_RESOURCE_ID"])
            return await self.look_up(entry.reference, self.shown(entry, 200, whole=True))
        if path.startswith(_CAPTURES) and method == "GET":
            reference = path.removeprefix(_CAPTURES)
            return await self.look_up(reference, self._capture(reference))
        if path.startswith(_CAPTURES) and path.endswith("/refund") and method == "POST":
            reference = path.removeprefix(_CAPTURES).removesuffix("/refund")
            try:
                post = paypal_form.post_of(reference, request)
            except paypal_form.Invalid as error:
                return self._error(error.status, error.issue)
            return await self.make(post)
        return self._error(404, None)

    def refusal(self, fault: Fault) -> Reply:
        """As the base says."""
        headers = {"retry-after": str(self.world.settings.retry_after_s)} if fault.status == 429 else {}  # noqa: PLR2004
        issue = None if fault.code == "rate_limit" else fault.code
        return self._error(fault.status, issue, headers)

    def refuses(self, post: Post) -> Fault | None:
        """As the base says."""
        if ("paypal", post.reference) in self.book.disputed:
            return FAULTS["TRANSACTION_DISPUTED"]
        captured = self.book.captured("paypal", post.reference)
        if captured.currency is not None and captured.currency.upper() != post.currency:
            return FAULTS["REFUND_CAPTURE_CURRENCY_MISMATCH"]
        invoice = post.sent.get("invoice_id")
        if invoice and any(entry.sent.get("invoice_id") == invoice for entry in self.book.effective()):
            return FAULTS["DUPLICATE_INVOICE_ID"]
        left = captured.amount - self.book.refunded("paypal", post.reference)
        if left <= 0:
            return FAULTS["CAPTURE_FULLY_REFUNDED"]
        return FAULTS["REFUND_AMOUNT_EXCEEDED"] if post.amount > left else None

    def shown(self, entry: Entry, status: int, *, whole: bool) -> Reply:
        """As the base says."""
        refund = self.refund_object(entry)
        if not whole:
            refund = {name: refund[name] for name in ("id", "status", "links")}
        return json_reply(status, refund, self._headers())

    def in_progress(self) -> Reply:
        """As the base says."""
        return self.refusal(FAULTS["PREVIOUS_REQUEST_IN_PROGRESS"])

    def key_misused(self) -> Reply:
        """As the base says."""
        return self._error(422, "DUPLICATE_REQUEST_ID")

    def replayed(self, stored: Stored, post: Post) -> Reply:
        """The refund as it is now: PayPal replays the latest status, not the first answer."""
        assert stored.entry is not None
        return self.shown(stored.entry, 200, whole=post.whole)

    def refund_object(self, entry: Entry) -> dict[str, Any]:
        """A refund as PayPal shows it."""
        amount = {"currency_code": entry.currency, "value": paypal_form.value_of(entry.amount, entry.currency)}
        made = datetime.fromtimestamp(entry.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        shown: dict[str, Any] = {
            "id": entry.id,
            "status": _STATUS[entry.status],
            "amount": amount,
            **entry.sent,
            "seller_payable_breakdown": {"gross_amount": amount, "net_amount": amount, "total_refunded_amount": amount},
            "create_time": made,
            "update_time": made,
            "links": [
                {"href": f"{self.base_url}{_REFUNDS}{entry.id}", "rel": "self", "method": "GET"},
                {"href": f"{self.base_url}{_CAPTURES}{entry.reference}", "rel": "up", "method": "GET"},
            ],
        }
        if entry.status == "pending":
            shown["status_details"] = {"reason": "ECHECK"}
        if entry.status == "succeeded":
            shown["acquirer_reference_number"] = f"7400{entry.created:019d}"
        return shown

    def _capture(self, reference: str) -> Reply:
        captured, refunded = self.book.captured("paypal", reference), self.book.refunded("paypal", reference)
        status = "COMPLETED"
        if refunded:
            # Without a registered amount a capture is taken to be as large as what was refunded of it.
            unknown = captured.amount == self.world.settings.captured
            status = "REFUNDED" if unknown or refunded >= captured.amount else "PARTIALLY_REFUNDED"
        return json_reply(200, {"id": reference, "status": status, "final_capture": True}, self._headers())

    async def _report(self, request: Request) -> Reply:
        try:
            told = paypal_report.page_of(request.query, self.book.everything(), self.world.settings, self.world.clock())
        except paypal_report.Invalid as error:
            return json_reply(400, {"name": error.name, "message": str(error), "details": []}, self._headers())
        return await self.look_up("", json_reply(200, told, self._headers()))

    async def _give_token(self, request: Request) -> Reply:
        if self.token_failures:
            failure = self.token_failures.pop(0)
            if failure is not None:
                return failure
            await self.world.hold(self.world.settings.hang_s)
        settings = self.world.settings
        wanted = base64.b64encode(f"{settings.paypal_client_id}:{settings.paypal_client_secret}".encode())
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        if not hmac.compare_digest(given.encode(), wanted):
            told = {"error": "invalid_client", "error_description": "Client Authentication failed"}
            return json_reply(401, told, self._headers())
        if parse_qs(request.body.decode()) != {"grant_type": ["client_credentials"]}:
            return json_reply(400, {"error": "unsupported_grant_type"}, self._headers())
        token = f"A21AA{self.world.rng.randbytes(40).hex()}"
        self._tokens[token] = self.world.clock() + settings.token_ttl_s
        told_token = {"access_token": token, "token_type": "Bearer", "expires_in": settings.token_ttl_s}
        return json_reply(200, told_token, self._headers())

    def _verify(self, request: Request) -> Reply:
        try:
            asked = msgspec.json.decode(request.body, type=_Verification)
        except msgspec.MsgspecError:
            return self._error(400, "MISSING_REQUIRED_PARAMETER")
        wanted = paypal_signature(
            self.world.settings.paypal_client_secret,
            asked.transmission_id,
            asked.transmission_time,
            self.world.settings.paypal_webhook_id,
            bytes(asked.webhook_event),
        )
        genuine = (
            hmac.compare_digest(asked.transmission_sig.encode(), wanted.encode())
            and asked.webhook_id == self.world.settings.paypal_webhook_id
            and asked.auth_algo == PAYPAL_ALGORITHM
            and asked.cert_url == self.base_url + PAYPAL_CERT_PATH
        )
        return json_reply(200, {"verification_status": "SUCCESS" if genuine else "FAILURE"}, self._headers())

    def _headers(self) -> dict[str, str]:
        return {"paypal-debug-id": f"f{self.world.rng.randbytes(6).hex()}"}

    def _error(self, status: int, issue: str | None, headers: dict[str, str] | None = None) -> Reply:
        given = self._headers()
        told: dict[str, Any] = {
            "name": _NAMES.get(status, "UNKNOWN"),
            "message": "Simulated.",
            "debug_id": given["paypal-debug-id"],
        }
        if issue is not None:
            told["details"] = [{"issue": issue, "description": f"Simulated: {issue}."}]
        return json_reply(status, told, {**given, **(headers or {})})
