"""The dashboard behind its guard with nothing behind that: no server, no database, people who are signed in or not.

A page that somebody may see says that PostgreSQL is away.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware

from kit.asgi import scope_of
from workers.ops.app import create_app
from workers.ops.asking import AwayError
from workers.ops.assembly import routes
from workers.ops.following import Following
from workers.ops.security.doors import Doors
from workers.ops.security.guard import Guard
from workers.ops.security.oidc import Oidc
from workers.ops.security.sessions import Ended, Session, csrf_of, new_token
from workers.ops.security.users import Users, proof_of
from workers.ops.viewer import Role
from workers.ops.watching import Watch
from workers.settings import Settings

FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back; `cookies` as they were set."""

    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    text: str


class Away:
    """Stands for PostgreSQL."""

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Any]:
        raise AwayError("not here")
        yield

    transaction = snapshot


class Held:
    """Sessions in memory. `went_on`: by token, whether the last request said that somebody was there."""

    def __init__(self) -> None:
        self.by_token: dict[str, tuple[Session, str | None]] = {}
        self.went_on: dict[str, bool] = {}

    async def begin(self, name: str, proof: bytes, role: Role | None = None, id_token: str | None = None) -> str:
        token = new_token()
        self.by_token[token] = (Session(name=name, role=role, proof=proof), id_token)
        return token

    async def find(self, token: str, *, somebody_there: bool = True) -> Session | None:
        self.went_on[token] = somebody_there
        return self.by_token[token][0] if token in self.by_token else None

    async def end(self, token: str) -> Ended | None:
        found = self.by_token.pop(token, None)
        return Ended(name=found[0].name, id_token=found[1]) if found is not None else None


class Gate:
    """The application; `path`: of a file of users, by whom it is guarded, else by nobody."""

    def __init__(self, path: Path | None = None, *, oidc: Oidc | None = None, behind_tls: bool = False) -> None:
        self.last: Answer | None = None
        self.sessions = Held()
        self.users = Users(path) if path is not None else None
        guarded = path is not None or oidc is not None
        sessions: Any = self.sessions if guarded else None
        self.doors = Doors(self.users, sessions, behind_tls=behind_tls, oidc=oidc)
        settings, reader = Settings(kafka_bootstrap_servers="127.0.0.1:1"), Away()
        self.state: dict[str, Any] = {
            "doors": self.doors,
            "reader": reader,
            "settings": settings,
            "watch": Watch(settings, reader),  # type: ignore[arg-type]  # as much of one as is asked of it
            "following": Following(settings),
        }
        self.app: Starlette = create_app(self.state, routes(), [Middleware(Guard, doors=self.doors)])

    async def enter(self, name: str) -> str:
        """A session's token, as if they had signed in."""
        assert self.users is not None
        user = self.users.find(name)
        assert user is not None
        return await self.sessions.begin(name, proof_of(user))

    async def get(self, path: str, token: str = "", *, method: str = "GET", **headers: str) -> Answer:
        """A page."""
        return await self.ask(method, path, {**self._cookie(token), **headers})

    async def post(self, path: str, fields: dict[str, str], token: str = "", **headers: str) -> Answer:
        """A form; its token is the session's unless it brings one."""
        body = urlencode({"csrf": csrf_of(token), **fields}).encode()
        return await self.ask("POST", path, {**self._cookie(token), **FORM, **headers}, body)

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Whatever is asked, as it is given; headers by names with `_` for `-`."""
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        try:
            await self.app(self.scope(method, path, headers), _received(body), send)
        finally:
            self.last = _answer(sent)
        return self.last

    def scope(self, method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
        """A request as a server would tell it."""
        given = {"host": "127.0.0.1:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return scope_of(method, path, given)

    def _cookie(self, token: str) -> dict[str, str]:
        return {"cookie": f"{self.doors.cookie}={token}"} if token else {}


def _answer(sent: list[Any]) -> Answer:
    start = next(one for one in sent if one["type"] == "http.response.start")
    text = b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body").decode()
    pairs = [(name.decode().lower(), value.decode()) for name, value in start["headers"]]
    set_ = [value.partition(";")[0].partition("=") for name, value in pairs if name == "set-cookie"]
    cookies = {name: value for name, _, value in set_}
    return Answer(status=start["status"], headers=dict(pairs), cookies=cookies, text=text)


def _received(body: bytes) -> Any:
    told = False

    async def receive() -> Any:
        nonlocal told
        if told:
            await asyncio.Event().wait()  # nobody leaves
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
