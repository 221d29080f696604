"""Sign-in through an issuer: who comes in with which role, and every way in which a token or a flow may be wrong."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import jwt
import pytest
from kit.dashboard import Browser, dashboard, users_file
from kit.issuer import Issuer, issuer, new_key
from pydantic import SecretStr, ValidationError

from workers.local.ports import free_port
from workers.ops.asking import Reader
from workers.ops.assembly import doors_of
from workers.ops.pages import sign_in
from workers.ops.security.rate import Tries
from workers.settings import Settings, SettingsError

_TRIES: Final = 30


@pytest.fixture(autouse=True)
def _no_tries_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_by_address", Tries(_TRIES, 900.0, lambda: 0.0))


@pytest.fixture
async def idp() -> AsyncIterator[Issuer]:
    async with issuer() as one:
        yield one


def given(idp: Issuer, **changes: Any) -> dict[str, Any]:
    port = free_port()
    return {
        "ops_port": port,
        "ops_url": f"http://127.0.0.1:{port}",
        "ops_oidc_issuer": idp.address,
        "ops_oidc_client_id": idp.client[0],
        "ops_oidc_client_secret": SecretStr(idp.client[1]),
        **changes,
    }


@pytest.fixture
async def browser(database_url: str, idp: Issuer) -> AsyncIterator[Browser]:
    async with dashboard(database_url, **given(idp)) as base:
        made = Browser(base)
        yield made
        await made.close()


async def start(browser: Browser, follow: str = "/audit") -> str:
    """The issuer's answer to a person who agrees: where it sends the browser back to."""
    status, headers, _ = await browser.get(f"/sign-in/oidc?next={follow}")
    assert status == 303
    async with (
        aiohttp.ClientSession() as session,
        session.get(headers["location"], allow_redirects=False) as answer,
    ):
        back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


async def test_who_the_issuer_vouches_for_comes_in_with_the_role_of_their_group(browser: Browser) -> None:
    status, _, text = await browser.get("/sign-in?next=/audit")
    assert status == 200
    assert 'href="/sign-in/oidc?next=/audit"' in text
    assert 'type="password"' not in text
    status, headers, _ = await browser.get(await start(browser))
    assert (status, headers["location"]) == (303, "/audit")
    status, _, text = await browser.get("/audit")
    assert status == 200
    assert "olaf" in text
    # An operator: the door to an action is open, and what isn't there is not found.
    status, _, _ = await browser.post("/sign-out", {"csrf": await browser.csrf("/audit")})
    assert status == 303
    assert (await browser.get("/audit"))[0] == 303


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": ["annul-viewers"]}, "viewer"),
        ({"groups": "annul-operators"}, "operator"),
        ({"groups": ["annul-viewers", "x", "annul-approvers"]}, "approver"),
    ],
)
async def test_the_highest_role_of_their_groups_holds(
    idp: Issuer, database_url: str, claims: dict[str, Any], role: str
) -> None:
    idp.claims |= claims
    settings = Settings(database_url=SecretStr(database_url), **given(idp))
    reader = Reader(database_url)
    doors = doors_of(settings, reader)
    async with dashboard(
        database_url, **{**given(idp), "ops_port": settings.ops_port, "ops_url": settings.ops_url}
    ) as at:
        browser = Browser(at)
        _, headers, _ = await browser.get(await start(browser))
        token = next(one for one in headers.getall("set-cookie") if one.startswith("annul_session="))
        assert await doors.viewer_of(token.partition(";")[0].partition("=")[2]) == ("olaf", role)
        await browser.close()
    await reader.close()


@pytest.mark.parametrize("claims", [{"groups": ["others"]}, {"groups": None}, {"groups": {"annul-approvers": 1}}])
async def test_who_has_no_group_of_ours_is_told_so(browser: Browser, idp: Issuer, claims: dict[str, Any]) -> None:
    idp.claims |= claims
    status, _, text = await browser.get(await start(browser))
    assert status == 403
    assert "none of your groups has a role here" in text
    assert (await browser.get("/audit"))[0] == 303


async def test_a_role_and_a_name_may_stand_elsewhere_in_the_token(database_url: str, idp: Issuer) -> None:
    idp.claims = {"sub": "8f1", "email": "ada@example.com", "realm_access": {"roles": ["lookers"]}}
    changes = {
        "ops_oidc_name_claim": "email",
        "ops_oidc_roles_claim": "realm_access.roles",
        "ops_oidc_viewers": "lookers",
    }
    async with dashboard(database_url, **given(idp, **changes)) as base:
        browser = Browser(base)
        assert (await browser.get(await start(browser)))[0] == 303
        assert "ada@example.com" in (await browser.get("/audit"))[2]
        await browser.close()


def _set(**claims: Any) -> Callable[[Issuer], None]:
    def twist(idp: Issuer) -> None:
        idp.twist = lambda told: told.update(claims)

    return twist


