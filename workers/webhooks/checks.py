"""Whether a webhook is genuine: each provider's way to tell, behind one small port."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

import msgspec
import structlog

from workers.pipeline.ports import Clock
from workers.providers import answers
from workers.providers.http import Response, Transport, checked_base_url, checked_secret
from workers.providers.paypal_token import TokenSource
from workers.providers.port import Answer
from workers.webhooks.signatures import stripe_signed

log = structlog.get_logger()

Told = Literal["genuine", "forged", "unknown"]
"""`unknown`: nobody could say now; the provider is to send it again."""

PAYPAL_HOSTS: Final = frozenset(
    {"api.paypal.com", "api.sandbox.paypal.com", "api-m.paypal.com", "api-m.sandbox.paypal.com"}
)
_MAX_HEADER: Final = 2048
_FIELDS: Final = ("auth_algo", "cert_url", "transmission_id", "transmission_sig", "transmission_time")
_PATH: Final = "/v1/notifications/verify-webhook-signature"
_REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})


class Check(Protocol):
    """A provider's way to tell its own webhooks from a stranger's."""

    async def check(self, headers: Mapping[str, Sequence[str]], body: bytes) -> Told:
        """Headers by name in lower case, each with all of its values; the body's bytes as they came, valid JSON."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class StripeCheck:
    """By the signing secret; any of several holds, so that one can take the place of another."""

    def __init__(self, secrets: Sequence[str], clock: Clock) -> None:
        assert secrets
        self._secrets = secrets
        self._clock = clock

    async def check(self, headers: Mapping[str, Sequence[str]], body: bytes) -> Told:
        """As the port says; never `unknown`."""
        given = headers.get("stripe-signature", ())
        good = len(given) == 1 and stripe_signed(given[0], body, self._secrets, self._clock.now().timestamp())
        return "genuine" if good else "forged"

    async def close(self) -> None:
        """Nothing to give back."""


class _Verified(msgspec.Struct, frozen=True):
    verification_status: str


_verified = msgspec.json.Decoder(_Verified)


class PayPalCheck:
    """By asking PayPal. The certificate that a webhook names is never fetched, and must be PayPal's to be passed on."""

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        client_id: str,
        client_secret: str,
        webhook_id: str,
        *,
        deadline_s: float,
        clock: Callable[[], float],
    ) -> None:
        """Raises ValueError for a base URL with a path or a credential that fits into no header."""
        self._transport = transport
        self._base_url = checked_base_url(base_url)
        self._tokens = TokenSource(
            transport,
            self._base_url,
            checked_secret("the PayPal client id", client_id),
            checked_secret("the PayPal client secret", client_secret),
            clock,
        )
        self._webhook_id = webhook_id
        self._deadline_s = deadline_s
        self._clock = clock

    async def check(self, headers: Mapping[str, Sequence[str]], body: bytes) -> Told:
        """As the port says."""
        asked: dict[str, str | msgspec.Raw] = {}
        for field in _FIELDS:
            given = headers.get(f"paypal-{field.replace('_', '-')}", ())
            if len(given) != 1 or not 0 < len(given[0]) <= _MAX_HEADER:
                return "forged"
            asked[field] = given[0]
        if not self._is_paypals(headers["paypal-cert-url"][0]):
            return "forged"
        # The body goes in as it came: written anew it would be another one, and its check sum with it. That it is one
        # JSON value was made sure of, so it can't close its field and open others.
        sent = msgspec.json.encode({**asked, "webhook_id": self._webhook_id, "webhook_event": msgspec.Raw(body)})
        return await self._ask(sent)

    async def close(self) -> None:
        """End what is under way."""
        await self._tokens.close()
        await self._transport.close()

    def _is_paypals(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            named = parts.hostname
            plain = parts.username is None and parts.port in (None, 443)
        except ValueError:
            return False
        if f"{parts.scheme}://{parts.netloc}" == self._base_url:
            return True
        return parts.scheme == "https" and plain and named in PAYPAL_HOSTS

    async def _ask(self, sent: bytes) -> Told:
        end_by = self._clock() + self._deadline_s
        for last in (False, True):
            token = await self._tokens.get(end_by - self._clock())
            left_s = end_by - self._clock()
            if isinstance(token, Answer) or left_s <= 0:
                return _nobody_says(token if isinstance(token, Answer) else None)
            response = await answers.exchange(
                self._transport,
                "POST",
                self._base_url + _PATH,
                headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
                body=sent,
                deadline_s=left_s,
            )
            if isinstance(response, Response) and response.status == HTTPStatus.UNAUTHORIZED and not last:
                self._tokens.forget(token)
                continue
            return _told_by(response)
        raise AssertionError("the second time is the last")


def _told_by(response: Response | Answer) -> Told:
    if isinstance(response, Answer):
        return _nobody_says(response)
    if response.status in _REFUSED:
        return "forged"  # nothing of it could be made sense of; a wrong webhook id shows so too
    verified = answers.decoded(_verified, response.body) if response.ok else None
    if verified is None:
        return _nobody_says(Answer(outcome="uncertain", code=f"http_{response.status}"))
    return "genuine" if verified.verification_status == "SUCCESS" else "forged"


def _nobody_says(answer: Answer | None) -> Told:
    log.warning("webhook.verification_delayed", provider="paypal", code=answer.code if answer else "timeout")
    return "unknown"
