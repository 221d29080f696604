"""An issuer that changes, lies or is asked by somebody else; signing out there; who may call themselves what."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from kit.gate import Answer, Gate
from kit.issuer import Issuer, issuer
from structlog.testing import capture_logs

from workers.ops.pages import sign_in
from workers.ops.security import oidc
from workers.ops.security.rate import Tries
from workers.ops.security.sessions import csrf_of

_OPS = "http://ops.example"


@pytest.fixture(autouse=True)
def _no_tries_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_by_address", Tries(30, 900.0, lambda: 0.0))


@pytest.fixture
async def idp() -> AsyncIterator[Issuer]:
    async with issuer() as one:
        yield one


def client_of(idp: Issuer, **changes: Any) -> oidc.Oidc:
    told = {
        "issuer": idp.address,
        "client_id": idp.client[0],
        "client_secret": idp.client[1],
        "redirect_uri": f"{_OPS}/sign-in/oidc/back",
        "name_claim": "sub",
        "roles_claim": "groups",
        "groups": {"viewer": "annul-viewers", "operator": "annul-operators", "approver": "annul-approvers"},
        **changes,
    }
    return oidc.Oidc(oidc.Client(**told))


@pytest.fixture
def gate(idp: Issuer) -> Gate:
    return Gate(oidc=client_of(idp))


async def enter(gate: Gate) -> Answer:
    """To the issuer and back, as a browser does."""
    begun = await gate.get("/sign-in/oidc")
    assert begun.status == 303
    async with aiohttp.ClientSession() as web, web.get(begun.headers["location"], allow_redirects=False) as answer:
        back = urlsplit(answer.headers["location"])
    return await gate.get(f"{back.path}?{back.query}", cookie=f"annul_flow={begun.cookies['annul_flow']}")


async def leave(gate: Gate, token: str) -> Answer:
    return await gate.post("/sign-out", {"csrf": csrf_of(token)}, token)


async def test_who_signs_out_here_is_led_to_sign_out_at_the_issuer(gate: Gate, idp: Issuer) -> None:
    idp.says = {"end_session_endpoint": f"{idp.address}/end?realm=a"}
    token = (await enter(gate)).cookies["annul_session"]
    answer = await leave(gate, token)
    assert answer.status == 200
    assert answer.cookies["annul_session"] == ""
    assert "olaf" not in answer.text  # nobody is signed in on it any more
    (link,) = {one.partition('"')[0] for one in answer.text.split("0;url=")[1:]}
    end = urlsplit(link.replace("&amp;", "&"))
    asked = parse_qs(end.query)
    assert f"{end.scheme}://{end.netloc}{end.path}" == f"{idp.address}/end"
    assert (asked["realm"], asked["client_id"]) == (["a"], ["annul"])
    assert asked["post_logout_redirect_uri"] == [f"{_OPS}/sign-in"]
    assert jwt.decode(asked["id_token_hint"][0], options={"verify_signature": False})["sub"] == "olaf"
    assert (await gate.get("/audit", token)).status == 303


async def test_an_issuer_without_such_a_place_or_away_keeps_nobody_signed_in(gate: Gate, idp: Issuer) -> None:
    token = (await enter(gate)).cookies["annul_session"]
    answer = await leave(gate, token)
    assert (answer.status, answer.headers["location"]) == (303, "/sign-in")
    gate = Gate(oidc=client_of(idp, issuer="http://127.0.0.1:1"))
    assert gate.doors.oidc is not None
    token = await gate.sessions.begin("olaf", gate.doors.oidc.proof, "operator", "a token")
    assert (await leave(gate, token)).headers["location"] == "/sign-in"
    assert (await gate.get("/audit", token)).status == 303


async def test_nobody_is_signed_out_by_another_site(gate: Gate, idp: Issuer) -> None:
    idp.says = {"end_session_endpoint": f"{idp.address}/end"}
    token = (await enter(gate)).cookies["annul_session"]
    assert (await gate.post("/sign-out", {"csrf": ""}, token)).status == 403
    assert (await gate.get("/sign-out", token)).status == 405
    assert (await gate.get("/audit", token)).status == 503


async def test_a_token_too_long_for_an_address_is_left_out_of_it(gate: Gate, idp: Issuer) -> None:
    idp.says = {"end_session_endpoint": f"{idp.address}/end"}
    idp.claims["groups"] = ["annul-operators", *(f"group-{number}" for number in range(500))]
    token = (await enter(gate)).cookies["annul_session"]
    answer = await leave(gate, token)
    assert "post_logout_redirect_uri" in answer.text
    assert "id_token_hint" not in answer.text


async def test_a_session_by_one_issuer_is_none_by_another(gate: Gate, idp: Issuer) -> None:
    token = (await enter(gate)).cookies["annul_session"]
    assert (await gate.get("/audit", token)).status == 503
    for changes in ({"issuer": f"{idp.address}/other"}, {"client_id": "another"}):
        other = Gate(oidc=client_of(idp, **changes))
        other.sessions.by_token = gate.sessions.by_token
        assert (await other.get("/audit", token)).status == 303


async def test_a_new_key_is_asked_for_and_an_old_one_is_forgotten(
    gate: Gate, idp: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await enter(gate)).status == 303
    idp.change_key()
    assert (await enter(gate)).status == 403  # not asked for again so soon: nobody can make us ask all the time
    monkeypatch.setattr(oidc, "_ASKED_AGAIN_S", -1.0)
    assert (await enter(gate)).status == 303
    stolen = jwt.encode({"sub": "olaf"}, idp.key, algorithm="RS256", headers={"kid": "first"})
    idp.signs = lambda _: stolen
    assert (await enter(gate)).status == 403


async def test_the_public_key_is_no_secret_to_sign_with(gate: Gate, idp: Issuer) -> None:
    pem = idp.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def forged(claims: dict[str, Any]) -> str:
        unsigned = jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": idp.kid}).rpartition(".")[0]
        signer = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        return f"{unsigned}.{jwt.utils.base64url_encode(signer.sign(unsigned.encode(), pem)).decode()}"

    idp.signs = forged
    assert (await enter(gate)).status == 403


@pytest.mark.parametrize(
    "says",
    [
        {"elsewhere": "/.well-known/openid-configuration?inside"},
        {"end_session_endpoint": "ftp://127.0.0.1/end"},
        {"token_endpoint": "https://127.0.0.1/token"},
        {"jwks_uri": "http://[/keys"},
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": 5},
    ],
)
async def test_an_issuer_that_leads_elsewhere_is_not_followed(gate: Gate, idp: Issuer, says: dict[str, Any]) -> None:
    idp.says = says
    answer = await gate.get("/sign-in/oidc")
    assert answer.status == 503
    assert "does not answer" in answer.text


@pytest.mark.parametrize("name", ["refunds", " Refunds ", "\u202eann", "a\x00b", "   ", ["ann"], "\u200b"])
async def test_not_every_name_is_one(gate: Gate, idp: Issuer, name: Any) -> None:
    idp.claims["sub"] = name
    # A token's `sub` is a text, so that a list is refused before it is read.
    assert (await enter(gate)).status == 403


async def test_an_address_that_nobody_verified_is_no_name(idp: Issuer) -> None:
    gate = Gate(oidc=client_of(idp, name_claim="email"))
    idp.claims |= {"email": "anna@example.com", "email_verified": False}
    assert (await enter(gate)).status == 403
    idp.claims["email_verified"] = True
    assert (await enter(gate)).status == 303


async def test_a_name_is_text_on_every_page(gate: Gate, idp: Issuer) -> None:
    idp.claims["sub"] = '<img src=x onerror="alert(1)">'
    token = (await enter(gate)).cookies["annul_session"]
    text = (await gate.get("/sellers", token)).text
    assert "&lt;img src=x" in text
    assert "<img" not in text


async def test_the_log_says_why_the_issuer_refused_and_nothing_that_a_stranger_wrote(gate: Gate) -> None:
    for said, kept in (("access_denied", "access_denied"), ("<b>%0aforged", "without a code")):
        begun = await gate.get("/sign-in/oidc")
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        cookie = f"annul_flow={begun.cookies['annul_flow']}"
        with capture_logs() as told:
            answer = await gate.get(f"/sign-in/oidc/back?error={said}&state={state}", cookie=cookie)
        assert answer.status == 403
        assert [one["why"] for one in told] == [f"the issuer refused: {kept}"]
