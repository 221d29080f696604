"""Signing in by a file of users, attacked: guessing, locking others out, sessions that should be over, slips."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from kit.dashboard import PASSWORD, users_file
from kit.gate import Answer, Gate
from structlog.testing import capture_logs

from workers.actions.rules import ActionError, same_person, the_name
from workers.ops.pages import sign_in
from workers.ops.security import users
from workers.ops.security.rate import Tries, place_of
from workers.ops.security.sessions import csrf_of
from workers.ops.security.users import Users, line_of, read_users
from workers.settings import SettingsError

_VISIT = "a browser that nobody has signed in with"


@pytest.fixture(autouse=True)
def _no_tries_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("_by_name", 5), ("_by_browser", 5), ("_by_address", 30)):
        monkeypatch.setattr(sign_in, name, Tries(most, 900.0, lambda: 0.0))


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(users_file(tmp_path, vera="viewer", olaf="operator"))


async def enter(gate: Gate, name: str, password: str = PASSWORD, known: str = "", **headers: str) -> Answer:
    """Through the form, from a browser that may be known."""
    cookies = f"{gate.doors.stranger_cookie}={_VISIT}; {gate.doors.known_cookie}={known}"
    fields = {"csrf": csrf_of(_VISIT), "name": name, "password": password}
    return await gate.post("/sign-in", fields, cookie=cookies, **headers)


async def test_strangers_who_guess_do_not_keep_the_person_out_of_their_own_browser(gate: Gate) -> None:
    mark = (await enter(gate, "olaf")).cookies["annul_known"]
    for _ in range(5):
        assert (await enter(gate, "olaf", "wrong")).status == 401
    assert (await enter(gate, "olaf")).status == 429
    assert (await enter(gate, "olaf", known=mark)).status == 303
    # Nor does the person's sign-in give the strangers new tries.
    assert (await enter(gate, "olaf", "wrong")).status == 429


async def test_a_known_browser_has_no_more_tries_and_is_known_for_one_person_alone(gate: Gate, tmp_path: Path) -> None:
    mark = (await enter(gate, "olaf")).cookies["annul_known"]
    for _ in range(5):
        assert (await enter(gate, "olaf", "wrong", known=mark)).status == 401
    assert (await enter(gate, "olaf", known=mark)).status == 429
    for _ in range(5):
        await enter(gate, "vera", "wrong")
    for other in (mark, "x" * 22 + "." + "0" * 64, "é"):
        assert (await enter(gate, "vera", known=other)).status == 429
    users_file(tmp_path, olaf="operator", vera="viewer", zoe="viewer")  # new hashes: new passwords
    for _ in range(5):
        await enter(gate, "olaf", "wrong")
    assert (await enter(gate, "olaf", known=mark)).status == 429


async def test_a_crowd_of_strangers_is_not_waited_for_in_a_known_browser(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = (await enter(gate, "olaf")).cookies["annul_known"]
    done = threading.Event()
    monkeypatch.setattr(users, "_fits", lambda _, password: password == PASSWORD or done.wait(30) is None)
    crowd = [asyncio.create_task(enter(gate, f"name{number}", "wrong")) for number in range(10)]
    await asyncio.sleep(0)
    assert (await enter(gate, "olaf", known=mark)).status == 303
    assert not any(one.done() for one in crowd)
    done.set()
    assert {answer.status for answer in await asyncio.gather(*crowd)} == {401}


async def test_what_a_request_says_of_where_it_comes_from_is_not_believed(gate: Gate) -> None:
    for number in range(30):
        answer = await enter(gate, f"name{number}", "wrong", x_forwarded_for=f"10.0.0.{number}")
        assert answer.status == 401
    assert (await enter(gate, "olaf", x_forwarded_for="10.9.9.9")).status == 429


async def test_behind_tls_the_last_word_of_what_stands_there_is_believed(tmp_path: Path) -> None:
    gate = Gate(users_file(tmp_path, olaf="operator"), behind_tls=True)
    for number in range(30):
        # A client writes what it likes before it, and has more addresses than anybody can count.
        answer = await enter(gate, f"name{number}", "wrong", x_forwarded_for=f"1.1.1.{number}, 2001:db8::{number:x}")
        assert answer.status == 401
    assert (await enter(gate, "olaf", x_forwarded_for="2001:db8::ffff")).status == 429
    assert (await enter(gate, "olaf", x_forwarded_for="2001:db8:0:1::1")).status == 303


@pytest.mark.parametrize(
    ("told", "seen", "place"),
    [
        ("", "10.0.0.1", "10.0.0.1"),
        ("10.0.0.2", "10.0.0.1", "10.0.0.2"),
        ("forged\n", "10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.2", "10.0.0.1", "10.0.0.2"),
        ("[2001:db8::7]", "", "2001:db8::/64"),
        ("", "", ""),
    ],
)
def test_who_tries_is_told_by_what_they_cannot_change(told: str, seen: str, place: str) -> None:
    assert place_of(told, seen) == place


async def test_the_log_tells_whose_password_was_wrong_and_nothing_that_may_be_one(gate: Gate) -> None:
    with capture_logs() as told:
        await enter(gate, "olaf", "my secret")
        await enter(gate, "my secret", "olaf")
    refused = [one for one in told if one["event"] == "ops.sign_in_refused"]
    assert [one["name"] for one in refused] == ["olaf", None]
    assert "my secret" not in repr(told)


async def test_every_sign_in_is_a_new_session_and_the_one_before_is_over(gate: Gate) -> None:
    planted = await gate.enter("vera")
    cookie = f"{gate.doors.cookie}={planted}"
    fields = {"csrf": csrf_of(planted), "name": "olaf", "password": PASSWORD}
    answer = await gate.post("/sign-in", fields, cookie=cookie)
    fresh = answer.cookies["annul_session"]
    assert fresh != planted
    assert (await gate.get("/audit", planted)).status == 303
    assert (await gate.get("/audit", fresh)).status == 503


@pytest.mark.parametrize("planted", ["fixed by somebody else", "x" * 5_000])
async def test_nobody_signs_in_under_a_token_that_they_were_given(gate: Gate, planted: str) -> None:
    fields = {"csrf": csrf_of(planted), "name": "olaf", "password": PASSWORD}
    answer = await gate.post("/sign-in", fields, cookie=f"{gate.doors.cookie}={planted}")
    assert answer.cookies["annul_session"] != planted
    assert (await gate.get("/audit", planted)).status == 303


async def test_another_password_or_role_and_no_line_count_at_once(gate: Gate, tmp_path: Path) -> None:
    token = await gate.enter("olaf")
    path = tmp_path / "users"
    line = path.read_text().splitlines()[1]
    path.write_text(line.replace("operator", "viewer") + "\n")
    assert (await gate.get("/refunds/x_1/actions", token)).status == 403
    path.write_text(f"olaf:operator:{PasswordHasher(1, 64, 1).hash(PASSWORD)}\n")
    assert (await gate.get("/refunds/x_1/actions", token)).status == 303
    path.write_text(line + "\n# and again as it was\n")
    assert (await gate.get("/refunds/x_1/actions", token)).status == 503
    path.write_text("a slip of who edits it\n")
    with capture_logs() as told:
        assert (await gate.get("/refunds/x_1/actions", token)).status == 303
    assert [(one["event"], "line 1" in one["error"]) for one in told] == [("ops.users_unreadable", True)]


async def test_what_an_issuer_once_said_is_no_word_of_the_file(gate: Gate) -> None:
    token = await gate.sessions.begin("olaf", b"by an issuer", "approver")
    assert (await gate.get("/audit", token)).status == 303


async def test_a_page_that_lies_open_does_not_keep_its_session(gate: Gate) -> None:
    token = await gate.enter("vera")
    await gate.get("/consumers", token, x_annul_part="1")
    assert gate.sessions.went_on[token] is False
    await gate.get("/consumers", token)
    assert gate.sessions.went_on[token] is True


async def test_the_stream_of_news_ends_with_the_session(gate: Gate) -> None:
    class News:
        """A watch whose looks come when the test says."""

        left = 0
        somebody_there: bool | None = None

        def __init__(self) -> None:
            self.due: asyncio.Queue[None] = asyncio.Queue()

        def listen(self) -> "News":
            self.somebody_there = gate.sessions.went_on[token]
            return self

        def leave(self) -> None:
            self.left += 1

        async def looks(self) -> AsyncIterator[dict[str, str]]:
            while True:
                await self.due.get()
                yield {"event": "look", "data": "now"}

    news, got = News(), asyncio.Queue[bytes]()
    gate.app.state.watch = news
    token = await gate.enter("vera")

    async def send(message: Any) -> None:
        if message.get("body"):
            got.put_nowait(message["body"])

    async def receive() -> Any:
        return await asyncio.Event().wait()

    scope = gate.scope("GET", "/events", {"cookie": f"annul_session={token}"})
    stream = asyncio.create_task(gate.app(scope, receive, send))
    news.due.put_nowait(None)
    assert b"look" in await got.get()
    assert (news.somebody_there, gate.sessions.went_on[token]) == (False, False)
    await gate.sessions.end(token)
    news.due.put_nowait(None)
    await stream
    assert got.empty()
    assert news.left == 1


@pytest.mark.parametrize(
    "lines",
    [
        "ann:viewer:{hash}\nAnn:approver:{hash}\n",
        "refunds:operator:{hash}\n",
        "Refunds:operator:{hash}\n",
        "ann:viewer:$argon2id$x\n",
        "ann:viewer:$argon2id$v=19$m=99999999,t=3,p=4$c29tZXNhbHQ$aGFzaA\n",
        "ann:viewer:$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$aGFzaA\n",
    ],
)
def test_a_file_with_a_slip_is_refused(tmp_path: Path, lines: str) -> None:
    path = tmp_path / "slips"
    path.write_text(lines.replace("{hash}", PasswordHasher(1, 64, 1).hash(PASSWORD)))
    with pytest.raises(SettingsError, match="ANNUL_OPS_USERS_FILE, line"):
        read_users(path)


@pytest.mark.parametrize(("name", "password"), [("refunds", PASSWORD), ("ann", "a\rb" * 8), ("ann", "short")])
def test_no_line_is_made_that_nobody_could_use(name: str, password: str) -> None:
    with pytest.raises(SettingsError):
        line_of(name, "operator", password)


async def test_who_is_unknown_costs_as_much_as_who_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def fits(hashed: str, _: str) -> bool:
        tried.append(hashed)
        return True

    monkeypatch.setattr(users, "_fits", fits)
    known = Users(users_file(tmp_path, vera="viewer"))
    users_file(tmp_path, vera="viewer", olaf="operator")  # whatever its hashes cost by now
    assert await known.verify("nobody", PASSWORD) is None
    assert await known.verify("vera", PASSWORD) is not None
    assert tried[0] == tried[1]


@pytest.mark.parametrize("other", ["ann", " Ann ", "\uff21\uff2e\uff2e", "a\ufe0fnn", "an\u00adn"])
def test_one_person_is_not_a_second_one_by_how_the_name_is_written(other: str) -> None:
    assert same_person("Ann", other)
    assert not same_person("Ann", "Anne")
    assert not same_person("Zoé", "Zoe")


def test_no_person_acts_under_the_name_of_a_worker() -> None:
    with pytest.raises(ActionError):
        the_name(" Refunds")


async def test_a_copy_of_the_file_that_keeps_its_time_is_read(gate: Gate, tmp_path: Path) -> None:
    token = await gate.enter("olaf")
    path = tmp_path / "users"
    before = path.stat()
    text = path.read_text()
    path.write_text(text.replace("olaf:operator", "oleg:operator"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await gate.get("/refunds/x_1/actions", token)).status == 303
