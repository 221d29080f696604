"""A dashboard beside a stack, and the people who look at it."""

import asyncio
import re
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from starlette.routing import Route

from workers.local.ports import free_port
from workers.local.stack import LocalStack
from workers.ops.security.users import line_of

_READY_S: Final = 60.0
_LEFT_OUT: Final = ("/events", "/static", "/sign-out", "/sign-in", "/oidc")
_NAME: Final = "bench"
_PASSWORD: Final = secrets.token_hex(16)
_CSRF: Final = re.compile(r'name="csrf" value="([^"]+)"')
_EXAMPLES: Final[Mapping[str, str]] = {
    "order_id": "SELECT order_id FROM refunds WHERE state = 'needs_review' ORDER BY refund_id LIMIT 1",
    "refund_id": "SELECT refund_id FROM refunds WHERE state = 'needs_review' ORDER BY refund_id LIMIT 1",
    "action_id": "SELECT action_id FROM manual_actions WHERE outcome IS NULL ORDER BY action_id LIMIT 1",
    "parked_id": "SELECT parked_id FROM parked_messages WHERE status = 'parked' ORDER BY parked_id LIMIT 1",
    "seller_id": "SELECT seller_id FROM sellers ORDER BY seller_id LIMIT 1",
    "conversation_id": "SELECT conversation_id FROM conversations WHERE close_at > now() ORDER BY 1 LIMIT 1",
    "schedule_id": "SELECT schedule_id FROM scheduled_messages WHERE state = 'waiting' ORDER BY 1 LIMIT 1",
    "worker": "SELECT 'cancellations'",
    "provider": "SELECT 'card'",
    "action": "SELECT 'release'",
}
"""By the name of a part of a path: what to put there."""
_ASKED: Final[Mapping[str, tuple[str, ...]]] = {
    "/refunds": (
        "state=needs_review",
        "state=succeeded",
        "provider=card&age=1h",
        "code=timeout",
        "currency=EUR&from=5000&to=6000",
    ),
    "/parked": ("reason=malformed_json", "reason=internal_error&age=1d"),
    "/parked-act": ("action=redriven&reason=internal_error", "action=discarded"),
    "/sellers": ("id=sel_12", "sort=closed"),
    "/find": ("q=ord_500000", "q=re_500000", "q=cnv_500000", "q=nothing_like_this"),
    "/audit": ("actor=person3", "subject=ord_7"),
}
"""Beside the bare page: what people ask of it."""
_NEVER_BARE: Final = ("/parked-act",)


@asynccontextmanager
async def visitor() -> AsyncIterator[aiohttp.ClientSession]:
    """A browser's session: cookies are kept, for an address too."""
    cookies = aiohttp.CookieJar(unsafe=True)  # an address is no name that cookies are kept for otherwise
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), cookie_jar=cookies) as session:
        yield session


class Dashboard:
    """The worker `ops` beside a stack, with one user."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._users = stack.folder.path / "users"
        self.base = ""
        """Its address, once it is started."""

    async def start(self) -> None:
        """In a process of its own; it may not answer yet."""
        port = free_port()
        self._users.write_text(line_of(_NAME, "approver", _PASSWORD) + "\n")
        environment = {"ANNUL_OPS_USERS_FILE": str(self._users), "ANNUL_OPS_PORT": str(port)}
        command = [sys.executable, "-m", "workers", "worker", "ops"]
        await self._stack.supervisor.add("ops", command, environment)
        self.base = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """Gone, until it is started again."""
        await self._stack.supervisor.stop_one("ops")

    async def sign_in(self, session: aiohttp.ClientSession) -> None:
        """As its user, once it answers. Raises what keeps it from answering for a minute."""
        until = time.monotonic() + _READY_S
        while True:
            try:
                _, form = await get(session, f"{self.base}/sign-in")
                break
            except aiohttp.ClientError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.1)
        found = _CSRF.search(form)
        assert found is not None, "the form to sign in has a token"
        fields = {"csrf": found[1], "next": "/", "name": _NAME, "password": _PASSWORD}
        async with session.post(f"{self.base}/sign-in", data=fields, allow_redirects=False) as answer:
            if answer.status != HTTPStatus.SEE_OTHER:
                raise RuntimeError(f"signing in was answered with {answer.status}")


async def paths_of(connection: Any) -> tuple[list[str], dict[str, str]]:
    """What to ask for: every page there is that is read with GET, with what people ask of it."""
    from workers.ops.assembly import routes  # noqa: PLC0415 - a web server and templates; only here

    examples = {name: await connection.fetchval(query) for name, query in _EXAMPLES.items()}
    found: list[str] = []
    left_out: dict[str, str] = {}
    for route in routes():
        if not isinstance(route, Route) or "GET" not in (route.methods or ()) or route.path.startswith(_LEFT_OUT):
            continue
        names = re.findall(r"{(\w+)(?::\w+)?}", route.path)
        if missing := [name for name in names if not examples.get(name)]:
            left_out[route.path] = f"no example of {', '.join(missing)}"
            continue
        path = re.sub(r"{(\w+)(?::\w+)?}", lambda match: str(examples[match[1]]), route.path)
        found += [
            *([] if path in _NEVER_BARE else [path]),
            *(f"{path}?{asked}" for asked in _ASKED.get(route.path, ())),
        ]
    return list(dict.fromkeys(found)), left_out


async def get(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    """Status and text, read to the last byte."""
    async with session.get(url, allow_redirects=False) as answer:
        return answer.status, await answer.text()
