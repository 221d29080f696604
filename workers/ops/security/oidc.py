"""Sign-in by OpenID Connect: the code flow with PKCE, state and nonce; the id_token is checked by the issuer's keys."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp
import jwt
import msgspec

from workers.ops.security.flow import Flow
from workers.ops.viewer import Role

_DEADLINE: Final = aiohttp.ClientTimeout(total=10)
_KEPT_S: Final = 3_600.0
_ASKED_AGAIN_S: Final = 60.0
"""A token may name a key that is new; not more often than this is the issuer asked for it."""
_LEEWAY_S: Final = 60
_MOST_BYTES: Final = 256 * 1024
_MOST_NAME: Final = 64
_MOST_GROUPS: Final = 1_000
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by keys that only the issuer has: never `none`, never one by a secret that others share."""
_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class IssuerAwayError(Exception):
    """The issuer doesn't answer, or not as OpenID Connect says."""


class DeniedError(Exception):
    """They may not come in; the text says why, for the log. `no_role`: they are known, and have no role here."""

    def __init__(self, why: str, *, no_role: bool = False) -> None:
        super().__init__(why)
        self.no_role = no_role


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """What the issuer knows us by, and what we read from its tokens."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    name_claim: str
    roles_claim: str
    groups: Mapping[Role, str]
    """The group that gives each role."""


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(default_factory=lambda: ["client_secret_basic"])


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class Oidc:
    """One issuer. What it says of itself and its keys are kept for an hour."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._asking = asyncio.Lock()
        self._metadata: _Metadata | None = None
        self._keys: dict[str, jwt.PyJWK] = {}
        self._metadata_at = self._keys_at = float("-inf")

    async def address(self, flow: Flow) -> str:
        """Where the browser goes to sign in. Raises IssuerAwayError."""
        metadata = await self._about()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(flow.verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_uri,
            "scope": "openid profile email",
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        start = metadata.authorization_endpoint
        return f"{start}{'&' if '?' in start else '?'}{urlencode(asked)}"

    async def who(self, flow: Flow, answered: Mapping[str, str]) -> tuple[str, Role]:
        """The name and role of who comes back from the issuer's page. Raises DeniedError, IssuerAwayError."""
        if not hmac.compare_digest(answered.get("state", "").encode(), flow.state.encode()):
            raise DeniedError("state")
        if answered.get("iss", self._client.issuer) != self._client.issuer:
            raise DeniedError("iss")
        code = answered.get("code", "")
        if "error" in answered or not code:
            raise DeniedError("the issuer refused")
        claims = await self._checked(await self._redeem(code, flow))
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), flow.nonce.encode()):
            raise DeniedError("nonce")
        return self._named(claims)

    async def _redeem(self, code: str, flow: Flow) -> str:
        metadata, client = await self._about(), self._client
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": flow.verifier,
        }
        headers = {"accept": "application/json"}
        if "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields |= {"client_id": client.client_id, "client_secret": client.client_secret}
        return (await _ask(metadata.token_endpoint, _Tokens, fields=fields, headers=headers)).id_token

    async def _checked(self, token: str) -> dict[str, Any]:
        """What a token says, once its signature, issuer, audience and time are right."""
        client = self._client
        try:
            key = await self._key_of(str(jwt.get_unverified_header(token).get("kid", "")))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=client.client_id,
                issuer=client.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise DeniedError(f"id_token: {type(error).__name__}") from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else client.client_id) != client.client_id:
            raise DeniedError("azp")
        return claims

    def _named(self, claims: dict[str, Any]) -> tuple[str, Role]:
        name, groups = claims.get(self._client.name_claim), _claim(claims, self._client.roles_claim)
        if not isinstance(name, str) or not 0 < len(name) <= _MOST_NAME or not name.isprintable():
            raise DeniedError(f"no name in {self._client.name_claim}")
        held = {groups} if isinstance(groups, str) else set()
        if isinstance(groups, list):
            held = {group for group in groups[:_MOST_GROUPS] if isinstance(group, str)}
        for role in ("approver", "operator", "viewer"):
            if self._client.groups[role] in held:
                return name, role
        raise DeniedError("no role", no_role=True)

    async def _about(self) -> _Metadata:
        async with self._asking:
            now = time.monotonic()
            if self._metadata is None or now - self._metadata_at > _KEPT_S:
                found = await _ask(f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration", _Metadata)
                if found.issuer != self._client.issuer:
                    raise IssuerAwayError("calls itself by another name")
                places = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
                # Over TLS all of it, or (a test's issuer on this machine) none of it.
                if any(urlsplit(place).scheme != urlsplit(found.issuer).scheme for place in places):
                    raise IssuerAwayError("names an address without TLS")
                self._metadata, self._metadata_at = found, now
            return self._metadata

    async def _key_of(self, kid: str) -> jwt.PyJWK:
        metadata = await self._about()
        async with self._asking:
            now = time.monotonic()
            age_s = now - self._keys_at
            if age_s > _KEPT_S or (kid not in self._keys and age_s > _ASKED_AGAIN_S):
                found = await _ask(metadata.jwks_uri, _Keys)
                self._keys, self._keys_at = _read_keys(found), now
        key = self._keys.get(kid)
        if key is None and not kid and len(self._keys) == 1:
            key = next(iter(self._keys.values()))  # a token may leave it out where there is one key alone
        if key is None:
            raise DeniedError("id_token: by a key that the issuer doesn't have")
        return key


def _read_keys(found: _Keys) -> dict[str, jwt.PyJWK]:
    read: dict[str, jwt.PyJWK] = {}
    for key in found.keys:
        if key.get("kty") == "oct" or key.get("use", "sig") != "sig":
            continue
        try:
            read[str(key.get("kid", ""))] = jwt.PyJWK(key)
        except jwt.PyJWTError:
            continue  # of a kind that we don't know; others may do
    return read


def _claim(claims: dict[str, Any], name: str) -> Any:
    """A claim by its name; a dotted one may be nested, as `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


async def _ask(
    url: str, kind: type[_Answer], fields: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> _Answer:
    """The issuer's answer. Raises IssuerAwayError; DeniedError where it refuses what it was given."""
    method = "GET" if fields is None else "POST"
    try:
        async with (
            aiohttp.ClientSession(timeout=_DEADLINE) as session,
            session.request(method, url, data=fields, headers=headers, allow_redirects=False) as answer,
        ):
            body = await answer.content.read(_MOST_BYTES)
            while len(body) < _MOST_BYTES and (more := await answer.content.read(_MOST_BYTES - len(body))):
                body += more
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise IssuerAwayError(type(error).__name__) from None
    if fields is not None and answer.status in (400, 401, 403):
        raise DeniedError(f"the issuer answered {answer.status}")
    if answer.status != 200:  # noqa: PLR2004
        raise IssuerAwayError(f"answered {answer.status}")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError:
        raise IssuerAwayError("an unreadable answer") from None
