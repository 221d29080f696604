"""Who may: every page, every role and nobody, generated from the pages that there are; and what no request may be."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Final, get_args

import pytest
from kit.dashboard import users_file
from kit.gate import Answer, Gate
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from workers.ops.app import create_app
from workers.ops.assembly import routes
from workers.ops.page import HERE
from workers.ops.security.headers import HEADERS
from workers.ops.viewer import RANK, Role, needs

_FOR_ALL: Final = {"/sign-in", "/sign-in/oidc", "/sign-in/oidc/back", "/sign-out", "/language"}
_NAMES: Final[dict[Role, str]] = {"viewer": "vera", "operator": "olaf", "approver": "anna"}
_NO_METHODS: Final = ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO")


def pages() -> Iterator[tuple[str, str, Role]]:
    """Method, a path, and who may at least: of every page that isn't for all."""
    for route in routes():
        assert isinstance(route, Route)
        if route.path in _FOR_ALL:
            continue
        needed: Role = vars(route.endpoint)["annul_needs"]
        path = re.sub(r"{(what|worker|provider|action)}", lambda found: _WORDS[found[1]], route.path)
        for method in sorted(route.methods or ()):
            yield method, re.sub(r"{[^}]*}", "x_1", path), needed


_WORDS: Final = {"what": "pause", "worker": "refunds", "provider": "paypal", "action": "retry"}


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(users_file(tmp_path, vera="viewer", olaf="operator", anna="approver"))


async def ask(gate: Gate, method: str, path: str, token: str) -> Answer:
    return await (gate.post(path, {}, token) if method == "POST" else gate.get(path, token, method=method))


async def test_who_is_not_signed_in_is_sent_to_sign_in_from_every_page(gate: Gate) -> None:
    for method, path, _ in pages():
        for token in ("", "no such session"):
            answer = await ask(gate, method, path, token)
            assert answer.status == 303, (method, path)
            assert answer.headers["location"].startswith("/sign-in"), (method, path)


@pytest.mark.parametrize("role", get_args(Role))
async def test_each_role_is_let_in_where_it_may_and_nowhere_else(gate: Gate, role: Role) -> None:
    token = await gate.enter(_NAMES[role])
    for method, path, needed in pages():
        if path == "/events":
            continue  # an answer without an end
        answer = await ask(gate, method, path, token)
        may = RANK[role] >= RANK[needed]
        # Past the guard is a database that is away, or something that isn't there.
        assert (answer.status not in (303, 403)) == may, (method, path, answer.status)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS, (method, path)


def test_what_changes_something_takes_an_operator_and_a_second_word_an_approver() -> None:
    for method, path, needed in pages():
        if method == "POST":
            expected = "approver" if path.endswith("/approve") else "operator"
            assert needed == expected, path


async def test_nobody_acts_without_users_and_no_form_without_its_token(tmp_path: Path, gate: Gate) -> None:
    token = await gate.enter("anna")
    for method, path, _ in pages():
        if method == "POST":
            assert (await Gate().post(path, {})).status == 403, path
            for wrong in ("", "0" * 64, "é"):
                answer = await gate.post(path, {"csrf": wrong}, token)
                assert (answer.status, "not sent from this dashboard" in answer.text) == (403, True), path


@pytest.mark.parametrize("method", _NO_METHODS)
async def test_there_are_two_methods_and_no_other(gate: Gate, method: str) -> None:
    token = await gate.enter("anna")
    for path in ("/", "/audit", "/sign-out", "/static/ops.css", "/none"):
        answer = await gate.get(path, token, method=method, x_http_method_override="POST")
        assert answer.status == 405, path


async def test_a_page_that_does_not_say_who_may_stops_the_start() -> None:
    async def page(request: Request) -> Response:
        return PlainTextResponse(request.url.path)

    create_app({}, [Route("/new", needs("viewer")(page))], [])
    for wrong in (Route("/new", page), Mount("/new", routes=[Route("/", needs("viewer")(page))])):
        with pytest.raises(TypeError, match="who may"):
            create_app({}, [wrong], [])


@pytest.mark.parametrize("path", ["/audit?actor=%00", "/audit?actor=a%00b", "/sellers/a\0b", "/static/\0"])
async def test_what_no_id_can_hold_is_refused_before_anybody_reads_it(gate: Gate, path: str) -> None:
    answer = await gate.get(path, await gate.enter("vera"))
    assert answer.status == 400
    assert "content-security-policy" in answer.headers


async def test_a_form_cannot_hold_it_either(gate: Gate) -> None:
    assert (await gate.post("/language", {"language": "fr", "back": "/\0"}, await gate.enter("vera"))).status == 400


@pytest.mark.parametrize(
    ("path", "host"),
    [("/audit/", "evil.example"), ("/static", "evil.example"), ("/", "["), ("/audit", "x/static/"), ("/audit", "x?y")],
)
async def test_nothing_is_made_of_what_a_request_calls_this_machine(gate: Gate, path: str, host: str) -> None:
    for token in ("", await gate.enter("vera")):
        answer = await gate.get(path, token, host=host)
        assert answer.status in (303, 404, 503)
        assert "evil" not in answer.headers.get("location", "/sign-in") + answer.text


async def test_a_page_that_fails_has_the_headers_too(gate: Gate) -> None:
    token = await gate.enter("vera")
    del gate.app.state.reader
    with pytest.raises(AttributeError):  # told to the server too, for its log
        await gate.get("/audit", token)
    assert gate.last is not None
    assert gate.last.status == 500
    assert {name: gate.last.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://[", "file://", "ftp://127.0.0.1:8080", "http://127.0.0.1:80808"]
)
async def test_a_form_from_another_place_is_refused_whatever_it_calls_itself(gate: Gate, origin: str) -> None:
    token = await gate.enter("vera")
    fields = {"language": "fr", "back": "/audit"}
    assert (await gate.post("/language", fields, token, origin="http://127.0.0.1:8080")).status == 303
    assert (await gate.post("/language", fields, token, origin=origin)).status == 403


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/plain", "application/json", ""])
async def test_forms_come_as_forms_alone(gate: Gate, kind: str) -> None:
    assert (await gate.post("/language", {}, await gate.enter("vera"), content_type=kind)).status == 415


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "via", "x_real_ip"])
async def test_without_users_nobody_looks_through_a_proxy(header: str) -> None:
    assert (await Gate().get("/static/ops.css")).status == 200
    assert (await Gate().get("/static/ops.css", **{header: "10.0.0.1"})).status == 421


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[", "", "10.0.0.1", "localhost.evil"])
async def test_without_users_this_machine_has_no_other_name(host: str) -> None:
    assert (await Gate().get("/audit", host=host)).status == 421


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/..\\app.py", "/static//etc/passwd", "/static/%2e%2e/app.py"]
)
async def test_nothing_but_static_files_is_served_as_such(gate: Gate, path: str) -> None:
    assert (await gate.get(path)).status == 404


def test_templates_hold_no_script_no_style_and_nothing_unescaped() -> None:
    whole = re.compile(
        r"<script(?! src=)|<style|\sstyle\s*=|\son(?!e\b)[a-z]+=|javascript:|\|\s*safe\b|autoescape", re.IGNORECASE
    )
    # A value in an attribute without quotes around it is one that can leave it.
    bare = re.compile(r"\s[\w-]+=(\{\{|\{%)")
    templates = sorted((HERE / "templates").glob("*.html"))
    assert len(templates) > 20
    for path, pattern in product(templates, (whole, bare)):
        found = pattern.search(path.read_text(encoding="utf-8"))
        assert found is None, (path.name, found)
