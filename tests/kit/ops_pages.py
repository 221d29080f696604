"""The dashboard's application, asked directly: no server, no sign-in, whoever the test says looks at it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.asgi import scope_of
from workers.ops.app import create_app
from workers.ops.asking import Reader
from workers.ops.assembly import routes
from workers.ops.security.doors import Doors
from workers.ops.viewer import Role, Viewer
from workers.ops.watching import Seen, Watch
from workers.settings import Settings

_STATE: Final = "viewer"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str


class _As:
    """Stands where the guard stands."""

    def __init__(self, app: ASGIApp, visit: "Visit") -> None:
        self._app = app
        self._visit = visit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})[_STATE] = self._visit.viewer
        await self._app(scope, receive, send)


class Visit:
    """Somebody with a browser."""

    def __init__(self, settings: Settings, seen: Seen | None) -> None:
        self.viewer = Viewer(name="Ada", role="operator", language="en", csrf="token")
        self.reader = Reader(settings.database_url.get_secret_value())
        self.watch = Watch(settings, self.reader)
        if seen is not None:
            self.watch.seen = seen
        doors = Doors(None, None, behind_tls=False)
        state = {"doors": doors, "reader": self.reader, "settings": settings, "watch": self.watch}
        self.app = create_app(state, routes(), [Middleware(_As, visit=self)])

    def become(self, **changes: Any) -> None:
        """Another person, or the same in another language."""
        self.viewer = msgspec.structs.replace(self.viewer, **changes)

    def as_(self, role: Role) -> None:
        """Only this role."""
        self.become(role=role)

    async def get(self, path: str, **headers: str) -> Answer:
        """A page; `part="1"` asks for the part that changes."""
        given = {"x-annul-part": "1"} if headers.pop("part", None) else {}
        return await self._ask("GET", path, b"", {**given, **headers})

    async def post(self, path: str, **fields: str) -> Answer:
        """A form."""
        body = urlencode({"csrf": self.viewer.csrf, **fields}).encode()
        return await self._ask("POST", path, body, {"content-type": "application/x-www-form-urlencoded"})

    async def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        scope = scope_of(method, path, {"host": "ops", **headers})
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = next(one for one in sent if one["type"] == "http.response.start")
        text = b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body").decode()
        found = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Answer(status=start["status"], headers=found, text=text)


@asynccontextmanager
async def visiting(settings: Settings, seen: Seen | None = None) -> AsyncIterator[Visit]:
    """The application on a database, and what its watcher has seen."""
    visit = Visit(settings, seen)
    try:
        yield visit
    finally:
        await visit.reader.close()
