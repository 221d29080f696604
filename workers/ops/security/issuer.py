"""What is asked of an issuer over HTTP, and what it answers: its addresses, its keys, a code's token."""

from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import jwt
import msgspec

_DEADLINE: Final = aiohttp.ClientTimeout(total=10)
_MOST_BYTES: Final = 256 * 1024
_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class IssuerAwayError(Exception):
    """The issuer doesn't answer, or not as OpenID Connect says."""


class DeniedError(Exception):
    """They may not come in; the text says why, for the log. `no_role`: they are known, and have no role here."""

    def __init__(self, why: str, *, no_role: bool = False) -> None:
        super().__init__(why)
        self.no_role = no_role


class Metadata(msgspec.Struct, frozen=True):
    """What an issuer says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(default_factory=lambda: ["client_secret_basic"])


class Tokens(msgspec.Struct, frozen=True):
    """What it gives for a code."""

    id_token: str


class Keys(msgspec.Struct, frozen=True):
    """What it signs with."""

    keys: list[dict[str, Any]]


def scheme_of(address: str) -> str:
    """`https`, or whatever stands there."""
    try:
        return urlsplit(address).scheme
    except ValueError:
        return ""


def read_keys(found: Keys) -> dict[str, jwt.PyJWK]:
    """By their ids, those that can be used."""
    read: dict[str, jwt.PyJWK] = {}
    for key in found.keys:
        if key.get("kty") == "oct" or key.get("use", "sig") != "sig":
            continue
        try:
            read[str(key.get("kid", ""))] = jwt.PyJWK(key)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue  # of a kind that we don't know; others may do
    return read


async def ask(
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
