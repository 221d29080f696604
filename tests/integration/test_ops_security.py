"""Who may: sign-in, roles, forged requests, sessions that end, and a dashboard without users."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from kit.dashboard import PASSWORD, Browser, dashboard, users_file
from starlette.routing import Route

from workers.ops.asking import Reader
from workers.ops.assembly import doors_of, routes
from workers.ops.pages import sign_in
from workers.ops.security.rate import Tries
from workers.settings import Settings, SettingsError


@pytest.fixture
async def base(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(sign_in, "_by_name", Tries(5, 900.0, lambda: 0.0))
    monkeypatch.setattr(sign_in, "_by_address", Tries(30, 900.0, lambda: 0.0))
    path = users_file(tmp_path, vera="viewer", olaf="operator", anna="approver")
    async with dashboard(database_url, ops_users_file=str(path)) as address:
        yield address


@pytest.fixture
async def browser(base: str) -> AsyncIterator[Browser]:
    made = Browser(base)
    yield made
    await made.close()


async def test_who_signs_in_is_led_back_to_where_they_wanted_to_go(browser: Browser) -> None:
    status, headers, _ = await browser.get("/audit?actor=olaf")
    assert (status, headers["location"]) == (303, "/sign-in?next=/audit%3Factor%3Dolaf")
    status, headers, _ = await browser.sign_in("olaf", follow="/audit?actor=olaf")
    assert (status, headers["location"]) == (303, "/audit?actor=olaf")
    cookie = headers["set-cookie"]
    assert cookie.startswith("annul_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    status, _, text = await browser.get("/audit")
    assert status == 200
    assert "olaf" in text


@pytest.mark.parametrize(
    "follow", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
async def test_nobody_is_led_elsewhere(browser: Browser, follow: str) -> None:
    _, headers, _ = await browser.sign_in("vera", follow=follow)
    assert headers["location"] == "/"


@pytest.mark.parametrize(("name", "password"), [("olaf", "wrong"), ("nobody", "correct horse battery"), ("", "")])
async def test_who_does_not_know_the_password_stays_outside(browser: Browser, name: str, password: str) -> None:
    status, headers, text = await browser.sign_in(name, password)
    assert status == 401
    assert "annul_session" not in headers.get("set-cookie", "")
    assert "Name and password do not go together." in text
    assert (await browser.get("/"))[0] == 303


async def test_after_five_wrong_passwords_even_the_right_one_has_to_wait(browser: Browser) -> None:
    for _ in range(5):
        assert (await browser.sign_in("olaf", "wrong"))[0] == 401
    status, headers, _ = await browser.sign_in("olaf")
    assert (status, headers["retry-after"]) == (429, "901")
    assert (await browser.sign_in("anna"))[0] == 303


async def test_many_tries_at_once_are_no_more_than_one_after_another(browser: Browser) -> None:
    fields = {"csrf": await browser.csrf("/sign-in"), "name": "olaf", "password": "wrong"}
    answers = await asyncio.gather(*(browser.post("/sign-in", fields) for _ in range(12)))
    assert sorted(status for status, _, _ in answers) == [401] * 5 + [429] * 7


async def test_no_form_is_taken_without_its_token(browser: Browser) -> None:
    await browser.sign_in("anna")
    posted = [route.path for route in routes() if isinstance(route, Route) and "POST" in (route.methods or ())]
    assert "/sign-out" in posted
    for path in posted:
        status, _, text = await browser.post(re.sub(r"{[^}]*}", "1", path), {"reason": "because"})
        assert (status, "not sent from this dashboard" in text) == (403, True), path


async def test_behind_tls_cookies_and_answers_are_for_tls_alone(database_url: str, tmp_path: Path) -> None:
    path = users_file(tmp_path, vera="viewer")
    async with dashboard(database_url, ops_users_file=str(path), ops_behind_tls=True) as address:
        browser = Browser(address)
        _, headers, text = await browser.get("/sign-in")
        assert "max-age=" in headers["strict-transport-security"]
        visit = headers["set-cookie"].partition(";")[0]
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', text)
        assert found
        fields = {"csrf": found[1], "name": "vera", "password": PASSWORD}
        status, headers, _ = await browser.post("/sign-in", fields, headers={"cookie": visit})
        assert status == 303
        assert headers["set-cookie"].startswith("__Host-annul_session=")
        assert "; Secure" in headers["set-cookie"]
        await browser.close()


async def test_signing_out_ends_the_session_for_good(browser: Browser, base: str) -> None:
    _, headers, _ = await browser.sign_in("olaf")
    kept = headers["set-cookie"].partition(";")[0]
    assert (await browser.post("/sign-out", {"csrf": await browser.csrf("/audit")}))[0] == 303
    assert (await browser.get("/audit"))[0] == 303
    thief = Browser(base)
    assert (await thief.get("/audit", headers={"cookie": kept}))[0] == 303
    await thief.close()


async def test_a_session_ends_by_itself(browser: Browser, database_url: str) -> None:
    await browser.sign_in("olaf")
    assert (await browser.get("/audit"))[0] == 200
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE ops_sessions SET begun_at = begun_at - interval '13 hours'")
    await connection.close()
    assert (await browser.get("/audit"))[0] == 303


async def test_who_is_taken_out_of_the_file_is_out_at_once(browser: Browser, tmp_path: Path) -> None:
    await browser.sign_in("olaf")
    users_file(tmp_path, vera="viewer")
    assert (await browser.get("/audit"))[0] == 303


async def test_a_form_from_elsewhere_is_refused(browser: Browser) -> None:
    await browser.sign_in("olaf")
    token = await browser.csrf("/audit")
    good = {"csrf": token, "language": "fr", "back": "/audit"}
    assert (await browser.post("/language", good))[0] == 303
    for fields, headers in (
        ({**good, "csrf": "0" * 64}, {}),
        ({"language": "fr", "back": "/audit"}, {}),
        (good, {"origin": "https://evil.example"}),
        (good, {"sec-fetch-site": "cross-site"}),
    ):
        assert (await browser.post("/language", fields, headers=headers))[0] == 403
    assert (await browser.post("/language", {**good, "back": "x" * 70_000}))[0] == 413


async def test_a_token_of_another_session_does_not_do(browser: Browser, base: str) -> None:
    await browser.sign_in("olaf")
    other = Browser(base)
    await other.sign_in("anna")
    fields = {"csrf": await other.csrf("/audit"), "language": "fr", "back": "/"}
    assert (await browser.post("/language", fields))[0] == 403
    await other.close()


def test_every_route_says_who_may() -> None:
    for route in routes():
        assert isinstance(route, Route)
        assert hasattr(route.endpoint, "annul_needs"), route.path
        if route.methods and "POST" in route.methods and route.path not in ("/sign-in", "/sign-out", "/language"):
            assert route.endpoint.annul_needs in ("operator", "approver"), route.path


async def test_without_users_everybody_on_this_machine_may_look_and_nobody_may_do_anything(database_url: str) -> None:
    async with dashboard(database_url) as address:
        browser = Browser(address)
        status, headers, text = await browser.get("/audit")
        assert status == 200
        assert "Read-only" in text
        assert "script-src 'self'" in headers["content-security-policy"]
        assert (await browser.post("/language", {"csrf": await browser.csrf("/audit"), "language": "fr"}))[0] == 303
        assert "Lecture seule" in (await browser.get("/audit"))[2]
        assert (await browser.post("/parked/redrive", {"csrf": await browser.csrf("/audit")}))[0] == 403
        # A name of somebody else's that leads to this machine.
        assert (await browser.get("/audit", headers={"host": "evil.example:8080"}))[0] == 421
        await browser.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "ops.example"])
def test_without_users_it_listens_on_this_machine_alone(host: str) -> None:
    with pytest.raises(SettingsError, match="ANNUL_OPS_HOST must be"):
        doors_of(Settings(ops_host=host), Reader(""))


@pytest.mark.parametrize(
    "line", ["olaf", "olaf:boss:$argon2id$x", "olaf:operator:plain", "o laf:operator:$argon2id$x", ""]
)
def test_a_bad_file_of_users_stops_the_start_with_one_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "users"
    path.write_text(line + "\n")
    with pytest.raises(SettingsError, match="ANNUL_OPS_USERS_FILE"):
        doors_of(Settings(ops_users_file=str(path)), Reader(""))
