"""A dashboard that listens, and people at it with browsers of their own."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from argon2 import PasswordHasher
from pydantic import SecretStr

from workers.local.ports import free_port
from workers.ops.assembly import assemble
from workers.settings import Settings

PASSWORD: Final = "correct horse battery"
# The real cost of a hash is the real hasher's business; here it would be most of the time.
_QUICK: Final = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
_CSRF: Final = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


def users_file(folder: Path, **roles: str) -> Path:
    """A file of users with one password; names by their role, as `ada="operator"`."""
    path = folder / "users"
    path.write_text("".join(f"{name}:{role}:{_QUICK.hash(PASSWORD)}\n" for name, role in roles.items()))
    return path


class Browser:
    """Somebody's browser: keeps cookies, doesn't follow redirects by itself."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._session = aiohttp.ClientSession(base, cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path: str, **options: Any) -> tuple[int, Any, str]:
        """Status, headers and text."""
        async with self._session.get(path, allow_redirects=False, **options) as answer:
            return answer.status, answer.headers, await answer.text()

    async def csrf(self, path: str) -> str:
        """What the forms of a page carry."""
        _, _, text = await self.get(path)
        found = _CSRF.search(text)
        return found[1] if found else ""

    async def post(self, path: str, fields: dict[str, str], **options: Any) -> tuple[int, Any, str]:
        """Send a form as it is given."""
        async with self._session.post(path, data=fields, allow_redirects=False, **options) as answer:
            return answer.status, answer.headers, await answer.text()

    async def sign_in(self, name: str, password: str = PASSWORD, follow: str = "/") -> tuple[int, Any, str]:
        """Through the form."""
        fields = {"csrf": await self.csrf("/sign-in"), "name": name, "password": password, "next": follow}
        return await self.post("/sign-in", fields)

    async def close(self) -> None:
        """Shut it."""
        await self._session.close()


@asynccontextmanager
async def dashboard(database_url: str, **changes: Any) -> AsyncIterator[str]:
    """Its address while it listens. Kafka is not there: what needs it says so."""
    changes = {"kafka_bootstrap_servers": "127.0.0.1:1", "ops_port": free_port(), **changes}
    settings = Settings(database_url=SecretStr(database_url), **changes)
    worker = assemble(settings)
    running = asyncio.create_task(worker.run())
    ready = asyncio.create_task(worker.ready.wait())
    try:
        await asyncio.wait((running, ready), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield f"http://127.0.0.1:{settings.ops_port}"
    finally:
        ready.cancel()
        worker.stop()
        await running
