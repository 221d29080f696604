"""An OpenID Connect issuer on this machine: it signs in whoever asks, as the person that the test says."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from workers.local.ports import free_port


def new_key() -> rsa.RSAPrivateKey:
    """A key to sign with."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


class Issuer:
    """`claims`: of who signs in next. `twist`: what a test does to the token's claims before they are signed.

    `says`: what it says of itself besides, or otherwise.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = ("annul", "s3cret:/+ that only this client has")
        self.key, self.kid = new_key(), "first"
        self.claims: dict[str, Any] = {"sub": "olaf", "groups": ["annul-operators"]}
        self.twist: Callable[[dict[str, Any]], None] = lambda _: None
        self.signs: Callable[[dict[str, Any]], str] = self.signed
        self.says: dict[str, Any] = {}
        self._codes: dict[str, dict[str, str]] = {}

    def signed(self, claims: dict[str, Any]) -> str:
        """As it should be."""
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.kid})

    async def about(self, request: web.Request) -> web.Response:
        """What it says of itself."""
        told = {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
        }
        elsewhere = self.says.get("elsewhere")
        if elsewhere is not None and not request.query:
            raise web.HTTPFound(elsewhere)
        return web.json_response(told | self.says)

    async def keys(self, _: web.Request) -> web.Response:
        """Its public keys."""
        told = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return web.json_response({"keys": [{**told, "kid": self.kid, "use": "sig"}]})

    def change_key(self) -> None:
        """From now on it signs with another one."""
        self.key, self.kid = new_key(), "second"

    async def authorize(self, request: web.Request) -> web.Response:
        """The person agrees at once."""
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == self.client[0]
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self._codes[code] = asked
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def token(self, request: web.Request) -> web.Response:
        """A code's token, once, for the client that knows its secret and began the flow."""
        form = dict(await request.post())
        asked = self._codes.pop(str(form["code"]), None)
        made = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest()).decode()
        pair = base64.b64encode(f"{self.client[0]}:{quote_plus(self.client[1])}".encode()).decode()
        if (
            asked is None
            or made.rstrip("=") != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
            or request.headers.get("authorization") != f"Basic {pair}"
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims = {"iss": self.address, "aud": self.client[0], "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= self.claims
        self.twist(claims)
        return web.json_response({"id_token": self.signs(claims), "access_token": "a", "token_type": "Bearer"})


@asynccontextmanager
async def issuer() -> AsyncIterator[Issuer]:
    """It, while it listens."""
    port = free_port()
    one = Issuer(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", one.about)
    app.router.add_get("/keys", one.keys)
    app.router.add_get("/authorize", one.authorize)
    app.router.add_post("/token", one.token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield one
    finally:
        await runner.cleanup()
