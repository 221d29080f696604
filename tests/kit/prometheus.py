"""Debian's Prometheus, unpacked into a cache folder (nothing is installed, nothing is started by the system), running
for a while.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import aiohttp
import yaml

from workers.local.ports import free_port

PACKAGE: Final = "prometheus"
_READY_S: Final = 30.0


class Unavailable(Exception):
    """There is no Prometheus here, and no package of it to be had."""


class Programs(NamedTuple):
    """Where they are."""

    prometheus: Path
    promtool: Path

    @classmethod
    def get(cls) -> Self:
        """Those on the PATH, else Debian's package unpacked once. Raises Unavailable."""
        there = [shutil.which(name) for name in cls._fields]
        if all(there):
            return cls(*(Path(str(one)) for one in there))
        folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "annul-prometheus"
        found = cls(*(folder / "usr" / "bin" / name for name in cls._fields))
        if not all(program.is_file() for program in found):
            _unpack(folder)
        return found

    def check(self, *arguments: str) -> tuple[bool, str]:
        """What promtool says: whether it is content, and its words."""
        return _run(str(self.promtool), *arguments)


def _unpack(folder: Path) -> None:
    if shutil.which("apt-get") is None:
        raise Unavailable("neither prometheus and promtool on the PATH nor apt-get to fetch Debian's package with")
    folder.mkdir(parents=True, exist_ok=True)
    fetch = ("apt-get", "download", "-qq", PACKAGE)
    well, said = _run(*fetch, cwd=folder)
    if not well:  # a machine that never asked which packages there are
        _run("apt-get", "update", "-qq")
        well, said = _run(*fetch, cwd=folder)
    if not well:
        raise Unavailable(said)
    (package, *_) = sorted(folder.glob(f"{PACKAGE}_*.deb"))
    well, said = _run("dpkg", "-x", str(package), str(folder))
    if not well:
        raise Unavailable(said)
    package.unlink()


def _run(*command: str, cwd: Path | None = None) -> tuple[bool, str]:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode == 0, done.stdout.decode(errors="replace")


class Prometheus:
    """A running one, asked over HTTP."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ask(self, path: str, **arguments: str) -> Any:
        """The `data` of an answer of its API."""
        async with self._session.get(f"{self._url}/api/v1/{path}", params=arguments) as answer:
            told = await answer.json()
            assert told["status"] == "success", told
            return told["data"]

    async def values(self, expression: str) -> list[float]:
        """What an expression comes to now, series by series; what isn't a number is left out."""
        found = await self.ask("query", query=expression)
        samples = [float(one["value"][1]) for one in found["result"]]
        return [value for value in samples if value == value]  # noqa: PLR0124 - NaN


@asynccontextmanager
async def prometheus(
    programs: Programs, folder: Path, targets: Mapping[str, int], rules: Path
) -> AsyncIterator[Prometheus]:
    """Scrapes these health ports every second, by the job's name that the rules look for."""
    hosts = [f"127.0.0.1:{port}" for port in targets.values()]
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "annul", "static_configs": [{"targets": hosts}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    port = free_port()
    with (folder / "log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            str(programs.prometheus),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
        try:
            async with aiohttp.ClientSession() as session:
                await _until_ready(session, f"http://127.0.0.1:{port}/-/ready", running)
                yield Prometheus(f"http://127.0.0.1:{port}", session)
        finally:
            if running.returncode is None:
                running.terminate()
            await running.wait()


async def _until_ready(session: aiohttp.ClientSession, url: str, running: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_READY_S):
        while running.returncode is None:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise Unavailable(f"Prometheus ended with {running.returncode}")