def _drop(name: str) -> Callable[[Issuer], None]:
    def twist(idp: Issuer) -> None:
        idp.twist = lambda told: told.pop(name)

    return twist


def _by_a_stranger(idp: Issuer) -> None:
    idp.signs = lambda claims: jwt.encode(claims, new_key(), algorithm="RS256", headers={"kid": idp.kid})


def _by_an_unknown_key(idp: Issuer) -> None:
    idp.signs = lambda claims: jwt.encode(claims, new_key(), algorithm="RS256", headers={"kid": "other"})


def _unsigned(idp: Issuer) -> None:
    idp.signs = lambda claims: jwt.encode(claims, "", algorithm="none", headers={"kid": idp.kid})


def _by_our_own_secret(idp: Issuer) -> None:
    idp.signs = lambda claims: jwt.encode(claims, idp.client[1], algorithm="HS256", headers={"kid": idp.kid})


@pytest.mark.parametrize(
    "wrong",
    [
        _set(iss="http://127.0.0.1:1"),
        _set(aud="another"),
        _set(aud=["annul", "another"]),
        _set(azp="another"),
        _set(nonce="another"),
        _set(exp=1_000_000_000),
        _set(iat=4_000_000_000),
        _set(sub=""),
        _set(sub="x" * 65),
        _drop("nonce"),
        _drop("exp"),
        _drop("sub"),
        _by_a_stranger,
        _by_an_unknown_key,
        _unsigned,
        _by_our_own_secret,
    ],
)
async def test_a_token_that_is_not_right_lets_nobody_in(
    browser: Browser, idp: Issuer, wrong: Callable[[Issuer], None]
) -> None:
    wrong(idp)
    status, headers, text = await browser.get(await start(browser))
    assert status == 403
    assert "The sign-in did not succeed" in text
    assert not any(one.startswith("annul_session=") for one in headers.getall("set-cookie"))
    assert (await browser.get("/audit"))[0] == 303


async def test_an_answer_does_only_in_the_browser_that_asked(browser: Browser) -> None:
    back = await start(browser)
    other = Browser(browser.base)
    assert (await other.get(back))[0] == 403  # it began nothing
    await start(other)
    assert (await other.get(back))[0] == 403  # it began another one
    assert (await other.get("/audit"))[0] == 303
    await other.close()
    assert (await browser.get(back))[0] == 303
    assert (await browser.get(back))[0] == 403  # and once


@pytest.mark.parametrize("query", ["", "?error=access_denied", "?code=x&state=y", "?iss=http://evil.example"])
async def test_an_answer_that_proves_nothing_is_refused(browser: Browser, query: str) -> None:
    await start(browser)
    assert (await browser.get(f"/sign-in/oidc/back{query}"))[0] == 403


async def test_guessing_is_slowed(browser: Browser) -> None:
    for _ in range(_TRIES):
        assert (await browser.get("/sign-in/oidc/back?code=x&state=y"))[0] == 403
    status, headers, _ = await browser.get("/sign-in/oidc/back?code=x&state=y")
    assert (status, headers["retry-after"]) == (429, "901")


@pytest.mark.parametrize("follow", ["//evil.example/", "https://evil.example/", "/" + "x" * 2_000])
async def test_nobody_is_led_elsewhere_by_way_of_the_issuer(browser: Browser, follow: str) -> None:
    _, headers, _ = await browser.get(await start(browser, follow))
    assert headers["location"] == "/"


async def test_an_issuer_that_is_down_is_said_to_be(database_url: str, idp: Issuer) -> None:
    async with dashboard(database_url, **given(idp, ops_oidc_issuer="http://127.0.0.1:1")) as base:
        browser = Browser(base)
        status, _, text = await browser.get("/sign-in/oidc")
        assert status == 503
        assert "The sign-in service does not answer" in text
        await browser.close()


async def test_an_issuer_by_another_name_is_not_believed(database_url: str, idp: Issuer) -> None:
    named = idp.address
    idp.address += "/"
    async with dashboard(database_url, **given(idp, ops_oidc_issuer=named)) as base:
        browser = Browser(base)
        assert (await browser.get("/sign-in/oidc"))[0] == 503
        await browser.close()


def test_settings_that_do_not_go_together_stop_the_start(idp: Issuer, tmp_path: Any) -> None:
    both = given(idp, ops_users_file=str(users_file(tmp_path, ada="viewer")))
    for changes, said in (
        (both, "don't go together"),
        (given(idp, ops_url=None), "ANNUL_OPS_URL is not set"),
        (given(idp, ops_oidc_client_secret=None), "ANNUL_OPS_OIDC_CLIENT_SECRET is not set"),
    ):
        with pytest.raises(SettingsError, match=said):
            doors_of(Settings(**changes), Reader(""))
    with pytest.raises(ValidationError, match="https"):
        Settings(ops_oidc_issuer="http://idp.example")
