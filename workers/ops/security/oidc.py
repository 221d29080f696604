"""Sign-in by OpenID Connect: the code flow with PKCE, state and nonce; the id_token is checked by the issuer's keys."""

import asyncio
import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import jwt
import msgspec

from workers.actions.rules import is_a_worker
from workers.ops.security.flow import BACK, Flow
from workers.ops.security.issuer import DeniedError, IssuerAwayError, Keys, Metadata, Tokens, ask, read_keys, scheme_of
from workers.ops.viewer import Role

_KEPT_S: Final = 3_600.0
_ASKED_AGAIN_S: Final = 60.0
"""A token may name a key that is new; not more often than this is the issuer asked for it."""
_LEEWAY_S: Final = 60
_MOST_NAME: Final = 64
_MOST_GROUPS: Final = 1_000
_MOST_TOKEN: Final = 16_384
"""As much of one is kept as the table takes."""
_MOST_HINT: Final = 4_096
"""A longer address than that is cut or refused on its way."""
_ERROR: Final = re.compile(r"[a-z_]{1,40}\Z")
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by keys that only the issuer has: never `none`, never one by a secret that others share."""


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


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who the issuer vouches for; `id_token`: by what, where it isn't too long to be kept."""

    name: str
    role: Role
    id_token: str | None


class Oidc:
    """One issuer. What it says of itself and its keys are kept for an hour."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.proof = hashlib.sha256(f"{client.issuer}\n{client.client_id}".encode()).digest()
        """Of every session that began here: what another issuer said of somebody by the same name is another's word."""
        self._asking = asyncio.Lock()
        self._metadata: Metadata | None = None
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

    async def end_address(self, id_token: str | None) -> str | None:
        """Where the browser goes to sign out there too; None where the issuer has no such place, or doesn't answer."""
        try:
            end = (await self._about()).end_session_endpoint
        except IssuerAwayError:
            return None
        if end is None:
            return None
        asked = {
            "client_id": self._client.client_id,
            "post_logout_redirect_uri": f"{self._client.redirect_uri.removesuffix(BACK)}/sign-in",
        }
        if id_token is not None and len(id_token) <= _MOST_HINT:
            asked["id_token_hint"] = id_token
        return f"{end}{'&' if '?' in end else '?'}{urlencode(asked)}"

    async def who(self, flow: Flow, answered: Mapping[str, str]) -> Person:
        """Who comes back from the issuer's page. Raises DeniedError, IssuerAwayError."""
        if not hmac.compare_digest(answered.get("state", "").encode(), flow.state.encode()):
            raise DeniedError("state")
        if answered.get("iss", self._client.issuer) != self._client.issuer:
            raise DeniedError("iss")
        code = answered.get("code", "")
        if "error" in answered or not code:
            said = answered.get("error", "")
            raise DeniedError(f"the issuer refused: {said if _ERROR.match(said) else 'without a code'}")
        token = await self._redeem(code, flow)
        claims = await self._checked(token)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), flow.nonce.encode()):
            raise DeniedError("nonce")
        name, role = self._named(claims)
        return Person(name=name, role=role, id_token=token if len(token) <= _MOST_TOKEN else None)

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
        return (await ask(metadata.token_endpoint, Tokens, fields=fields, headers=headers)).id_token

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
        name = " ".join(name.split()) if isinstance(name, str) else ""
        if not 0 < len(name) <= _MOST_NAME or not name.isprintable() or is_a_worker(name):
            raise DeniedError(f"no name in {self._client.name_claim}")
        if self._client.name_claim == "email" and claims.get("email_verified") in (False, "false"):
            raise DeniedError("the issuer did not verify the address")  # anybody could call themselves so
        held = {groups} if isinstance(groups, str) else set()
        if isinstance(groups, list):
            held = {group for group in groups[:_MOST_GROUPS] if isinstance(group, str)}
        for role in ("approver", "operator", "viewer"):
            if self._client.groups[role] in held:
                return name, role
        raise DeniedError("no role", no_role=True)

    async def _about(self) -> Metadata:
        async with self._asking:
            now = time.monotonic()
            if self._metadata is None or now - self._metadata_at > _KEPT_S:
                found = await ask(f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration", Metadata)
                if found.issuer != self._client.issuer:
                    raise IssuerAwayError("calls itself by another name")
                places = [found.authorization_endpoint, found.token_endpoint, found.jwks_uri]
                places += [found.end_session_endpoint] if found.end_session_endpoint is not None else []
                # Over TLS all of it, or (a test's issuer on this machine) none of it.
                if any(scheme_of(place) != scheme_of(found.issuer) for place in places):
                    raise IssuerAwayError("names an address without TLS")
                self._metadata, self._metadata_at = found, now
            return self._metadata

    async def _key_of(self, kid: str) -> jwt.PyJWK:
        metadata = await self._about()
        async with self._asking:
            now = time.monotonic()
            age_s = now - self._keys_at
            if age_s > _KEPT_S or (kid not in self._keys and age_s > _ASKED_AGAIN_S):
                found = await ask(metadata.jwks_uri, Keys)
                self._keys, self._keys_at = read_keys(found), now
        key = self._keys.get(kid)
        if key is None and not kid and len(self._keys) == 1:
            key = next(iter(self._keys.values()))  # a token may leave it out where there is one key alone
        if key is None:
            raise DeniedError("id_token: by a key that the issuer doesn't have")
        return key


def _claim(claims: dict[str, Any], name: str) -> Any:
    """A claim by its name; a dotted one may be nested, as `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
